"""The whole operator on the in-memory twin: no process, no network, and time that moves when it is told to."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.report.metrics import Metrics
from pipesegment.reporting import Reporter
from pipesegment.running import Operator
from pipesegment.settings import Settings
from pipesegment.world.clock import ManualClock
from pipesegment.world.faults import Write
from pipesegment.world.memory import MemoryCluster

#: What lets connections through or not.
POLICIES = frozenset({"NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"})
#: Long enough for what is gathered and for first retries, shorter than a resync.
_PATIENCE = 400

Document = Mapping[str, Any]


class Twin:
    """One operator that leads on a cluster. `kopf`'s part is played by `put` and `drop`."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster
        self.clock = ManualClock()
        self.metrics = Metrics(CollectorRegistry())
        self._reporter = Reporter(cluster, self.metrics, "twin")
        # A process that dies finishes nothing.
        settings = Settings(identity="twin", namespace="pipesegment-system", drain_timeout=0)
        self.operator = Operator(cluster, settings, self._reporter, clock=self.clock)

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
            before = (self.cluster.calls.total(), self.cluster.version)
            await self.clock.advance(0.5)
            still = still + 1 if before == (self.cluster.calls.total(), self.cluster.version) else 0
            if still == (13 if leading else 2):
                return
        raise AssertionError(f"it does not come to rest: {self.cluster.writes[-8:]}")

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
async def leading(cluster: MemoryCluster) -> AsyncIterator[Twin]:
    """Run an operator on a cluster."""
    twin = Twin(cluster)
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
    for kind in ("NetworkPolicy", "ServiceAccount", "AuthorizationPolicy", "PeerAuthentication", "Sidecar"):
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
