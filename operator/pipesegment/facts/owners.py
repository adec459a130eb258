"""Whose an object is, by what it says of itself."""

from collections.abc import Mapping
from typing import Any

from pipesegment import names


def is_ours(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object carries our label and names an owner of our kinds: the label alone can be anybody's.

    An owner that does not exist makes the garbage collector delete the object; one that exists makes us prune it. A
    default deny whose class is gone is left with its Namespace for an owner, which a DENY in another namespace has from the
    start; as they allow nothing, nobody could hide in them.
    """
    meta = obj.get("metadata") or {}
    owners = meta.get("ownerReferences") or ()
    labelled = (meta.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
    if not labelled:
        return False
    if any(str(o.get("apiVersion", "")).startswith(f"{names.GROUP}/") for o in owners):
        return True
    return _only_denies(obj) and any((o.get("apiVersion"), o.get("kind")) == ("v1", "Namespace") for o in owners)


def _only_denies(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object is a default deny that allows nothing, or a DENY of Istio's."""
    spec = obj.get("spec") or {}
    if obj.get("kind") == "AuthorizationPolicy":
        return spec.get("action") == "DENY"
    named = obj.get("kind") == "NetworkPolicy" and obj["metadata"].get("name") == names.DEFAULT_DENY
    return named and not spec.get("ingress") and not spec.get("egress")
