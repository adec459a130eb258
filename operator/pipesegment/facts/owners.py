"""Whose an object is, by what it says of itself."""

from collections.abc import Mapping
from typing import Any

from pipesegment import names


def is_ours(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object carries our label and names an owner of our kinds: the label alone can be anybody's.

    An owner that does not exist makes the garbage collector delete the object; one that exists makes us prune it.
    """
    meta = obj.get("metadata") or {}
    owners = meta.get("ownerReferences") or ()
    labelled = (meta.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
    return labelled and any(str(o.get("apiVersion", "")).startswith(f"{names.GROUP}/") for o in owners)
