"""The door through which probes are run: in a cluster's pods (`world.probing`), or in a lab's network namespaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipesegment.probe.dial import Answer, Dial
from pipesegment.reach.edges import StageKey


@dataclass(frozen=True, slots=True)
class Actor:
    """Who a probe stands for: a pod with a stage's labels and its account. `owner_uid` is the segment's, '' offline."""

    stage: StageKey
    labels: Mapping[str, str]
    account: str
    owner_uid: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """A probe that answers at some ports."""

    actor: Actor
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """A probe that calls."""

    actor: Actor
    dials: tuple[Dial, ...] = field(default=())


class Prober(Protocol):
    """Runs the probes of one segment. Whoever calls it calls `clear` in the end, whatever happened."""

    @property
    def problems(self) -> Mapping[StageKey, str]:
        """Why probes of a stage did not run."""

    async def listen(self, listeners: Sequence[Listener]) -> Mapping[StageKey, tuple[str, ...]]:
        """Start listeners; give the addresses of those whose every port answers at their own address.

        A pod always reaches itself, so that is the control: what nobody else can reach there is blocked on the way.
        """

    async def call(self, callers: Sequence[Caller]) -> Mapping[StageKey, Mapping[Dial, tuple[Answer, ...]]]:
        """Start callers; give for each dial what became of its tries, in their order.

        Each try is a new connection. The first is made at once, the last a while later, when every engine has taken in
        that there is a new pod: the last one counts.
        """

    async def listening(self) -> frozenset[StageKey]:
        """Name the stages whose listeners answer still."""

    async def clear(self) -> None:
        """Take everything away that was started."""
