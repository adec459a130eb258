"""What to try: every pair of a segment's stages, at ports that are declared and at one that is not, and a few others.

Whether a way is declared is asked of the declaration, never of the objects: those are what is on trial.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipesegment.declared.question import Answer
from pipesegment.evaluate.endpoints import PROXY, example_labels, of_pod
from pipesegment.facts.ends import AddressEnd, End, PodEnd, Port
from pipesegment.facts.snapshot import Pod, Snapshot
from pipesegment.probe.dial import Dial
from pipesegment.probe.port import Actor, Caller, Listener
from pipesegment.reach.edges import Edge, Mode, PodPeer, StageKey, Target
from pipesegment.reach.governance import namespace_labels
from pipesegment.reach.graph import Reach, StageReach

METADATA: Final = "169.254.169.254"
#: Ports of which one is tried that nobody declared.
_UNDECLARED: Final = (8080, 8443, 9090, 60606, 61616)
_MOST_PORTS: Final = 6
_MOST_FOREIGN: Final = 4

#: Who is at the other end: a probe that listens, a pod of somebody else, the API server, the metadata service.
Kind = Literal["stage", "pod", "api", "metadata"]
Judge = Callable[[End, End, Port], Answer]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to try. `address` is '' for a listener, whose address is known once it runs."""

    source: StageKey
    kind: Kind
    target: str
    port: int
    declared: bool
    because: str
    stage: StageKey | None = None
    address: str = ""

    def at(self, addresses: Mapping[StageKey, tuple[str, ...]]) -> tuple[str, ...]:
        """Give the addresses at which it is tried: every one of a listener, so both families."""
        return (self.address,) if self.stage is None else addresses.get(self.stage, ())

    def dial(self, address: str) -> Dial:
        """Call it at an address."""
        return Dial(address, self.port, echo=self.kind == "stage")


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything that is tried for one segment; `left_out` are stages for which no probes were left."""

    actors: tuple[Actor, ...]
    listeners: tuple[Listener, ...]
    ways: tuple[Way, ...]
    left_out: tuple[StageKey, ...] = ()

    def callers(self, addresses: Mapping[StageKey, tuple[str, ...]]) -> tuple[Caller, ...]:
        """Give who calls what, once the listeners' addresses are known."""
        found: dict[StageKey, list[Dial]] = {}
        for way in self.ways:
            found.setdefault(way.source, []).extend(map(way.dial, way.at(addresses)))
        return tuple(
            Caller(actor, tuple(dict.fromkeys(found[actor.stage]))) for actor in self.actors if found.get(actor.stage)
        )


def choose(reach: Reach, snapshot: Snapshot, judge: Judge, most: int) -> Choice:
    """Choose what to try with `most` probes: a listener and a caller for each stage that enforces."""
    stages = [stage for stage in reach.stages if stage.mode is Mode.ENFORCE]
    ends = {stage.key: end for stage in stages if (end := _end(stage, snapshot)) is not None}
    able = [stage for stage in stages if stage.key in ends]
    taken = able[: most // 2]
    listeners: list[Listener] = []
    ways: list[Way] = []
    for stage in taken if len(taken) > 1 else ():
        ports = _ports(stage, taken, ends, judge)
        if ports:
            listeners.append(Listener(_actor(stage, ends, reach), ports))
            ways += _between(stage, taken, ends, ports, judge)
    for stage in taken:
        ways += _elsewhere(stage, ends, snapshot, judge)
    return Choice(
        tuple(_actor(stage, ends, reach) for stage in taken),
        tuple(listeners),
        tuple(ways),
        tuple(stage.key for stage in stages if stage not in taken),
    )


def _end(stage: StageReach, snapshot: Snapshot) -> PodEnd | None:
    """Make up a pod of a stage, as the probe will be one."""
    labels = example_labels(stage.selector)
    if labels is None:
        return None
    key = stage.key
    spaces = namespace_labels(key.namespace, snapshot)
    return PodEnd(key.namespace, f"{key.segment}-{key.stage}", labels, spaces, service_account=stage.account.name)


def _actor(stage: StageReach, ends: dict[StageKey, PodEnd], reach: Reach) -> Actor:
    return Actor(stage.key, ends[stage.key].labels, stage.account.name, reach.uid)


def _ports(
    stage: StageReach, stages: Sequence[StageReach], ends: dict[StageKey, PodEnd], judge: Judge
) -> tuple[int, ...]:
    """Give the ports at which a stage's listener answers: some that another stage may call, and one that none may."""

    def called(port: int) -> bool:
        others = (s.key for s in stages if s is not stage)
        return any(judge(ends[key], ends[stage.key], Port("TCP", port)).allowed for key in others)

    named = sorted({n for s in stages for e in (*s.egress, *s.ingress) for n in _numbers(e)})
    open_ports = [port for port in named if called(port)][:_MOST_PORTS]
    closed = next((port for port in (*_UNDECLARED, *named) if not called(port)), None)
    return (*open_ports, *([closed] if closed is not None else []))


def _between(
    stage: StageReach,
    stages: Sequence[StageReach],
    ends: dict[StageKey, PodEnd],
    ports: Sequence[int],
    judge: Judge,
) -> Iterator[Way]:
    for source in stages:
        if source is not stage:
            for port in ports:
                answer = judge(ends[source.key], ends[stage.key], Port("TCP", port))
                name = str(ends[stage.key])
                yield Way(source.key, "stage", name, port, answer.allowed, answer.because, stage=stage.key)


def _elsewhere(stage: StageReach, ends: dict[StageKey, PodEnd], snapshot: Snapshot, judge: Judge) -> Iterator[Way]:
    """Try what a stage reaches outside of its segment, and what nobody should: the API server, the node's identity."""

    def way(kind: Kind, end: End, port: int, address: str) -> Way:
        answer = judge(ends[stage.key], end, Port("TCP", port))
        return Way(stage.key, kind, str(end), port, answer.allowed, answer.because, address=address)

    for pod, port in _foreign(stage, snapshot):
        around = snapshot.namespaces.get(pod.meta.namespace)
        annotations = around.meta.annotations if around else {}
        end = of_pod(pod, namespace_labels(pod.meta.namespace, snapshot), annotations)
        yield way("pod", end, port, pod.ips[0])
    for found in snapshot.slices_of("default", "kubernetes")[:1]:
        for _, port, protocol in found.ports[:1]:
            for address in found.addresses[:1] if protocol == "TCP" else ():
                yield way("api", AddressEnd(address), port, address)
    yield way("metadata", AddressEnd(METADATA), 80, METADATA)


def _foreign(stage: StageReach, snapshot: Snapshot) -> list[tuple[Pod, int]]:
    """Find a pod that runs behind each way out; one with a sidecar takes no plaintext, which tells nothing."""
    found: dict[tuple[str, str, int], tuple[Pod, int]] = {}
    for edge in stage.egress:
        if edge.open and edge.target in {Target.SERVICE, Target.PODS, Target.DESTINATION} and edge.because != "mesh":
            for peer in (p for p in edge.peers if isinstance(p, PodPeer)):
                pods = sorted(snapshot.pods_of(peer.namespace, peer.selector), key=lambda p: p.meta.name)
                pod = next((p for p in pods if p.ips and not p.host_network and PROXY not in p.containers), None)
                if pod is not None:
                    found |= {(*pod.meta.key, number): (pod, number) for number in _numbers(edge)}
    return list(found.values())[:_MOST_FOREIGN]


def _numbers(edge: Edge) -> Iterator[int]:
    for port in edge.ports:
        if port.protocol == "TCP" and isinstance(port.port, int):
            yield port.port
