"""Metadata of what a segment owns: labels, owner, and the marks that tell where an object comes from.

In the segment's own namespace the segment is the controller, so that deletion collects the object and Argo CD draws the
tree; in another namespace the grant there owns it, so that the object goes with the consent (semantics, § Consent).
`blockOwnerDeletion` stays false: it would need a right over the owner's finalizers.
"""

from collections.abc import Mapping
from typing import Any

from pipesegment import names
from pipesegment.reach.edges import StageKey
from pipesegment.reach.graph import Reach, StageReach


def owned(
    reach: Reach,
    api_version: str,
    kind: str,
    name: str,
    stage: StageReach | None,
    *,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Start an object in the segment's namespace; `stage` is None for what belongs to the whole pipeline."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SEGMENT_LABEL: reach.segment.name}
    if stage is not None:
        labels[names.STAGE_LABEL] = stage.key.stage
    metadata: dict[str, Any] = {"name": name, "namespace": reach.segment.namespace, "labels": labels}
    if annotations:
        metadata["annotations"] = dict(annotations)
    metadata |= owners(names.SEGMENT, reach.segment.name, reach.uid, controller=True)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def elsewhere(
    reach: Reach,
    stage: StageKey,
    namespace: str,
    discriminator: str,
    owner: Mapping[str, Any],
    api_version: str,
    kind: str,
) -> dict[str, Any]:
    """Start an object in another namespace, on the strength of a grant there; `owner` is what `owners` gives."""
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.SEGMENT_LABEL: stage.segment,
        names.STAGE_LABEL: stage.stage,
        names.ORIGIN_LABEL: stage.namespace,
    }
    name = names.foreign_name(stage.namespace, stage.segment, stage.stage, discriminator)
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": labels}
    if reach.uid:
        metadata["annotations"] = {names.SEGMENT_UID_ANNOTATION: reach.uid}
    return {"apiVersion": api_version, "kind": kind, "metadata": {**metadata, **owner}}


def owners(kind: str, name: str, uid: str, *, controller: bool) -> dict[str, Any]:
    """Give `ownerReferences` as a part of metadata; nothing offline, where owners have no uid."""
    if not uid:
        return {}
    api_version = "v1" if kind == "Namespace" else names.API_VERSION
    return {"ownerReferences": [reference(api_version, kind, name, uid, controller=controller)]}


def reference(api_version: str, kind: str, name: str, uid: str, *, controller: bool) -> dict[str, Any]:
    """Give one owner reference."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": controller,
        "blockOwnerDeletion": False,
    }
