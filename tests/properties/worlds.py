"""Whole worlds as plain documents, and what becomes of them: they come in by the same door as a file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hypothesis import HealthCheck, settings

from pipesegment import names
from pipesegment.compile.desired import Desired, Object
from pipesegment.compile.isolation import isolation
from pipesegment.compile.segment import compile_segment
from pipesegment.declared.declaration import Declaration
from pipesegment.evaluate.endpoints import AddressEnd, End, Port, live
from pipesegment.evaluate.world import World as Judge
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.governance import govern
from pipesegment.reach.graph import Edge, Reach
from pipesegment.reach.resolve import resolve
from tests.properties import soak

Document = Mapping[str, Any]


def checked(examples: int) -> settings:
    """Give the settings of a property; whether others are drawn each time says the profile (tests/conftest.py)."""
    return settings(
        max_examples=soak.examples(examples),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )


NAMESPACES = ("ci", "prod")
ADDRESSES = ("192.0.2.1", "192.0.2.200", "8.8.8.8", "2001:db8::1", "169.254.169.254", "10.1.2.3", "10.0.0.1")
ASKED = (
    Port("TCP", 80),
    Port("TCP", 8080),
    Port("TCP", 8085),
    Port("TCP", 443),
    Port("TCP", 6443),
    Port("UDP", 53),
    Port("UDP", 8080),
)

_API = names.API_VERSION


@dataclass(frozen=True)
class World:
    """Documents of our kinds and plain facts; the segments are what is compiled."""

    segments: tuple[Document, ...]
    grants: tuple[Document, ...] = ()
    classes: tuple[Document, ...] = ()
    facts: tuple[Document, ...] = ()

    @property
    def documents(self) -> tuple[Document, ...]:
        """Everything, in one list."""
        return (*self.facts, *self.classes, *self.grants, *self.segments)

    def with_facts(self, facts: Iterable[Document]) -> "World":
        """Give the same declarations in other surroundings."""
        return replace(self, facts=tuple(facts))


class Compiled:
    """A world after the whole walk."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.snapshot: Snapshot = snapshot(world.documents)
        keys = [(s["metadata"]["namespace"], s["metadata"]["name"]) for s in world.segments]
        found = [self.snapshot.segment(*key) for key in keys]
        self.reaches: tuple[Reach, ...] = tuple(resolve(s, self.snapshot) for s in found if s is not None)
        self.desired: tuple[Desired, ...] = tuple(map(compile_segment, self.reaches))

    @property
    def refused(self) -> bool:
        """Tell whether the command line would refuse any of the segments."""
        return any(reach.refusals for reach in self.reaches)

    @property
    def findings(self) -> Iterator[str]:
        """Give everything that is told, but for what is only about the surroundings."""
        for reach, desired in zip(self.reaches, self.desired, strict=True):
            yield from (str(f) for f in (*reach.findings, *desired.gaps, *desired.coarse))

    @cached_property
    def objects(self) -> list[Object]:
        """Give the objects of every segment and of every class."""
        found = [obj for each in self.desired for obj in each.objects]
        for name, each in sorted(self.snapshot.classes.items()):
            if each.spec is not None:
                governed = {n: "" for n in NAMESPACES if govern(n, self.snapshot).name == name}
                found += isolation(name, each.meta.uid, each.spec, governed).objects
        return found

    @cached_property
    def ends(self) -> list[End]:
        """Give the pods of the facts and some addresses."""
        return [*live(self.snapshot), *(AddressEnd(a) for a in ADDRESSES)]

    def judge(self, more: Iterable[Object] = ()) -> Judge:
        """Give the judge of what the objects enforce, with further ones beside them."""
        services = [s for by_name in self.snapshot.services.values() for s in by_name.values()]
        return Judge([*self.objects, *more], services)

    def open(self, more: Iterable[Object] = ()) -> set[tuple[str, str, str]]:
        """Give every way that the objects leave open."""
        judge = self.judge(more)
        return {(str(a), str(b), str(port)) for a, b, port in questions(self.ends) if judge.judge(a, b, port).enforced}


def questions(ends: Sequence[End]) -> Iterator[tuple[End, End, Port]]:
    """Give what is worth asking: every pair with a pod in it, at every port."""
    for source in ends:
        for destination in ends:
            if source is not destination and not (
                isinstance(source, AddressEnd) and isinstance(destination, AddressEnd)
            ):
                for port in ASKED:
                    yield source, destination, port


@dataclass(frozen=True)
class Difference:
    """A way that only the objects leave open (`wider`), or only the declaration; `ungranted` for lack of a grant."""

    way: str
    wider: bool
    ungranted: bool


def differing(compiled: Compiled, asked: Iterable[tuple[End, End, Port]]) -> list[Difference]:
    """Give the ways of which the objects say something else than the declaration."""
    declaration, judge = Declaration(compiled.snapshot), compiled.judge()
    found = []
    for source, destination, port in asked:
        declared = declaration.judge(source, destination, port)
        enforced = judge.judge(source, destination, port)
        if declared.allowed != enforced.enforced:
            way = f"{source} -> {destination} {port}: declared {declared.because}; enforced {enforced.because}"
            found.append(Difference(way, enforced.enforced, declared.ungranted))
    return found


def untold(compiled: Compiled) -> list[Edge]:
    """Give the edges that stay closed without a word: nothing that is told has their path."""
    told = "\n".join(compiled.findings)
    stages = [stage for reach in compiled.reaches for stage in reach.stages]
    edges = [edge for stage in stages for edge in (*stage.egress, *stage.ingress)]
    return [edge for edge in edges if not edge.open and edge.because not in told]


def document(kind: str, name: str, spec: Document, namespace: str = "", **meta: Any) -> dict[str, Any]:
    """Write a document of ours."""
    placed = {"namespace": namespace} if namespace else {}
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name, **placed, **meta}, "spec": spec}
