"""The matrix: for every pair and port what is declared, and what the objects enforce. The two share no step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipesegment import names
from pipesegment.cli.ends import Ends, ends, named_ports, ports
from pipesegment.cli.inputs import Object
from pipesegment.cli.walk import Walk, isolations
from pipesegment.evaluate.world import World
from pipesegment.facts.ends import End, Port
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.declared import Declaration
from pipesegment.reach.graph import Reach

#: The kinds of facts that decide who reaches whom. Other people's CiliumNetworkPolicies are not judged here.
_JUDGED: Final = frozenset({"NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer: whether `source` may reach `destination` at `port`, by the declaration and by the objects."""

    source: End
    destination: End
    port: Port
    declared: bool
    enforced: bool
    declared_because: str
    enforced_because: str

    @property
    def differs(self) -> bool:
        """Tell whether declaration and objects disagree."""
        return self.declared != self.enforced

    @property
    def because(self) -> str:
        """Give both reasons in one line."""
        return f"{self.declared_because}; {self.enforced_because}"

    def data(self) -> dict[str, Any]:
        """Give it as the JSON that the contract fixes."""
        return {
            "from": str(self.source),
            "to": str(self.destination),
            "port": str(self.port),
            "declared": self.declared,
            "enforced": self.enforced,
            "because": self.because,
        }


class Matrix:
    """Segments in their surroundings, ready to be asked; `ends` and `ports` are what is worth asking about."""

    def __init__(self, walked: Walk) -> None:
        self.reaches: tuple[Reach, ...] = tuple(w.reach for w in walked.walked)
        self.neighbours: tuple[Reach, ...] = tuple(n.reach for n in walked.neighbours)
        self.snapshot: Snapshot = walked.surroundings.snapshot
        self.ends: Ends = ends(self.reaches, self.neighbours, self.snapshot)
        self.ports = tuple(sorted({*ports(self.reaches), *named_ports(self.reaches, self.ends)}))
        services = [s for by_name in self.snapshot.services.values() for s in by_name.values()]
        self._objects = World(list(_objects(walked)), services)
        self._declaration = Declaration(self.snapshot)

    def verdicts(self) -> Iterator[Verdict]:
        """Answer every question that is worth asking."""
        for source, destination in self.ends.pairs():
            for port in self.ports:
                yield self.ask(source, destination, port)

    def ask(self, source: End, destination: End, port: Port) -> Verdict:
        """Answer one question."""
        declared = self._declaration.judge(source, destination, port)
        judged = self._objects.judge(source, destination, port)
        # One entry may answer for both of its ends; it is named once.
        because = "; ".join(dict.fromkeys(declared.because.split("; ")))
        return Verdict(source, destination, port, declared.allowed, judged.enforced, because, judged.because)


def _objects(walked: Walk) -> Iterator[Object]:
    """Give what would be in force: our objects as compiled, the classes' isolation, and the foreign ones of the facts."""
    compiled = (*(w.desired for w in walked.walked), *(n.desired for n in walked.neighbours))
    for desired in (*compiled, *isolations(walked.surroundings, own=False)):
        yield from desired.objects
    for obj in walked.surroundings.facts:
        labels = (obj.get("metadata") or {}).get("labels") or {}
        if obj.get("kind") in _JUDGED and labels.get(names.MANAGED_BY_LABEL) != names.MANAGED_BY:
            yield obj


def mismatches(found: Sequence[Verdict]) -> int:
    """Count the answers in which declaration and objects disagree."""
    return sum(verdict.differs for verdict in found)
