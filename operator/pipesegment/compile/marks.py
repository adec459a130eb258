"""What a stage's NetworkPolicy says to the admission policies, which take it as their parameter (docs/adr/0039).

The policy is what gives pods a reach, so that pods without it have nothing to borrow: where it is absent the admission
policies have nothing to say. What is a default is not written.
"""

import re
from collections.abc import Iterable
from typing import Final

from pipesegment import names
from pipesegment.reach.edges import Mesh
from pipesegment.reach.graph import Reach, StageReach

_ACCOUNT: Final = re.compile(r"([a-z0-9][-a-z0-9]*)/([a-z0-9][-a-z0-9.]*)\Z", re.ASCII)


def labels(reach: Reach, stage: StageReach) -> dict[str, str]:
    """Give the labels by which the admission policies are bound to a stage."""
    found = {}
    if stage.closed and not stage.sealed:
        # Its pods are another stage's, who has the say about their account.
        found[names.PART_LABEL] = "closed"
    if stage.wired and not _is_united(reach, stage):
        found[names.WIRED_LABEL] = "true"
    rails = reach.governance.spec.guardrails
    if rails.controllers:
        found[names.CONTROLLERS_LABEL] = "named"
    if rails.lockdown:
        found[names.LOCKDOWN_LABEL] = "true"
    # Allows add up: a seal must not be opened by a policy of somebody else.
    if rails.exclusive or stage.sealed:
        found[names.EXCLUSIVE_LABEL] = "true"
    if stage.sealed:
        found[names.SEALED_LABEL] = "true"
    return found


def annotations(reach: Reach, stage: StageReach) -> dict[str, str]:
    """Give what the admission policies hold a stage's pods to."""
    rails = reach.governance.spec.guardrails
    key = stage.key
    found = {}
    if stage.account.name != names.object_name(key.segment, key.stage):
        found[names.ACCOUNT_ANNOTATION] = stage.account.name
    if rails.controllers:
        found[names.CONTROLLERS_ANNOTATION] = "\n".join(sorted(map(_user, rails.controllers)))
    exempt = {way for found in rails.exemptions if not found.stages or key.stage in found.stages for way in found.allow}
    if exempt:
        found[names.EXEMPT_ANNOTATION] = " ".join(sorted(exempt))
    if stage.mesh is not Mesh.NONE:
        found[names.MESH_ANNOTATION] = stage.mesh.value
    return found


def _user(controller: str) -> str:
    """Give the name by which the API server knows a controller."""
    account = _ACCOUNT.match(controller)
    return f"system:serviceaccount:{account[1]}:{account[2]}" if account else controller


def _is_united(reach: Reach, stage: StageReach) -> bool:
    """Tell whether another segment's stage has the same pods: they cannot run as both accounts."""
    told: Iterable[str] = (f.path for f in reach.findings if f.reason == "OverlapUnion")
    return any(path.startswith(f"{stage.path}.") for path in told)
