"""What stands between an edge and Istio's proxies: each rule judges one half of an edge.

Both halves of an edge see the same facts from their own side, so they come to the same verdict; `expressible` closes the
one when the other cannot be said. Sources: semantics, § Mesh; facts, security §5.
"""

from collections.abc import Sequence
from typing import Final

from pipesegment.compile.ambient_rules import ambient_problem
from pipesegment.compile.capture import MAX_PORTS, captured, count, is_captured
from pipesegment.compile.linkerd_rules import linkerd_problem
from pipesegment.compile.problem import HTTP_NOT_ENFORCED, Problem
from pipesegment.compile.selecting import MAX_COMBINATIONS, combinations
from pipesegment.reach.edges import Edge, Mesh, Network, PodPeer, PortRange, Target
from pipesegment.reach.graph import StageReach

#: How many ports and ranges a message lists.
_SHOWN: Final = 8


def receives_in_mesh(stage: StageReach) -> bool:
    """Tell whether a proxy with policies of ours stands in front of a stage."""
    return stage.mesh is Mesh.LINKERD or (stage.mesh is not Mesh.NONE and combinations(stage.selector) is not None)


def receiving_mesh(stage: StageReach, edge: Edge) -> Mesh:
    """Tell in whose data plane the receiver of an edge is; NONE where that is unknown."""
    return stage.mesh if edge.direction == "ingress" else edge.other_mesh or Mesh.NONE


def problem(stage: StageReach, edge: Edge, network: Network = Network.NETWORK_POLICY) -> Problem | None:
    """Find the first reason why this half of an edge cannot be expressed; `network` may read HTTP where no mesh does."""
    inbound = edge.direction == "ingress"
    sender = _sender(stage, edge)
    receiver = f"stage {stage.key.stage}" if inbound else edge.described
    guarded = receives_in_mesh(stage) if inbound else edge.other_meshed is True
    if inbound and edge.target is Target.PODS and any(p.account for p in edge.principals):
        unknown = _unknown_accounts(edge, receiver, stage.mesh, guarded=guarded)
        if unknown:
            return unknown
    mesh = receiving_mesh(stage, edge)
    if guarded and is_captured(edge.ports, mesh):
        calling = edge.other_mesh if inbound else stage.mesh
        found = (
            _not_in_mesh(edge, sender, receiver, calling)
            or _mixed(sender, receiver, calling, mesh)
            or _unsayable_ports(edge, receiver, mesh)
            or (_no_service(stage, edge, receiver) if mesh is Mesh.ISTIO else None)
        )
        if found:
            return found
    if mesh is Mesh.AMBIENT:
        found = ambient_problem(edge, receiver, selectable=guarded)
        if found:
            return found
    if mesh is Mesh.LINKERD and guarded:
        found = linkerd_problem(stage, edge, receiver)
        if found:
            return found
    # What travels under the mesh's mutual TLS no proxy of the network can read.
    proxied = not (guarded or edge.tunnel) and network is Network.CILIUM and not (inbound and stage.mesh is Mesh.ISTIO)
    return _unread_http(edge, receiver, guarded=guarded or edge.held, proxied=proxied) if edge.http else None


def selector_problem(stage: StageReach) -> Problem | None:
    """Tell why Istio cannot select a mesh stage's pods: its selectors know only matchLabels."""
    if stage.mesh in {Mesh.NONE, Mesh.LINKERD} or combinations(stage.selector) is not None:
        return None
    return Problem(
        "MeshSelector",
        f"Istio selects pods by matchLabels alone, and '{stage.selector}' is more than that or needs more than "
        f"{MAX_COMBINATIONS} of them; only the network holds this stage",
        "select its pods by labels or by `In` with few values, or give the stage `mesh: None`",
    )


def _sender(stage: StageReach, edge: Edge) -> str:
    return edge.described if edge.direction == "ingress" else f"stage {stage.key.stage}"


def _not_in_mesh(edge: Edge, sender: str, receiver: str, calling: Mesh | None) -> Problem | None:
    """Judge the sender: a proxy with STRICT mTLS admits identities only, and a source without one never passes."""
    nameless = edge.direction == "ingress" and not edge.principals
    if calling is not Mesh.NONE and not nameless:
        return None
    remedy = "name the callers as pods or a stage" if edge.target is Target.CIDR else f"bring {sender} into the mesh"
    return Problem(
        "NotInMesh",
        f"{receiver} is in the mesh and admits mesh identities only, and {sender} has none",
        f"{remedy}, or give {receiver} `mesh: None`",
    )


def _mixed(sender: str, receiver: str, calling: Mesh | None, mesh: Mesh) -> Problem | None:
    """Judge two data planes: whether the one's mutual TLS reaches the other is a matter of how the mesh was installed."""
    if calling in {None, Mesh.NONE, mesh}:
        return None
    return Problem(
        "MixedMesh",
        f"{sender} and {receiver} are in different data planes ({calling}, {mesh}), and not every installation lets these meet",
        "run both in namespaces of the same data plane, or give both `mesh: None`",
    )


def _unknown_accounts(edge: Edge, receiver: str, mesh: Mesh, *, guarded: bool) -> Problem | None:
    """Judge `serviceAccounts`: the network does not know a pod's account, so only a proxy of ours can hold to it."""
    if guarded and edge.ports and captured(edge.ports, mesh) == edge.ports:
        return None
    return Problem(
        "NotInMesh",
        f"only a sidecar can tell {edge.described} of some accounts from the others, and "
        + (f"the one of {receiver} stands in front of TCP ports alone" if guarded else f"{receiver} has none"),
        "leave `serviceAccounts` out and select the pods more narrowly"
        + (
            ", or declare the other ports in an entry of their own"
            if guarded
            else f", or bring {receiver} into the mesh"
        ),
    )


def _no_service(stage: StageReach, edge: Edge, receiver: str) -> Problem | None:
    """Judge the way: a sidecar knows others by their Services; without one the call leaves as plaintext and is reset."""
    if edge.hosts:
        return None
    ports = _listed(captured(edge.ports))
    reset = "so calls to it there would leave as plaintext and be reset"
    if edge.fronts:
        services = " or ".join(edge.fronts)
        return Problem(
            "NoService",
            f"{receiver} is in the mesh and none of its Services ({', '.join(edge.fronts)}) leads to port {ports}, {reset}",
            f"give Service {services} port {ports}, with the same targetPort",
        )
    own = PodPeer(stage.key.namespace, stage.selector)
    pods = " and ".join(
        f"'{peer.selector}' in namespace {peer.namespace}"
        for peer in ((own,) if edge.direction == "ingress" else edge.peers)
        if isinstance(peer, PodPeer)
    )
    return Problem(
        "NoService",
        f"{receiver} is in the mesh and no Service selects its pods, so calls to it would leave as plaintext and be reset",
        f"create a Service (headless will do) that selects {pods}{f' at port {ports}' if ports else ''}",
    )


def _listed(ports: Sequence[PortRange]) -> str:
    """List ports; a range may have been cut into many."""
    shown = [f"{p.port}" if p.end is None else f"{p.port}-{p.end}" for p in ports[:_SHOWN]]
    return ", ".join([*shown, *(["…"] if len(ports) > _SHOWN else [])])


def _unsayable_ports(edge: Edge, receiver: str, mesh: Mesh) -> Problem | None:
    if mesh is Mesh.LINKERD and not edge.ports:
        return Problem(
            "PortRange",
            f"{receiver} is in Linkerd, which has a Server for each port, and every port is meant",
            "give the stage `mesh: None`",
        )
    named = next((p for p in captured(edge.ports, mesh) if isinstance(p.port, str)), None)
    if named is not None:
        return Problem(
            "NamedPort",
            f"{receiver} is in the mesh, whose policies know ports by number, and '{named.port}' is a name",
            "give the port's number",
        )
    if count(edge.ports, mesh) > MAX_PORTS:
        return Problem(
            "PortRange",
            f"{receiver} is in the mesh, whose policies name ports one by one, and these are {count(edge.ports, mesh)}",
            f"declare at most {MAX_PORTS} ports",
        )
    return None


def _unread_http(edge: Edge, receiver: str, *, guarded: bool, proxied: bool) -> Problem | None:
    """Judge methods and paths: a proxy of ours in front of the receiver reads them, or Cilium, on numbered TCP ports."""
    if not (guarded or proxied):
        return Problem(
            HTTP_NOT_ENFORCED,
            f"nothing in front of {receiver} reads HTTP: it is no stage in the mesh",
            "leave `http` out, bring the receiving stage into the mesh, or let the class set `inexact.http: Coarse`",
        )
    sayable = captured(edge.ports) == edge.ports and all(isinstance(p.port, int) for p in edge.ports)
    if not sayable or not edge.ports:
        return Problem(
            HTTP_NOT_ENFORCED,
            f"HTTP towards {receiver} is told apart on numbered TCP ports only",
            "declare `http` in an entry of its own whose ports are TCP and numbers",
        )
    # Cilium's proxy reads what its policy says, whatever Services declare.
    if edge.unread and guarded:
        ports = ", ".join(map(str, edge.unread))
        return Problem(
            HTTP_NOT_ENFORCED,
            f"the Services of {receiver} declare port {ports} as something else than HTTP, so nobody reads requests there",
            "name the Service's port `http` or `http-…`, or give it `appProtocol: http`; or leave `http` out there",
        )
    odd = next((path for rule in edge.http for path in rule.paths if not _is_plain(path)), None)
    if odd is not None:
        return Problem(
            HTTP_NOT_ENFORCED,
            f"path '{odd}' is neither exact nor a prefix with a trailing `*`",
            "write the path out, or end it with the only `*`",
        )
    return None


def _is_plain(path: str) -> bool:
    # Istio reads `*` in front as a suffix match and `{*}` as a template: both would be wider than what was written.
    return not set("*{}") & set(path[:-1]) and not path.endswith(("{", "}"))
