"""The whole status of a segment: numbers, stages, gaps, inventory, conditions; bounded, and equal when nothing changed."""

from collections.abc import Iterable, Mapping
from typing import Final

from pipesegment.findings import Finding
from pipesegment.plan.live import Entry
from pipesegment.reach.graph import Governance, Reach, StageReach
from pipesegment.report.cloud import role_arn
from pipesegment.report.conditions import segment_conditions
from pipesegment.report.findings import gaps, sorted_out
from pipesegment.report.outcome import Outcome
from pipesegment.report.text import LINE, MESSAGE, clean
from pipesegment.spec.status import (
    ClassRef,
    ExceptionRef,
    GapStatus,
    HostNameStatus,
    InventoryEntry,
    PipelineSegmentStatus,
    StageStatus,
    Summary,
)

_MAX_GAPS: Final = 256
_MAX_EXCEPTIONS: Final = 64
_MAX_INVENTORY: Final = 8192
#: What a direction's own entries are called; other edges are the other stage's, or follow from an engine or the mesh.
_ENTRIES: Final = {"egress": ".reaches[", "ingress": ".accepts["}


def segment_status(outcome: Outcome, previous: PipelineSegmentStatus, now: str) -> PipelineSegmentStatus:
    """Fold an outcome into a status. `now` is used for conditions that change, and nowhere else.

    After a refusal of the whole spec, or a fault of ours, everything but conditions and gaps stays as it was: so does what is enforced.
    """
    told = gaps(sorted_out(outcome))
    reach = outcome.reach
    edges = _edges(reach, {finding.path for finding in told}) if reach else {}
    opened = (sum(edges.values()), len(edges))
    conditions = segment_conditions(outcome, previous.conditions, now, opened)
    shown = tuple(map(_gap, told[:_MAX_GAPS]))
    if reach is None:
        return previous.model_copy(
            update={"observed_generation": outcome.generation, "gaps": shown, "conditions": conditions}
        )
    return PipelineSegmentStatus(
        observed_generation=outcome.generation,
        class_=_class(reach.governance, previous),
        summary=Summary(
            stages=len(reach.stages),
            edges=opened[1],
            open=f"{opened[0]}/{opened[1]}",
            gaps=len(told),
            sealed=sum(bool(stage.sealed) for stage in reach.stages),
        ),
        stages=tuple(_stage(reach, stage, edges, told, role_arn(outcome, stage.key.stage)) for stage in reach.stages),
        gaps=shown,
        host_names=tuple(
            HostNameStatus(name=clean(n, LINE), addresses=k.addresses, last_answered=k.old or None)
            for n, k in reach.host_names
        ),
        inventory=inventory((*outcome.changes.inventory(outcome.done), *_in_cloud(outcome))),
        conditions=conditions,
    )


def _in_cloud(outcome: Outcome) -> tuple[Entry, ...]:
    """Give what is known to be in AWS; nothing in this run wrote it."""
    return outcome.cloud.changes.inventory({}) if outcome.cloud else ()


def inventory(entries: Iterable[Entry]) -> tuple[InventoryEntry, ...]:
    """Write an inventory."""
    written = (
        # Our own words, thousands of times: nothing is left to validate.
        InventoryEntry.model_construct(
            api_version=entry.id.api_version,
            kind=entry.id.kind,
            namespace=entry.id.namespace,
            name=entry.id.name,
            uid=entry.uid,
        )
        for entry in sorted(entries)
    )
    return tuple(written)[:_MAX_INVENTORY]


def _class(governance: Governance, previous: PipelineSegmentStatus) -> ClassRef | None:
    """Name the class that governs. One that is lost or ambiguous stays recorded: that is how its loss is known."""
    if governance.stalled:
        return previous.class_
    return ClassRef(name=clean(governance.name, LINE), uid=governance.uid) if governance.uid else None


#: (stage, where it is declared): an entry of `common` is an edge of every stage.
_EdgeKey = tuple[str, str]


def _edges(reach: Reach, closed: set[str]) -> Mapping[_EdgeKey, bool]:
    """Give every declared edge, with whether it is open; an edge between two stages belongs to the one that said so."""
    found: dict[_EdgeKey, bool] = {}
    for stage in reach.stages:
        declared = [edge for edge in (*stage.egress, *stage.ingress) if _ENTRIES[edge.direction] in edge.because]
        for edge in declared:
            key = (stage.path, edge.because)
            is_open = edge.open and not stage.closed and edge.because not in closed | reach.ungranted
            found[key] = found.get(key, True) and is_open
    return found


def _stage(
    reach: Reach, stage: StageReach, edges: Mapping[_EdgeKey, bool], told: Iterable[Finding], role: str | None
) -> StageStatus:
    return StageStatus(
        name=stage.key.stage,
        service_account=clean(stage.account.name, LINE),
        role_arn=clean(role, MESSAGE) if role else None,
        sealed=bool(stage.sealed),
        exceptions=_exceptions(reach, stage) or None,
        edges=sum(1 for owner, _ in edges if owner == stage.path),
        gaps=sum(1 for finding in told if finding.path.startswith(stage.path)),
        pods=stage.pods,
        wrong_account=stage.wrong_account,
    )


def _exceptions(reach: Reach, stage: StageReach) -> tuple[ExceptionRef, ...]:
    """Name what is in force; nothing else tells a successor what has to close that was deleted meanwhile."""
    mine = (e for e in reach.exceptions if e.in_force and e.stage == stage.key.stage)
    return tuple(ExceptionRef(name=e.name, uid=e.uid) for e in mine)[:_MAX_EXCEPTIONS]


def _gap(finding: Finding) -> GapStatus:
    return GapStatus(
        path=clean(finding.path, MESSAGE),
        target=clean(finding.target, MESSAGE),
        reason=clean(finding.reason, LINE),
        message=clean(finding.message, MESSAGE),
        fix=clean(finding.fix, MESSAGE),
    )
