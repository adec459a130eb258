"""The whole operator on the in-memory twin: no process, no network, and time that moves when it is told to."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.evaluate.endpoints import AddressEnd, End, Port, live
from pipesegment.evaluate.world import World
from pipesegment.facts.parse import snapshot
from pipesegment.report.metrics import Metrics
from pipesegment.reporting import Reporter
from pipesegment.running import Operator
from pipesegment.settings import Settings
from pipesegment.world.aws.memory import MemoryAws
from pipesegment.world.clock import ManualClock, utc
from pipesegment.world.faults import Write
from pipesegment.world.lookups import Lookups
from pipesegment.world.memory import MemoryCluster

#: What lets connections through or not.
POLICIES = frozenset({"NetworkPolicy", "CiliumNetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"})
#: Long enough for what is gathered and for first retries, shorter than a resync.
_PATIENCE = 400

Document = Mapping[str, Any]


class Twin:
    """One operator that leads on a cluster. `kopf`'s part is played by `put` and `drop`."""

    def __init__(
        self,
        cluster: MemoryCluster,
        *,
        cloud: MemoryAws | None = None,
        lookups: Lookups | None = None,
        now: Callable[[], datetime] = utc,
        backends: str = "",
    ) -> None:
        self.cluster = cluster
        self.cloud = cloud
        self.clock = ManualClock()
        self.metrics = Metrics(CollectorRegistry())
        self._reporter = Reporter(cluster, self.metrics, "twin")
        # A process that dies finishes nothing.
        settings = Settings(identity="twin", namespace="pipesegment-system", drain_timeout=0, aws_backends=backends)
        self.operator = Operator(
            cluster, settings, self._reporter, cloud=cloud, lookups=lookups, clock=self.clock, now=now
        )

    async def start(self) -> None:
        """Start, read everything, lead, and settle."""
        self._reporter.start()
        self.operator.start()
        await self.quiet(leading=False)
        await self.operator.lead()
        await self.quiet()

    async def quiet(self, *, leading: bool = True) -> None:
        """Let everything happen that happens without anybody's doing, retries included, but no resync."""
        still = 0
        for _ in range(_PATIENCE):
            before = self._traces()
            await self.clock.advance(0.5)
            still = still + 1 if before == self._traces() else 0
            if still == (13 if leading else 2):
                return
        raise AssertionError(f"it does not come to rest: {self.cluster.writes[-8:]}")

    def _traces(self) -> tuple[int, int, int]:
        return self.cluster.calls.total(), self.cluster.version, len(self.cloud.calls) if self.cloud else 0

    def put(self, document: Document) -> None:
        """Take in a segment as it is in the cluster now, as kopf's watch does."""
        found = self.cluster.peek(target_of(document))
        assert found is not None
        self.operator.put_segment(found)

    async def stop(self) -> None:
        """End, or die."""
        await self.operator.stop()
        await self._reporter.stop()


@asynccontextmanager
async def leading(cluster: MemoryCluster, *, lookups: Lookups | None = None) -> AsyncIterator[Twin]:
    """Run an operator on a cluster."""
    twin = Twin(cluster, lookups=lookups)
    try:
        await twin.start()
        yield twin
    finally:
        await twin.stop()


def target_of(document: Document) -> ObjectID:
    """Name a document's object; facts come without an apiVersion now and then."""
    return ObjectID.of({"apiVersion": "v1", **document})


def seeded(documents: Iterable[Document]) -> MemoryCluster:
    """Make a cluster that holds these documents."""
    cluster = MemoryCluster()
    order = {"Namespace": 0}
    for document in sorted(documents, key=lambda found: order.get(found["kind"], 1)):
        cluster.seed({"apiVersion": "v1", **document})
    return cluster


def change(twin: Twin, old: Document | None, new: Document | None) -> None:
    """Make, replace or delete one document as its author does.

    What it owned is not collected at once: the API server's collector comes when it likes, and this is the operator's
    own order.
    """
    cluster = twin.cluster
    if new is None:
        assert old is not None
        gone = cluster.existing(target_of(old))
        cluster.drop(gone, orphan=True)
        if old["kind"] == names.SEGMENT:
            twin.operator.drop_segment(gone)
        return
    if old is None:
        cluster.seed(new)
    else:
        cluster.edit(target_of(new), lambda obj: obj.update(spec=new["spec"]))
    if new["kind"] == names.SEGMENT:
        twin.put(new)


def policies(cluster: MemoryCluster) -> dict[ObjectID, dict[str, Any]]:
    """Give every policy that exists, whoever made it."""
    return {ObjectID.of(obj): obj for kind in sorted(POLICIES) for obj in cluster.objects(kind)}


def states(before: Mapping[ObjectID, dict[str, Any]], writes: Iterable[Write]) -> Iterator[list[dict[str, Any]]]:
    """Replay writes: give the policies that existed before the first and after each that changed one."""
    objects = dict(before)
    yield list(objects.values())
    for write in writes:
        if write.target.kind not in POLICIES or write.before == write.after:
            continue
        if write.after is None:
            objects.pop(write.target, None)
        else:
            objects[write.target] = write.after
        yield list(objects.values())


def shapes(cluster: MemoryCluster) -> dict[ObjectID, Any]:
    """Give what every object of ours says, without what differs from one making to the next."""
    found = {}
    for kind in (
        "NetworkPolicy",
        "CiliumNetworkPolicy",
        "ServiceAccount",
        "AuthorizationPolicy",
        "PeerAuthentication",
        "Sidecar",
        "ServiceEntry",
    ):
        for obj in cluster.objects(kind):
            meta = obj["metadata"]
            if (meta.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY:
                kept = {key: meta.get(key) for key in ("labels", "annotations", "ownerReferences")}
                body = {key: value for key, value in obj.items() if key != "metadata"}
                found[ObjectID.of(obj)] = {**body, "metadata": kept}
    return found


@contextlib.contextmanager
def recorded(cluster: MemoryCluster) -> Iterator[list[Write]]:
    """Record the writes of a block."""
    begin = len(cluster.writes)
    found: list[Write] = []
    try:
        yield found
    finally:
        found += cluster.writes[begin:]


async def restarted(cluster: MemoryCluster) -> list[Write]:
    """Have another process start, do what there is to do, and end; give its writes."""
    with recorded(cluster) as writes:
        async with leading(cluster):
            pass
    return writes


def document(kind: str, name: str, spec: Document, namespace: str = "", **meta: Any) -> dict[str, Any]:
    """Write a document of our kinds."""
    placed = {"namespace": namespace} if namespace else {}
    return {"apiVersion": names.API_VERSION, "kind": kind, "metadata": {"name": name, **placed, **meta}, "spec": spec}


def segment(*stages: Document, name: str = "shop", namespace: str = "ci", **spec: Any) -> dict[str, Any]:
    """Write a PipelineSegment."""
    return document(names.SEGMENT, name, {"stages": list(stages), **spec}, namespace, uid=f"u-{name}")


def stage(name: str, *reaches: Document, app: str = "", **more: Any) -> dict[str, Any]:
    """Write a stage; with `app` it selects the pods of that label."""
    selector = {"podSelector": {"matchLabels": {"app": app}}} if app else {}
    return {"name": name, **selector, **({"reaches": list(reaches)} if reaches else {}), **more}


def to(name: str, *ports: int) -> dict[str, Any]:
    """Write an entry of reaches that names a stage."""
    return {"stage": {"name": name}, "ports": [{"port": port} for port in ports]}


def to_api(*, namespace: str = "prod") -> dict[str, Any]:
    """Write an entry of reaches that names the Service of namespace `prod`."""
    return {"service": {"name": "api", "namespace": namespace}}


def grant(name: str = "deploy", **spec: Any) -> dict[str, Any]:
    """Write a grant of the Service of namespace `prod` to everybody in `ci`."""
    given = {"from": [{"namespace": "ci"}], "to": {"service": {"name": "api"}}, **spec}
    return document(names.GRANT, name, given, "prod", uid=f"u-{name}")


def segment_class(name: str = "default", **spec: Any) -> dict[str, Any]:
    """Write a class of every namespace but the system's own."""
    own = {"key": names.NAMESPACE_NAME_LABEL, "operator": "In", "values": ["ci", "prod"]}
    return document(names.CLASS, name, {"namespaceSelector": {"matchExpressions": [own]}, **spec}, uid=f"u-{name}")


def surroundings(*, mesh: bool = False) -> list[dict[str, Any]]:
    """Write two namespaces with pods `a` to `d`, a Service in the second one, and the cluster's resolver."""
    found = [_core("Namespace", name) for name in ("ci", "prod", "kube-system")]
    dns = [{"name": "dns", "port": 53, "protocol": "UDP"}]
    found.append(_core("Service", "kube-dns", "kube-system", {"selector": {"k8s-app": "kube-dns"}, "ports": dns}))
    http = [{"name": "http", "port": 80, "targetPort": 8080}]
    found.append(_core("Service", "api", "prod", {"selector": {"app": "d"}, "ports": http}))
    for number, app in enumerate("abcd", start=1):
        namespace = "prod" if app == "d" else "ci"
        containers = [{"name": "main"}, *([{"name": "istio-proxy"}] if mesh and app != "d" else [])]
        made = _core("Pod", app, namespace, {"containers": containers, "serviceAccountName": f"shop-{app}"})
        made["metadata"]["labels"] = {"app": app}
        made["status"] = {"phase": "Running", "podIP": f"10.244.0.{number}"}
        found.append(made)
        if mesh and app != "d":
            port = [{"name": "http", "port": 80, "targetPort": 80}, {"name": "more", "port": 81, "targetPort": 81}]
            found.append(_core("Service", app, namespace, {"selector": {"app": app}, "ports": port}))
    if mesh:
        crd = {"name": "authorizationpolicies.security.istio.io"}
        found.append({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": crd})
    return found


def _core(kind: str, name: str, namespace: str = "", spec: Document | None = None) -> dict[str, Any]:
    meta = {"name": name, "uid": f"u-{namespace}-{name}", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **({"spec": spec} if spec is not None else {})}


class Eyes:
    """Sees what is open between the pods of a cluster, and to two addresses outside."""

    def __init__(
        self, documents: Iterable[Document], ports: Iterable[Port] = (Port("TCP", 80), Port("TCP", 81))
    ) -> None:
        facts = snapshot([{"apiVersion": "v1", **found} for found in documents])
        outside = [AddressEnd(address) for address in ("192.0.2.1", "8.8.8.8")]
        self._ends: list[End] = [*(e for e in live(facts) if e.namespace != "kube-system"), *outside]
        self._services = [s for by in facts.services.values() for s in by.values()]
        self._ports = tuple(ports)

    def open(self, objects: Iterable[Document]) -> frozenset[tuple[str, str, str]]:
        """Give every way that these policies leave open."""
        judge = World(objects, self._services)
        return frozenset(
            (str(a), str(b), str(port))
            for a in self._ends
            for b in self._ends
            if a is not b and not (isinstance(a, AddressEnd) and isinstance(b, AddressEnd))
            for port in self._ports
            if judge.judge(a, b, port).enforced
        )
