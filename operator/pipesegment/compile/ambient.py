"""Istio in ambient mode: what ztunnel lets in to a stage, and what a waypoint lets pass on the way there.

ztunnel takes policies with a selector and reads no requests; of a rule that asks for any it keeps nothing. A waypoint takes
policies with `targetRefs` and passes over those with a selector; it knows callers by their own identities, and ports as the
Service's own. ztunnel behind it sees the waypoint's identity alone. Hence two objects that are never one: the stage's ALLOW
by selector (callers that come straight, and the waypoint as far as something is declared), and an ALLOW at each Service
that a waypoint takes for the stage (callers with their requests). An edge with requests is in the second alone.

ztunnel knows no dry run, so a stage in Observe gets nothing at all.
"""

from collections.abc import Iterator
from typing import Any

from pipesegment import names
from pipesegment.compile.capture import admitted, numbers
from pipesegment.compile.istio import allow, distinct, of_combinations, operations, rule, sources, strict
from pipesegment.reach.edges import Edge, Front, Mesh, Mode, Principal
from pipesegment.reach.graph import Reach, StageReach


def ambient_objects(reach: Reach) -> list[dict[str, Any]]:
    """Render the mesh objects of every stage that ztunnel captures and Istio can select."""
    stages = (s for s in reach.stages if s.mesh is Mesh.AMBIENT and s.mode is Mode.ENFORCE)
    return [obj for stage in stages for obj in _stage_objects(reach, stage)]


def _stage_objects(reach: Reach, stage: StageReach) -> Iterator[dict[str, Any]]:
    found = of_combinations(stage)
    for name, labels in found:
        yield allow(reach, stage, name, {"selector": {"matchLabels": dict(labels)}}, _direct(reach, stage))
        if not stage.closed:
            yield strict(reach, stage, name, labels)
    for front in stage.fronts if found and not stage.closed else ():
        name = names.suffixed_name(stage.key.segment, stage.key.stage, f"at-{front.service}")
        target = {"targetRefs": [{"group": "", "kind": "Service", "name": front.service}]}
        yield allow(reach, stage, name, target, _at_waypoint(reach, stage, front))


def _direct(reach: Reach, stage: StageReach) -> list[dict[str, Any]]:
    """Give what ztunnel lets in: callers at pods' ports, and waypoints at the ports behind them that anybody may call."""
    domain = reach.governance.spec.mesh.trust_domain
    straight = (edge for edge in admitted(stage) if not edge.http)
    found = [rule(edge, domain, numbers(edge.ports, Mesh.AMBIENT)) for edge in straight]
    for front in stage.fronts:
        called = sorted({target for edge in admitted(stage) for own, target in front.ports if _means(edge, target)})
        if called:
            waypoint = Principal(front.waypoint.namespace, front.waypoint.account)
            found.append({"from": sources([waypoint], domain), "to": operations(called, ())})
    return distinct(found)


def _at_waypoint(reach: Reach, stage: StageReach, front: Front) -> list[dict[str, Any]]:
    """Give what a waypoint lets pass to a Service: callers at the Service's own ports, with their requests."""
    domain = reach.governance.spec.mesh.trust_domain
    found = []
    for edge in admitted(stage):
        own = sorted({own for own, target in front.ports if _means(edge, target)})
        if own:
            found.append(rule(edge, domain, own))
    return distinct(found)


def _means(edge: Edge, port: int) -> bool:
    return not edge.ports or port in numbers(edge.ports, Mesh.AMBIENT)
