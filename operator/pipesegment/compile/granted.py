"""What a grant makes of Istio's objects in its namespace: a DENY that holds a caller, and with `Everyone` an ALLOW.

A DENY refuses one stage at every port but those that its edges mean; nobody else is touched by it. An ALLOW lets the
stage in, and by being there keeps everybody out whom no other lets in: that is for the owners to say (semantics, § Mesh).

The ALLOW is the grant's and goes with it. The DENY is the namespace's: the garbage collector would take it before the
operator has closed the caller's side, and while the operator is down nobody would. Its name follows its content: another
content is another object, which comes first, and the old one goes last, so that neither is ever missing (docs/adr/0062).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile import objects
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.capture import MAX_PORTS, count, has_tcp, numbers
from pipesegment.compile.istio import SECURITY, operations, sources
from pipesegment.compile.problem import Problem
from pipesegment.compile.selecting import MAX_COMBINATIONS, combinations
from pipesegment.reach.edges import Edge, HttpRule, Mesh, PodPeer, PortRange, StageKey
from pipesegment.reach.graph import GrantedCalls, Reach, StageReach

KIND: Final = "AuthorizationPolicy"
#: The most operations that one port's requests may become in a DENY.
MAX_CHOICES: Final = 16


class _Pods(NamedTuple):
    """Pods of another namespace, as one stage calls them."""

    stage: StageKey
    pods: PodPeer


def marked(reach: Reach) -> Reach:
    """Say of every edge whether what is written on a grant's strength holds it: to ports in a tunnel, to its requests."""
    if not reach.calls:
        return reach
    held = {key: calls for key, calls in _grouped(reach.calls).items() if calls[0].principal and not _unsayable(calls)}
    return replace(reach, stages=tuple(_marked(stage, held) for stage in reach.stages))


def _marked(stage: StageReach, held: Mapping[_Pods, Sequence[GrantedCalls]]) -> StageReach:
    def mark(edge: Edge) -> Edge:
        pods = [peer for peer in edge.peers if isinstance(peer, PodPeer)]
        if not pods or not all(_Pods(stage.key, peer) in held for peer in pods):
            return edge
        tunnel = edge.tunnel and replace(edge.tunnel, guarded=True)
        sidecars = all(c.sidecar for peer in pods for c in held[_Pods(stage.key, peer)])
        return replace(edge, tunnel=tunnel, held=sidecars)

    return replace(stage, egress=tuple(map(mark, stage.egress)))


def by_identity(reach: Reach, stage: StageReach, edge: Edge) -> Problem | None:
    """Tell that a DENY holds callers with an identity to their requests, and that sidecars may let in others too."""
    if not edge.http or not edge.held:
        return None
    calls = _about(reach, stage, edge)
    if all(c.everyone for c in calls):
        return None
    return Problem(
        "HttpByIdentity",
        f"stage {stage.key.stage} is held to these requests to {edge.described} by its identity, and pods that take plaintext "
        "too, Istio's default, do not know who calls in plaintext",
        "have the owners set a PeerAuthentication there to STRICT, or the grant to `isolate: Everyone`",
    )


def problem(reach: Reach, stage: StageReach, edge: Edge) -> Problem | None:
    """Find why an edge to pods whose owners hold everybody cannot be let in there, or (in a tunnel) not be held."""
    if edge.direction != "egress" or not reach.calls or not has_tcp(edge.ports):
        return None
    grouped = _grouped(_about(reach, stage, edge))
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
                "have the stage's pods run as its account, declare the others as a stage that accepts this one, or take either side "
                "out of the mesh",
            )
    return None


def unread(reach: Reach, stage: StageReach, edge: Edge, found: Problem) -> Problem:
    """Say why requests that a grant gives cannot be told from others."""
    calls = _about(reach, stage, edge)
    why = (_unsayable(calls) if calls else "") or found.message
    return Problem(
        "GrantUnheld",
        f"a SegmentGrant gives some requests to {edge.described} alone, and {why}; the edge stays closed",
        "give both sides sidecars of Istio and have the Service declare the port as HTTP, or have the owners leave `http` out of the grant",
    )


def left(reach: Reach) -> Reach:
    """Leave out the calls of edges that have been closed: a DENY must not spare their ports.

    An edge whose requests nothing could tell apart may have been opened to all of them meanwhile.
    """
    if not reach.calls:
        return reach
    opened = {
        (stage.key, edge.because, peer, edge.ports): edge.http
        for stage in reach.stages
        for edge in stage.egress
        if edge.open
        for peer in edge.peers
    }
    meant = ((call, opened.get((call.stage, call.because, call.meant, call.ports))) for call in reach.calls)
    return replace(reach, calls=tuple(replace(call, http=http) for call, http in meant if http is not None))


def granted_calls(reach: Reach) -> list[dict[str, Any]]:
    """Render what grants say of a segment's calls, of which `expressible.split` has left those whose edges are open."""
    return [obj for key, calls in _grouped(reach.calls).items() for obj in _objects(reach, key, calls)]


def _objects(reach: Reach, key: _Pods, calls: Sequence[GrantedCalls]) -> Iterator[dict[str, Any]]:
    said, caller = calls[0], calls[0].principal
    at = _requests(calls)
    if caller is None or not at or _unsayable(calls):
        return
    froms = sources([caller], reach.governance.spec.mesh.trust_domain)
    for labels in combinations(key.pods.selector) or ():
        about = {"selector": {"matchLabels": labels}}
        spec = {**about, "action": "DENY", "rules": [{"from": froms, "to": _but(at)}]}
        owner = objects.owners("Namespace", key.pods.namespace, said.namespace_uid, controller=False)
        made = objects.elsewhere(reach, key.stage, key.pods.namespace, _discriminator(spec), owner, SECURITY, KIND)
        made["metadata"]["labels"][names.PART_LABEL] = names.DENIAL
        yield made | {"spec": spec}
        if said.everyone:
            spec = {**about, "action": "ALLOW"}
            owner = objects.owners(names.GRANT, said.grant.name, said.grant_uid, controller=False)
            made = objects.elsewhere(reach, key.stage, key.pods.namespace, _discriminator(spec), owner, SECURITY, KIND)
            to = [operation for rules, ports in at.items() for operation in operations(ports, rules)]
            yield made | {"spec": {**spec, "rules": [{"from": froms, "to": to}]}}


def _requests(calls: Sequence[GrantedCalls]) -> dict[tuple[HttpRule, ...], list[int]]:
    """Give the ports at which a stage may call, by the requests that it may make there (none: every one)."""
    rules: dict[int, list[tuple[HttpRule, ...]]] = {}
    for each in calls:
        for number in numbers(each.ports, Mesh.AMBIENT):
            rules.setdefault(number, []).append(each.http)
    found: dict[tuple[HttpRule, ...], list[int]] = {}
    for number, said in sorted(rules.items()):
        every = () in said
        union = () if every else tuple(sorted({rule for one in said for rule in one}))
        found.setdefault(union, []).append(number)
    return dict(sorted(found.items()))


def _but(at: Mapping[tuple[HttpRule, ...], Sequence[int]]) -> list[dict[str, Any]]:
    """Render every call but these: at other ports, and at theirs with other requests.

    No request fits any rule where for each rule its method is another or its path is; so there is one operation for
    each way to choose that.
    """
    found: list[dict[str, Any]] = [{"operation": {"notPorts": _texts(n for ports in at.values() for n in ports)}}]
    for rules, ports in at.items():
        for chosen in _choices(rules):
            other = {
                field: sorted({text for name, texts in chosen if name == field for text in texts})
                for field, _ in chosen
            }
            found.append({"operation": {"ports": _texts(ports), **dict(sorted(other.items()))}})
    return found


def _choices(rules: Sequence[HttpRule]) -> Iterator[tuple[tuple[str, tuple[str, ...]], ...]]:
    ways = [
        [(field, texts) for field, texts in (("notMethods", rule.methods), ("notPaths", rule.paths)) if texts]
        for rule in rules
    ]
    yield from product(*ways) if ways else ()


def _texts(ports: Iterable[int]) -> list[str]:
    return [str(number) for number in sorted(ports)]


def _discriminator(spec: dict[str, Any]) -> str:
    return f"calls/{sha256(canonical_bytes(spec)).hexdigest()}"


def _about(reach: Reach, stage: StageReach, edge: Edge) -> list[GrantedCalls]:
    """Give what grants say of a stage's calls to an edge's pods."""
    return [c for c in reach.calls if c.stage == stage.key and c.pods in edge.peers]


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
    if any(prod(max(1, bool(r.methods) + bool(r.paths)) for r in rules) > MAX_CHOICES for rules in _requests(calls)):
        return f"to deny all other requests takes more than {MAX_CHOICES} operations"
    if combinations(calls[0].pods.selector) is None:
        return (
            f"Istio selects pods by matchLabels alone, and '{calls[0].pods.selector}' is more than that or needs more than "
            f"{MAX_COMBINATIONS} of them"
        )
    return ""
