"""What holds at this moment and may not in the next: agents that are not ready, what could not be looked at.

The operator does not follow it: every node that joins or leaves would move every segment's conditions.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipesegment.facts.others import daemon_set
from pipesegment.findings import Finding
from pipesegment.reach.conformance.engine import agent

_PATH: Final = "metadata.namespace"


@dataclass(frozen=True, slots=True)
class Tier:
    """Policies of one kind that come before NetworkPolicies in their engine: objects that exist, by namespace and name."""

    kind: str
    objects: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a cluster gave beside the facts.

    `unread` holds kinds that could not be listed, with the API server's words; `tiers` what is not judged here.
    """

    unread: Mapping[str, str] = field(default_factory=dict)
    tiers: tuple[Tier, ...] = ()


def check(namespace: str, obj: str, daemon_sets: Iterable[Mapping[str, Any]], seen: Seen) -> Iterator[Finding]:
    """Give what this moment tells about a segment, which is `obj` and lives in `namespace`."""
    for found in daemon_sets:
        yield from _not_ready(found, obj)
    for kind, said in sorted(seen.unread.items()):
        fix = "let whoever runs verify list them, in every namespace"
        yield Finding(_PATH, "NotRead", kind, f"objects of kind {kind} could not be read: {said}", fix, obj)
    for tier in seen.tiers:
        names = [f"{space}/{name}".lstrip("/") for space, name in tier.objects if space in {"", namespace}]
        if names:
            message = f"{len(names)} of kind {tier.kind} ({_some(names)}) may allow what NetworkPolicies close, and are not judged here"
            fix = "see by hand that they allow nothing for the stages' pods; `--probe` shows what passes"
            yield Finding(_PATH, "NotJudged", names[0], message, fix, obj)


def _not_ready(raw: Mapping[str, Any], obj: str) -> Iterator[Finding]:
    known = agent(daemon_set(raw))
    status = raw.get("status") or {}
    wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    if known is not None and known.enforces and ready < wanted:
        message = f"{known.engine} ({known.daemon_set}) is ready on {ready} of {wanted} nodes"
        fix = "wait until its rollout is over, or find out why the agent's pods do not start"
        yield Finding(_PATH, "AgentNotReady", f"DaemonSet {known.daemon_set}", message, fix, obj)


def _some(found: list[str]) -> str:
    return ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
