"""What a grant makes of Istio's objects in its namespace: a DENY that holds a caller, and with `Everyone` an ALLOW.

A DENY refuses one stage at every port but those that its edges mean; nobody else is touched by it. An ALLOW lets the
stage in, and by being there keeps everybody out whom no other lets in: that is for the owners to say (semantics, § Mesh).

The ALLOW is the grant's and goes with it. The DENY is the namespace's: the garbage collector would take it before the
operator has closed the caller's side, and while the operator is down nobody would. Its name follows its content: another
content is another object, which comes first, and the old one goes last, so that neither is ever missing (docs/adr/0062).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile import objects
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.capture import MAX_PORTS, count, has_tcp, numbers
from pipesegment.compile.istio import SECURITY, operations, sources
from pipesegment.compile.problem import Problem
from pipesegment.compile.selecting import MAX_COMBINATIONS, combinations
from pipesegment.reach.graph import Edge, GrantedCalls, Mesh, PodPeer, PortRange, Reach, StageKey, StageReach

KIND: Final = "AuthorizationPolicy"


class _Pods(NamedTuple):
    """Pods of another namespace, as one stage calls them."""

    stage: StageKey
    pods: PodPeer


def marked(reach: Reach) -> Reach:
    """Say of every edge that the mesh carries to one port whether a DENY of ours holds the stage to some there."""
    if not reach.calls:
        return reach
    held = {key for key, calls in _grouped(reach.calls).items() if calls[0].principal and not _unsayable(calls)}
    return replace(reach, stages=tuple(_marked(stage, held) for stage in reach.stages))


def _marked(stage: StageReach, held: set[_Pods]) -> StageReach:
    def mark(edge: Edge) -> Edge:
        pods = [peer for peer in edge.peers if isinstance(peer, PodPeer)]
        if edge.tunnel is None or not pods or not all(_Pods(stage.key, peer) in held for peer in pods):
            return edge
        return replace(edge, tunnel=replace(edge.tunnel, guarded=True))

    return replace(stage, egress=tuple(map(mark, stage.egress)))


def problem(reach: Reach, stage: StageReach, edge: Edge) -> Problem | None:
    """Find why an edge to pods whose owners hold everybody cannot be let in there, or (in a tunnel) not be held."""
    if edge.direction != "egress" or not reach.calls or not has_tcp(edge.ports):
        return None
    grouped = _grouped(c for c in reach.calls if c.stage == stage.key and c.pods in edge.peers)
    for calls in grouped.values():
        if not any(c.because == edge.because for c in calls) or not (calls[0].everyone or edge.tunnel):
            continue
        if calls[0].principal is None:
            return Problem(
                "NotInMesh",
                f"a SegmentGrant holds everybody who calls {edge.described}, in the mesh too, and stage {stage.key.stage} "
                "has no identity there",
                "bring the stage into the mesh, or have the grant's owners say `isolate: Callers`",
            )
        why = _unsayable(calls)
        if why:
            return Problem(
                "GrantUnheld",
                f"no policy of the mesh can hold this stage to some ports of {edge.described}: {why}; the edge stays closed",
                "declare those pods as a stage that accepts this one, or take either side out of the mesh",
            )
    return None


def left(reach: Reach) -> Reach:
    """Leave out the calls of edges that have been closed: a DENY must not spare their ports."""
    if not reach.calls:
        return reach
    opened = {
        (stage.key, edge.because, peer, edge.ports)
        for stage in reach.stages
        for edge in stage.egress
        if edge.open
        for peer in edge.peers
    }
    kept = (c for c in reach.calls if (c.stage, c.because, c.meant, c.ports) in opened)
    return replace(reach, calls=tuple(kept))


def granted_calls(reach: Reach) -> list[dict[str, Any]]:
    """Render what grants say of a segment's calls, of which `expressible.split` has left those whose edges are open."""
    return [obj for key, calls in _grouped(reach.calls).items() for obj in _objects(reach, key, calls)]


def _objects(reach: Reach, key: _Pods, calls: Sequence[GrantedCalls]) -> Iterator[dict[str, Any]]:
    said, caller = calls[0], calls[0].principal
    at = [str(number) for number in numbers(_ports(calls), Mesh.AMBIENT)]
    if caller is None or not at or _unsayable(calls):
        return
    froms = sources([caller], reach.governance.spec.mesh.trust_domain)
    for labels in combinations(key.pods.selector) or ():
        about = {"selector": {"matchLabels": labels}}
        denied = [{"from": froms, "to": [{"operation": {"notPorts": at}}]}]
        spec = {**about, "action": "DENY", "rules": denied}
        owner = objects.owners("Namespace", key.pods.namespace, said.namespace_uid, controller=False)
        made = objects.elsewhere(reach, key.stage, key.pods.namespace, _discriminator(spec), owner, SECURITY, KIND)
        made["metadata"]["labels"][names.PART_LABEL] = names.DENIAL
        yield made | {"spec": spec}
        if said.everyone:
            spec = {**about, "action": "ALLOW"}
            owner = objects.owners(names.GRANT, said.grant.name, said.grant_uid, controller=False)
            made = objects.elsewhere(reach, key.stage, key.pods.namespace, _discriminator(spec), owner, SECURITY, KIND)
            rules = [{"from": froms, "to": operations([int(n) for n in at], ())}]
            yield made | {"spec": {**spec, "rules": rules}}


def _discriminator(spec: dict[str, Any]) -> str:
    return f"calls/{sha256(canonical_bytes(spec)).hexdigest()}"


def _grouped(calls: Iterable[GrantedCalls]) -> dict[_Pods, list[GrantedCalls]]:
    found: dict[_Pods, list[GrantedCalls]] = {}
    for each in calls:
        found.setdefault(_Pods(each.stage, each.pods), []).append(each)
    return found


def _ports(calls: Iterable[GrantedCalls]) -> tuple[PortRange, ...]:
    return tuple(dict.fromkeys(port for each in calls for port in each.ports))


def _unsayable(calls: Sequence[GrantedCalls]) -> str:
    """Say why no policy can hold a stage to these ports of these pods; '' when one can."""
    if calls[0].unheld:
        return calls[0].unheld
    ports = _ports(calls)
    named = next((p.port for p in ports if p.protocol == "TCP" and isinstance(p.port, str)), None)
    if named is not None:
        return f"policies of the mesh know ports by number, and '{named}' is a name"
    if count(ports, Mesh.AMBIENT) > MAX_PORTS:
        return f"they name ports one by one, and these are {count(ports, Mesh.AMBIENT)}"
    if combinations(calls[0].pods.selector) is None:
        return (
            f"Istio selects pods by matchLabels alone, and '{calls[0].pods.selector}' is more than that or needs more than "
            f"{MAX_COMBINATIONS} of them"
        )
    return ""
