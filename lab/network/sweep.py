"""A sweep: everybody tries everybody at every port, and nothing is taken for blocked that merely is broken."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lab.errors import LabError
from lab.network.agent import Agent
from lab.network.links import Host
from lab.network.matrix import Matrix, Member, Way, every
from lab.network.traffic import Answer, Outcome, Probe

#: How long a dropped packet is waited for. A packet that passes is answered within a millisecond.
TIMEOUT = 0.25


@dataclass(frozen=True)
class End:
    """Who takes part: a name, a host, the namespace from which it is reached whatever policies say; whether it is a pod."""

    name: str
    host: Host
    control: str
    pod: bool

    @property
    def member(self) -> Member:
        """Who it is in a matrix."""
        return Member(self.name, self.host.ips, self.pod)


def sweep(agent: Agent, ends: Sequence[End], ports: Sequence[str], extra: Collection[Probe] = ()) -> Matrix:
    """Try every way between the ends, and beside each end's ports its control; `extra` must be answered too.

    Raises LabError when a control fails, when somebody else answers than was asked, or when the network itself fails: a
    way counts as blocked only if its packets vanish on a path that otherwise works.
    """
    hosts = {end.name: end.host for end in ends}
    asked = [
        (way, probe)
        for way in every([end.member for end in ends], ports)
        for probe in _probes(hosts[way.source].namespace, hosts[way.source], hosts[way.destination], way.port)
    ]
    controls: list[tuple[str, str | None, Probe]] = [
        (f"the control of {b.name} at {port}", b.name, probe)
        for b in ends
        for port in ports
        for probe in _probes(b.control, b.host, b.host, port)
    ]
    controls += [("the engine's control", None, probe) for probe in extra]
    probes = [probe for _, probe in asked] + [probe for _, _, probe in controls]
    answers = agent.probe(probes, TIMEOUT)
    for (what, name, probe), answer in zip(controls, answers[len(asked) :], strict=True):
        if answer.outcome is not Outcome.ANSWERED or (name is not None and answer.name != name):
            raise LabError(f"{what} failed ({answer.outcome} {answer.name}): nothing is known about it. Tried: {probe}")
    found = [(way, probe, _passed(way, answer)) for (way, probe), answer in zip(asked, answers, strict=False)]
    return _one_answer(found)


def _probes(namespace: str, source: Host, destination: Host, port: str) -> Iterable[Probe]:
    """Give one probe for each family that both have."""
    protocol, _, number = port.partition("/")
    families = {":" in ip for ip in source.ips}
    for ip in destination.ips:
        if (":" in ip) in families:
            yield Probe(namespace, protocol, ip, int(number))


def _passed(way: Way, answer: Answer) -> bool:
    if answer.outcome is Outcome.SILENT:
        return False
    if answer.outcome is Outcome.ANSWERED and answer.name == way.destination:
        return True
    raise LabError(f"{way}: {answer.outcome} {answer.name}: the lab's network is not as it should be")


def _one_answer(found: Iterable[tuple[Way, Probe, bool]]) -> Matrix:
    by_way: dict[Way, dict[str, bool]] = {}
    for way, probe, passed in found:
        by_way.setdefault(way, {})[probe.address] = passed
    for way, families in by_way.items():
        if len(set(families.values())) > 1:
            raise LabError(f"{way} differs by address: {families}; give its ends one family each")
    return frozenset(way for way, families in by_way.items() if all(families.values()))
