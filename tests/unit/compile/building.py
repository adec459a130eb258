"""Reach values by hand: the compilers' input, without anything that resolves."""

from dataclasses import replace
from typing import Any

from pipesegment.compile.desired import Desired
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Selector
from pipesegment.reach.edges import AddressPeer, Edge, Mesh, Mode, PodPeer, PortRange, Principal, StageKey, Target
from pipesegment.reach.graph import Account, Governance, GrantedIngress, Reach, StageReach
from pipesegment.spec.segmentclass import SegmentClassSpec

NAMESPACE = "ci-shop"
SEGMENT = "shop"
UID = "0b9c7d3e-1111-4222-8333-944445555666"
WEB = PortRange("TCP", 8080)


def selector_of(name: str) -> Selector:
    return Selector.of({"pipeline": SEGMENT, "stage": name})


def stage(name: str, index: int = 0, **fields: Any) -> StageReach:
    defaults: dict[str, Any] = {
        "key": StageKey(NAMESPACE, SEGMENT, name),
        "path": f"spec.stages[{index}]",
        "selector": selector_of(name),
        "mode": Mode.ENFORCE,
        "mesh": Mesh.NONE,
        "account": Account(f"{SEGMENT}-{name}", create=True, automount=False),
    }
    return StageReach(**{**defaults, **fields})


def meshed(name: str, index: int = 0, **fields: Any) -> StageReach:
    return stage(name, index, **{"mesh": Mesh.ISTIO, **fields})


def host(name: str) -> str:
    """Give what the mesh calls a stage that a Service of its name leads to."""
    return f"{NAMESPACE}/{name}.{NAMESPACE}.svc.cluster.local"


def egress(*peers: Any, ports: Any = (WEB,), target: Target = Target.CIDR, **fields: Any) -> Edge:
    defaults: dict[str, Any] = {
        "because": "spec.stages[0].reaches[0]",
        "direction": "egress",
        "target": target,
        "described": "the other side",
        "open": True,
        "peers": tuple(peers) or (AddressPeer("198.51.100.0/24"),),
        "ports": tuple(ports),
    }
    return Edge(**{**defaults, **fields})


def ingress(*peers: Any, **fields: Any) -> Edge:
    """Make an ingress edge from pods of namespace `callers`, all of whose accounts may come, by some Service."""
    pods = PodPeer("callers", Selector.of({"app": "caller"}))
    defaults: dict[str, Any] = {
        "because": "spec.stages[0].accepts[0]",
        "direction": "ingress",
        "target": Target.PODS,
        "described": "pods callers: app=caller",
        "principals": (Principal("callers", None),),
        "hosts": (host("callee"),),
    }
    return egress(*(peers or (pods,)), **{**defaults, **fields})


def reach(*stages: StageReach, **fields: Any) -> Reach:
    defaults: dict[str, Any] = {
        "segment": Key(NAMESPACE, SEGMENT),
        "uid": UID,
        "governance": governed(),
        "stages": stages,
    }
    return Reach(**{**defaults, **fields})


def governed(**spec: Any) -> Governance:
    """Govern by a class whose spec is given in the API's words."""
    return Governance("default", "c1", SegmentClassSpec.model_validate(spec))


def linked(
    source: StageReach, target: StageReach, ports: Any = (WEB,), because: str = "", **fields: Any
) -> tuple[StageReach, StageReach]:
    """Add an edge between two stages as `reach` does: one half on each, with the same `because`.

    In the mesh a Service leads to the target, unless `hosts` says otherwise.
    """
    in_mesh = target.mesh is Mesh.ISTIO
    hosts = fields.pop("hosts", (host(target.key.stage),) if in_mesh else ())
    because = because or f"{source.path}.reaches[{len(source.egress)}]"
    out = egress(
        PodPeer(target.key.namespace, target.selector),
        ports=ports,
        target=Target.STAGE,
        because=because,
        described=f"stage {target.key.stage}",
        hosts=hosts,
        other_mesh=target.mesh,
        **fields,
    )
    into = ingress(
        PodPeer(source.key.namespace, source.selector),
        ports=ports,
        target=Target.STAGE,
        because=because,
        described=f"stage {source.key.stage}",
        principals=(Principal(source.key.namespace, source.account.name),),
        hosts=hosts,
        other_mesh=source.mesh,
        **fields,
    )
    return replace(source, egress=(*source.egress, out)), replace(target, ingress=(*target.ingress, into))


def grant(because: str = "spec.stages[0].reaches[0]", **fields: Any) -> GrantedIngress:
    defaults: dict[str, Any] = {
        "because": because,
        "stage": StageKey(NAMESPACE, SEGMENT, "build"),
        "grant": Key("web", "from-ci"),
        "grant_uid": "a1",
        "selector": Selector.of({"app": "web"}),
        "peers": (PodPeer(NAMESPACE, selector_of("build")),),
        "ports": (WEB,),
        "discriminator": "from-ci/everyone",
    }
    return GrantedIngress(**{**defaults, **fields})


def only(desired: Desired, kind: str, name: str | None = None) -> dict[str, Any]:
    """Give the one object of a kind (and name)."""
    found = [o for o in desired.objects if o["kind"] == kind and (name is None or o["metadata"]["name"] == name)]
    assert len(found) == 1, [(o["kind"], o["metadata"]["name"]) for o in desired.objects]
    return dict(found[0])


def names_of(desired: Desired, kind: str) -> list[str]:
    return [o["metadata"]["name"] for o in desired.objects if o["kind"] == kind]
