"""Whose tokens a role may trust: the forge that signs its jobs' tokens itself, held to exact subjects."""

import re
from typing import Final

from pipesegment.reach.aws import words
from pipesegment.reach.aws.judge import Judge
from pipesegment.reach.aws.values import ForgeTrust
from pipesegment.spec.cloud import Forge

_GITHUB: Final = "repo:"
#: What in a subject of GitHub's says whose jobs are meant. A subject may be customised, and anybody may customise his own:
#: one without an owner could be that of any repository. GitHub writes `:` in values as %3A.
_OWNER: Final = re.compile(
    r"(?:^|:)(?:(?:repo|repository):[^:/]+/[^:/]+|repository_owner:[^:]+|(?:repository_id|repository_owner_id):[0-9]+)(?=:|$)",
    re.ASCII,
)
#: How the subjects of a forge's job tokens begin, by a part of its issuer.
_SUBJECTS: Final = {
    "githubusercontent.com": (_GITHUB, "repo:org/shop:environment:prod"),
    "gitlab": ("project_path:", "project_path:org/shop:ref_type:branch:ref:main"),
}


def forge(judge: Judge, path: str, declared: Forge) -> ForgeTrust:
    """Give the trust in a forge; the class must list its issuer."""
    if declared.issuer not in judge.aws.forge_issuers:
        fix = "have the platform team add it to spec.aws.forgeIssuers"
        judge.refuse(f"{path}.issuer", f"is not among the issuers that {judge.who} allows:", declared.issuer, fix)
    elif declared.issuer == judge.aws.oidc_issuer:
        problem = "is the cluster's own issuer, whose subjects are other people's accounts:"
        judge.refuse(f"{path}.issuer", problem, declared.issuer, "use identity IRSA")
    words.judge_text(judge, f"{path}.audience", declared.audience, "", variables=False)
    start, example = next((s for part, s in _SUBJECTS.items() if part in declared.issuer), ("", "user@example.com"))
    for index, subject in enumerate(declared.subjects):
        place = f"{path}.subjects[{index}]"
        if not words.judge_text(judge, place, subject, "", variables=False):
            continue
        if set(subject) & set("*?"):
            judge.refuse(place, "is not exact:", subject, f"name each subject in full, as `{example}`")
        elif start == _GITHUB:
            _judge_github(judge, place, subject, example)
        elif not subject.startswith(start) or subject == start:
            judge.refuse(place, "is no subject of this forge:", subject, f"write it as `{example}`")
    return ForgeTrust(declared.issuer, declared.audience, tuple(sorted(declared.subjects)))


def _judge_github(judge: Judge, place: str, subject: str, example: str) -> None:
    """Refuse a subject that could be anybody's, or that every job of a repository or an owner has."""
    rest, owners = _OWNER.subn("", subject)
    if not owners:
        fix = f"write it as `{example}`; a customised one with repo, repository_owner or their ids"
        judge.refuse(place, "does not say whose jobs are meant:", subject, fix)
    elif not rest.strip(":"):
        fix = f"name an environment, a branch or a workflow too, as `{example}`"
        judge.refuse(place, "means every job there is, pull requests among them:", subject, fix)
