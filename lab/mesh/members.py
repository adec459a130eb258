"""Who takes part in a mesh lab: a namespace on the bridge, an application in it, and perhaps a sidecar."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lab.errors import LabError
from lab.mesh.applications import Answer, Application, Protocol, Question
from lab.mesh.pods import Listening, PodPlan
from lab.mesh.sidecar import Sidecar

Service = Mapping[str, Any]
_NO_VERDICT = frozenset({"timeout", "unreachable", "refused", "503"})
_BLOCKED = frozenset({"reset", "403"})


@dataclass(frozen=True)
class Member:
    """A pod of the lab, or a host outside of the cluster: then without a plan."""

    name: str
    address: str
    serves: tuple[Listening, ...]
    application: Application
    plan: PodPlan | None = None
    sidecar: Sidecar | None = None

    def listens(self, protocol: Protocol, port: int) -> bool:
        """Tell whether its application listens there; HTTP is TCP."""
        wire = "UDP" if protocol == "UDP" else "TCP"
        return any((each.protocol, each.port) == (wire, port) for each in self.serves)


@dataclass(frozen=True)
class Probe:
    """One question from one member to another: at a Service's own port, or at a pod's or a host's.

    `source` and `target` are `namespace/name`, or the name of a host. A sidecar knows others by their Services: to a
    pod's address it speaks plaintext.
    """

    source: str
    kind: Literal["service", "pod", "host"]
    target: str
    port: int
    protocol: Protocol = "HTTP"
    method: str = "GET"
    path: str = "/"
    #: The name under which a host outside is asked for, by TLS or HTTP; its address when empty.
    named: str = ""

    def __str__(self) -> str:
        what = f"{self.method} {self.path} " if self.protocol == "HTTP" else ""
        named = f" as {self.named}" if self.named else ""
        return f"{self.source} -> {what}{self.kind} {self.target}{named} {self.protocol}/{self.port}"


@dataclass(frozen=True)
class Route:
    """A probe's question, who may answer it, and at which port of theirs."""

    question: Question
    receivers: tuple[Member, ...]
    port: int


def route(probe: Probe, members: Mapping[str, Member], services: Mapping[str, Service]) -> Route:
    """Find where a probe goes. Raises LabError when the lab knows no such target."""
    if probe.kind != "service":
        member = members.get(probe.target)
        if member is None:
            raise LabError(f"the lab has no {probe.kind} {probe.target}; it has {', '.join(sorted(members))}")
        name = probe.named or f"{member.address}:{probe.port}"
        return Route(_question(probe, member.address, name), (member,), probe.port)
    service = services.get(probe.target)
    wire = "UDP" if probe.protocol == "UDP" else "TCP"
    wanted = {"port": probe.port, "protocol": wire}
    found = [p for p in service["spec"]["ports"] if p.items() >= wanted.items()] if service else []
    if service is None or not found:
        raise LabError(f"the lab has no Service {probe.target} with a port {wire}/{probe.port}")
    receivers = tuple(selected(service, members.values()))
    if not receivers:
        raise LabError(f"the Service {probe.target} selects no pod of the lab")
    plan = receivers[0].plan
    assert plan is not None
    namespace, name = probe.target.split("/")
    question = _question(probe, service["spec"]["clusterIP"], f"{name}.{namespace}.svc.cluster.local:{probe.port}")
    return Route(question, receivers, plan.number(found[0]["targetPort"], wire))


def selected(service: Service, members: Iterable[Member]) -> Iterable[Member]:
    """Give the pods that a Service selects."""
    namespace, selector = service["metadata"]["namespace"], service["spec"].get("selector") or {}
    for member in members:
        plan = member.plan
        if selector and plan and plan.namespace == namespace and plan.labels.items() >= selector.items():
            yield member


def vet(probe: Probe, way: Route, answer: Answer) -> None:
    """Raise LabError when an answer is none: nobody but a policy may have refused it, nobody but the target answered.

    A block counts only beside the proof that the application behind it lives.
    """
    alive = [member for member in way.receivers if member.listens(probe.protocol, way.port)]
    if answer.said in _NO_VERDICT and alive:
        raise LabError(f"{probe}: '{answer.said}' is no verdict, for the application listens: {answer.text}")
    if answer.said in {"200", "open"} and answer.text not in {member.name for member in way.receivers}:
        raise LabError(f"{probe}: answered by '{answer.text}' instead of {way.receivers[0].name}")
    if answer.said == "403" and "RBAC" not in answer.text:
        raise LabError(f"{probe}: a 403 that no policy gave: {answer.text}")
    if answer.said in _BLOCKED:
        for member in alive:
            control = member.application.ask(Question(probe.protocol, "127.0.0.1", way.port, "localhost"))
            if control.text != member.name:
                raise LabError(f"{probe}: {member.name} does not even answer itself ({control.said})")


def _question(probe: Probe, address: str, host: str) -> Question:
    return Question(probe.protocol, address, probe.port, host, probe.method, probe.path)
