"""The matrix: for every pair and port what is declared, and what the objects enforce. The two share no step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipesegment import names
from pipesegment.cli.ends import Ends, ends, named_ports, ports
from pipesegment.cli.inputs import Object
from pipesegment.cli.walk import Walk, isolations
from pipesegment.declared.declaration import Declaration
from pipesegment.evaluate.world import TRUST_DOMAIN, World
from pipesegment.facts.ends import End, Port
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.governance import govern
from pipesegment.reach.graph import Reach

#: The kinds of facts that decide who reaches whom. Other people's CiliumNetworkPolicies are not judged here.
_JUDGED: Final = frozenset(
    {
        *("NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"),
        *("Server", "HTTPRoute", "MeshTLSAuthentication", "NetworkAuthentication", "ServerAuthorization"),
    }
)
#: The kinds of facts and documents that select pods.
_ASKING: Final = frozenset({"Service", *_JUDGED, *names.KINDS})
#: The fields that hold the labels of a selector.
_SELECTORS: Final = frozenset({"matchLabels", "selector"})


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
        objects = list(_objects(walked))
        given = (*walked.surroundings.facts, *(document.raw for document in walked.surroundings.documents))
        self._raw = (*objects, *(obj for obj in given if obj["kind"] in _ASKING))
        gateways = [g for by_name in self.snapshot.gateways.values() for g in by_name.values()]
        # Identities are judged in one trust domain: that of the first segment's class.
        domains = (reach.governance.spec.mesh.trust_domain for reach in self.reaches)
        self._objects = World(objects, services, gateways, trust_domain=next(domains, TRUST_DOMAIN))
        self._declaration = Declaration(self.snapshot)
        self._own = frozenset(self.ends.own)
        self._order = {end: number for number, end in enumerate((*self.ends.own, *self.ends.others))}

    def __len__(self) -> int:
        """Count the questions that are worth asking."""
        own, others = len(self.ends.own), len(self.ends.others)
        return own * (own - 1 + 2 * others) * len(self.ports)

    def verdicts(self) -> Iterator[Verdict]:
        """Answer every question that is worth asking."""
        for source, destination in self.ends.pairs():
            yield from self._between(source, destination)

    def telling(self) -> Iterator[Verdict]:
        """Answer every question but those to which declaration and objects both say no: nearly all say no.

        Pods that are alike for everybody, such as a stage's replicas, are asked about once; the order is that of `verdicts`.
        """
        kin = self._kin((*self.ends.own, *self.ends.others))
        found = [
            (source, destination, port)
            for sources in kin
            for destinations in kin
            for port in self._telling(sources, destinations)
            for source, destination in self._pairs(sources, destinations)
        ]
        found.sort(key=lambda question: (self._order[question[0]], self._order[question[1]], question[2]))
        return (self.ask(*question) for question in found)

    def unlike(self, ends: Sequence[End]) -> tuple[End, ...]:
        """Give one end of each kind that may be judged in a way of its own."""
        return tuple(alike[0] for alike in self._kin(ends))

    def _kin(self, ends: Sequence[End]) -> Sequence[list[End]]:
        """Put together what is alike for everybody."""
        asked = self._declaration.labels() | set(labels_asked(self._raw))
        kin: dict[object, list[End]] = {}
        for end in ends:
            kin.setdefault((end in self._own, self._objects.kin(end, asked)), []).append(end)
        return tuple(kin.values())

    def _telling(self, sources: Sequence[End], destinations: Sequence[End]) -> Iterator[Port]:
        """Give the ports at which the first pair of two kinds is open or differs."""
        pair = next(self._pairs(sources, destinations), None)
        if pair is not None and not self._never(*pair):
            verdicts = (self.ask(*pair, port) for port in self.ports)
            yield from (verdict.port for verdict in verdicts if verdict.enforced or verdict.differs)

    def _pairs(self, sources: Sequence[End], destinations: Sequence[End]) -> Iterator[tuple[End, End]]:
        own = sources[0] in self._own or destinations[0] in self._own
        return ((s, d) for s in sources for d in destinations if own and s is not d)

    def _never(self, source: End, destination: End) -> tuple[str, str] | None:
        """Give both reasons of a pair between which nothing is declared and nothing passes; None where ports matter."""
        judged = self._objects.never(source, destination)
        declared = None if judged is None else self._declaration.never(source, destination)
        return None if judged is None or declared is None else (declared.because, judged)

    def _between(self, source: End, destination: End) -> Iterator[Verdict]:
        never = self._never(source, destination)
        for port in self.ports:
            if never is None:
                yield self.ask(source, destination, port)
            else:
                yield Verdict(source, destination, port, False, False, *never)

    def ask(self, source: End, destination: End, port: Port) -> Verdict:
        """Answer one question."""
        declared = self._declaration.judge(source, destination, port)
        judged = self._objects.judge(source, destination, port)
        # One entry may answer for both of its ends; it is named once.
        because = "; ".join(dict.fromkeys(declared.because.split("; ")))
        return Verdict(source, destination, port, declared.allowed, judged.enforced, because, judged.because)


def labels_asked(value: Any) -> Iterator[str]:
    """Give the labels that selectors anywhere in a value ask about, and perhaps some that none does."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key in _SELECTORS and isinstance(part, Mapping):
                yield from part
            elif key == "matchExpressions" and isinstance(part, list):
                yield from (str(item.get("key")) for item in part if isinstance(item, Mapping))
            yield from labels_asked(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from labels_asked(part)


def _objects(walked: Walk) -> Iterator[Object]:
    """Give what would be in force: our objects as compiled, the classes' isolation, and the foreign ones of the facts.

    Isolation stays where nobody can be said to govern.
    """
    compiled = (*(w.desired for w in walked.walked), *(n.desired for n in walked.neighbours))
    for desired in (*compiled, *isolations(walked.surroundings, own=False)):
        yield from desired.objects
    snapshot = walked.surroundings.snapshot
    for obj in walked.surroundings.facts:
        meta = obj.get("metadata") or {}
        ours = (meta.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
        stays = meta.get("name") == names.DEFAULT_DENY and govern(meta.get("namespace", "default"), snapshot).stalled
        if obj.get("kind") in _JUDGED and (not ours or stays):
            yield obj
