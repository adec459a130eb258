"""Whose something in AWS is. Its tags say it, every one of them, or it is somebody else's and nothing is written.

A name is no proof: everybody in the account may take one. And a segment that was made anew has another uid, so that it
does not inherit what resources elsewhere grant to its namesake's role.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipesegment import names
from pipesegment.facts.meta import Key

Tags = Mapping[str, str]

#: The tags that say whose it is, the most telling first.
TAGS: Final = (
    names.MANAGED_BY_LABEL,
    names.CLUSTER_TAG,
    names.NAMESPACE_TAG,
    names.SEGMENT_LABEL,
    names.STAGE_LABEL,
    names.NAMESPACE_UID_TAG,
    names.SEGMENT_UID_TAG,
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A segment of one cluster, as the tags of what was made for it name it."""

    cluster: str
    segment: Key
    namespace_uid: str
    uid: str

    def tags(self, stage: str) -> dict[str, str]:
        """Give the tags of what belongs to a stage of it."""
        return {
            names.MANAGED_BY_LABEL: names.MANAGED_BY,
            names.CLUSTER_TAG: self.cluster,
            names.NAMESPACE_TAG: self.segment.namespace,
            names.SEGMENT_LABEL: self.segment.name,
            names.STAGE_LABEL: stage,
            names.NAMESPACE_UID_TAG: self.namespace_uid,
            names.SEGMENT_UID_TAG: self.uid,
        }


def stranger(tags: Tags, owner: Owner, stage: str) -> str:
    """Name the first tag that does not say that something is this owner's; '' when every one does.

    An owner of whom something is not known owns nothing.
    """
    wanted = owner.tags(stage)
    return next((key for key in TAGS if not wanted[key] or tags.get(key) != wanted[key]), "")


def left_behind(name: str, tags: Tags, owner: Owner, account: str) -> bool:
    """Tell whether a role is this owner's, whichever stage it was made for: its name is that of its own tags."""
    stage = tags.get(names.STAGE_LABEL, "")
    made = names.role_name(account, owner.cluster, owner.segment.namespace, owner.segment.name, stage)
    return name == made and not stranger(tags, owner, stage)
