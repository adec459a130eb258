"""A scenario in the lab: its first moment is built, its objects are applied, and after every step everybody is asked."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from lab.network import judges
from lab.network.judges import Compiled
from lab.network.matrix import Matrix
from lab.network.objects import Object
from lab.network.scenario import Moment
from lab.network.world import World


@dataclass(frozen=True)
class Seen:
    """A moment, what was compiled for it, and what the kernel let through."""

    moment: Moment
    compiled: Compiled
    kernel: Matrix


async def play(world: World, moments: Sequence[Moment]) -> AsyncIterator[Seen]:
    """Play a scenario in an empty world; its pods must have been given addresses of the lab. Raises LabError.

    The objects are those that `pipesegment compile` prints; no operator runs.
    """
    await build(world, moments[0])
    async for seen in through(world, moments):
        yield seen


async def build(world: World, moment: Moment) -> None:
    """Make namespaces, pods, outside hosts and all objects but policies, and see that everything is open."""
    for name, labels in moment.namespaces.items():
        await world.namespace(name, labels)
    await world.add(moment.pods.values())
    for name, ips in moment.outside.items():
        world.outside(name, *ips)
    await world.apply(_beside(moment))
    await world.baseline(moment.ports)


async def through(world: World, moments: Sequence[Moment]) -> AsyncIterator[Seen]:
    """Play a scenario whose first moment was built."""
    applied = dict[str, Object]()
    for moment in moments:
        compiled = judges.compiled(moment)
        await labelled(world, moment)
        wanted = {_key(obj): obj for obj in (*_beside(moment), *compiled.objects)}
        await world.apply(wanted.values())
        for key, obj in applied.items():
            if key not in wanted:
                await world.delete(
                    obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"]["namespace"]
                )
        yield Seen(moment, compiled, await world.sweep(moment.ports))
        applied = wanted


async def labelled(world: World, moment: Moment) -> None:
    """Give namespaces and pods their labels of a moment."""
    for name, labels in moment.namespaces.items():
        await world.namespace(name, labels)
    for name, pod in moment.pods.items():
        await world.label(name, pod["metadata"]["labels"])


def _beside(moment: Moment) -> Iterable[Object]:
    """Give the objects beside policies; a cluster has a Service for its API server already."""
    for obj in moment.facts:
        if obj["kind"] != "NetworkPolicy" and obj["metadata"].get("namespace") != "default":
            yield obj


def _key(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
