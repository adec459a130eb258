"""A small cluster on which sequences are played, and a judge that looks after every single write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipesegment import names
from pipesegment.compile.canonical import stamped
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.evaluate.authorization import Request
from pipesegment.evaluate.endpoints import PodEnd, Port
from pipesegment.evaluate.istio import Istio
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.facts.meta import Key
from pipesegment.plan.changes import ChangeSet, plan
from pipesegment.plan.live import Live
from pipesegment.plan.order import needs, safe_sequence
from pipesegment.plan.sequence import Restraint, Sequence, Step

UID = "segment-uid"
SEGMENT = Key("ci", "shop")
Flows = frozenset[tuple[str, str, str, str]]


def policy(
    name: str,
    labels: Mapping[str, str] | None = None,
    egress: Iterable[Any] | None = (),
    ingress: Iterable[Any] | None = (),
    *,
    namespace: str = "ci",
    owned: bool = True,
    selector: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A NetworkPolicy; a direction that is None is no policyType of it."""
    types = [t for t, rules in (("Ingress", ingress), ("Egress", egress)) if rules is not None]
    spec: dict[str, Any] = {"podSelector": selector or {"matchLabels": dict(labels or {})}, "policyTypes": types}
    for direction, rules in (("ingress", ingress), ("egress", egress)):
        if rules is not None:
            spec[direction] = list(rules)
    return _object("networking.k8s.io/v1", "NetworkPolicy", name, namespace, spec, owned)


def cilium_policy(
    name: str,
    selector: Mapping[str, Any],
    egress: Iterable[Any] = (),
    ingress: Iterable[Any] = (),
    *,
    owned: bool = True,
) -> dict[str, Any]:
    """A CiliumNetworkPolicy, as the compiler writes them."""
    spec = {
        "endpointSelector": _endpoints(selector),
        "ingress": list(ingress) or [{"fromEntities": ["none"]}],
        "egress": list(egress) or [{"toEntities": ["none"]}],
    }
    return _object("cilium.io/v2", "CiliumNetworkPolicy", name, "ci", spec, owned)


def endpoints(side: str, selector: Mapping[str, Any], namespace: str, *ports: Mapping[str, Any]) -> dict[str, Any]:
    """One of its rules: pods of a namespace at some ports."""
    peer = _endpoints(selector)
    peer["matchLabels"] = {**peer.get("matchLabels", {}), "k8s:io.kubernetes.pod.namespace": namespace}
    rule: dict[str, Any] = {f"{side}Endpoints": [peer]}
    return rule | ({"toPorts": [{"ports": [dict(port)]} for port in ports]} if ports else {})


def _endpoints(selector: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"matchLabels": {f"k8s:{k}": v for k, v in (selector.get("matchLabels") or {}).items()}}
    if selector.get("matchExpressions"):
        found["matchExpressions"] = [{**e, "key": f"k8s:{e['key']}"} for e in selector["matchExpressions"]]
    return found


def allow_policy(name: str, labels: Mapping[str, str], rules: Iterable[Any] = (), *, dry_run: bool = False, **kw: Any):
    """An AuthorizationPolicy."""
    spec: dict[str, Any] = {"selector": {"matchLabels": dict(labels)}, "action": "ALLOW"}
    if rules := list(rules):
        spec["rules"] = rules
    annotations = {"istio.io/dry-run": "true"} if dry_run else {}
    namespace, owned = kw.get("namespace", "ci"), kw.get("owned", True)
    return _object("security.istio.io/v1", "AuthorizationPolicy", name, namespace, spec, owned, annotations)


def strict(name: str, labels: Mapping[str, str], ports: Iterable[int] = (), namespace: str = "ci") -> dict[str, Any]:
    """A PeerAuthentication that is STRICT save on some ports."""
    spec: dict[str, Any] = {"selector": {"matchLabels": dict(labels)}, "mtls": {"mode": "STRICT"}}
    if lax := {str(p): {"mode": "PERMISSIVE"} for p in ports}:
        spec["portLevelMtls"] = lax
    return _object("security.istio.io/v1", "PeerAuthentication", name, namespace, spec, True)


def account(name: str) -> dict[str, Any]:
    """A ServiceAccount."""
    made = _object("v1", "ServiceAccount", name, "ci", {}, True)
    return stamped({k: v for k, v in made.items() if k != "spec"} | {"automountServiceAccountToken": False})


def to(labels: Mapping[str, str], *ports: int, namespace: str | None = None) -> dict[str, Any]:
    """An egress rule to pods."""
    return _rule("to", labels, ports, namespace)


def of(labels: Mapping[str, str], *ports: int, namespace: str | None = None) -> dict[str, Any]:
    """An ingress rule from pods."""
    return _rule("from", labels, ports, namespace)


def _rule(key: str, labels: Mapping[str, str], ports: Iterable[int], namespace: str | None) -> dict[str, Any]:
    peer: dict[str, Any] = {"podSelector": {"matchLabels": dict(labels)}}
    if namespace:
        peer["namespaceSelector"] = {"matchLabels": {names.NAMESPACE_NAME_LABEL: namespace}}
    return {key: [peer], "ports": [{"port": p, "protocol": "TCP"} for p in ports]}


def _object(
    api: str,
    kind: str,
    name: str,
    namespace: str,
    spec: Any,
    owned: bool,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": namespace}
    if annotations:
        meta["annotations"] = dict(annotations)
    made = {"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec}
    if not owned:
        return made
    meta["labels"] = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SEGMENT_LABEL: "shop"}
    owner = {"kind": names.SEGMENT, "uid": UID} if namespace == "ci" else {"kind": names.GRANT, "uid": "grant-uid"}
    meta["ownerReferences"] = [{"apiVersion": names.API_VERSION, "name": "shop", **owner}]
    if namespace != "ci":
        meta["annotations"] = {**meta.get("annotations", {}), names.SEGMENT_UID_ANNOTATION: UID}
    return stamped(made)


def stored(obj: Mapping[str, Any], version: int = 1) -> dict[str, Any]:
    """An object as the API server would give it back."""
    meta = obj["metadata"]
    server = {"uid": f"uid-{obj['kind']}-{meta.get('namespace')}-{meta['name']}", "resourceVersion": str(version)}
    return {**obj, "metadata": {**meta, **server, "generation": version}}


@dataclass
class Scene:
    """What exists, what is wanted, and what else stands in the namespaces."""

    old: list[dict[str, Any]] = field(default_factory=list)
    new: list[dict[str, Any]] = field(default_factory=list)
    foreign: list[dict[str, Any]] = field(default_factory=list)

    def changes(self) -> ChangeSet:
        live = {ObjectID.of(o): Live.of(stored(o), whole=False) for o in [*self.old, *self.foreign]}
        return plan(Desired(SEGMENT, UID, tuple(self.new)), live, (), {t: found.applied for t, found in live.items()})

    def sequence(
        self,
        restraint: Restraint = Restraint.NONE,
        changes: ChangeSet | None = None,
        withdrawn: Iterable[ObjectID] = (),
        removed: Iterable[ObjectID] = (),
    ) -> Sequence:
        changes = changes or self.changes()
        objects = {ObjectID.of(o): stored(o) for o in self.old}
        known = {target: objects.get(target) for target in needs(changes, restraint)}
        gone = frozenset(removed)
        return safe_sequence(changes, known, self.foreign, restraint, frozenset(withdrawn), removed=gone)

    def states(self, steps: Iterable[Step]) -> Iterable[list[dict[str, Any]]]:
        """Give every object that exists, before the first step and after each."""
        objects = {ObjectID.of(o): o for o in [*self.old, *self.foreign]}
        yield list(objects.values())
        for step in steps:
            if step.verb == "delete":
                objects.pop(step.id)
            else:
                assert step.object is not None
                assert ObjectID.of(step.object) == step.id
                assert (step.id in objects) is (step.verb == "apply"), f"{step.verb} {step.id}"
                objects[step.id] = dict(step.object)
            yield list(objects.values())


def words(sequence: Sequence) -> list[str]:
    """Say each step in two words: `…` for one on the way, a guard without its digits."""
    steps = [(f"{step.verb}{'' if step.final else '…'}", step.id.name) for step in sequence.steps]
    return [
        f"{verb} {name.split('-guard-')[0]}-guard" if "-guard-" in name else f"{verb} {name}" for verb, name in steps
    ]


PORTS = (Port("TCP", 80), Port("TCP", 81), Port("UDP", 80))


def pods() -> list[PodEnd]:
    """Six pods of `ci`, all kinds of labels, in the mesh, and one of `other`, which is not."""
    made = []
    for i, app in enumerate("abc"):
        for j, tier in enumerate("xy"):
            labels = {"app": app, "tier": tier}
            ip = f"10.0.{i}.{j + 1}"
            made.append(PodEnd("ci", f"{app}{tier}", labels, ips=(ip,), service_account=app, meshed=tier == "x"))
    made.append(PodEnd("other", "out", {"app": "a"}, ips=("10.1.0.1",), service_account="out"))
    return made


def flows(objects: Iterable[dict[str, Any]], ends: list[PodEnd], *, cidr_matches_pods: bool) -> Flows:
    """Everything that is open, as (source, destination, port, identity or plaintext)."""
    objects = list(objects)
    network = NetworkPolicies(objects, cidr_matches_pods=cidr_matches_pods)
    mesh = Istio(objects)
    found = set()
    for source in ends:
        for destination in ends:
            if source is destination:
                continue
            for port in PORTS:
                if not network.verdict(source, destination, port).allowed:
                    continue
                mine = f"cluster.local/ns/{source.namespace}/sa/{source.service_account}" if source.meshed else None
                for principal in {mine, None}:
                    request = Request(principal, port.number, source_ip=source.ips[0])
                    if port.protocol != "TCP" or mesh.verdict(destination, request).allowed:
                        found.add((str(source), str(destination), str(port), principal or "plaintext"))
    return frozenset(found)
