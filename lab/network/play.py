"""A scenario in the lab: its first moment is built, its objects are applied, and after every step everybody is asked."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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
    first = moments[0]
    await build(world, first)
    before, applied = first, dict[str, Object]()
    for moment in moments:
        compiled = judges.compiled(moment)
        await _relabel(world, before, moment)
        wanted = {_key(obj): obj for obj in (*_beside(moment), *compiled.objects)}
        await world.apply(wanted.values())
        for key, obj in applied.items():
            if key not in wanted:
                await world.delete(
                    obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"]["namespace"]
                )
        yield Seen(moment, compiled, await world.sweep(moment.ports))
        before, applied = moment, wanted


async def build(world: World, moment: Moment) -> None:
    """Make namespaces, pods, outside hosts and all objects but policies, and see that everything is open."""
    for name, labels in moment.namespaces.items():
        await world.namespace(name, labels)
    await world.add(moment.pods.values())
    for name, ips in moment.outside.items():
        world.outside(name, *ips)
    await world.apply(_beside(moment))
    await world.baseline(moment.ports)


async def _relabel(world: World, before: Moment, after: Moment) -> None:
    for name, labels in after.namespaces.items():
        if labels != before.namespaces.get(name):
            await world.namespace(name, labels)
    for name, pod in after.pods.items():
        old, new = before.pods[name]["metadata"]["labels"], pod["metadata"]["labels"]
        if old != new:
            await world.relabel(name, _changed(old, new))


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    return {**dict.fromkeys(old.keys() - new.keys()), **new}


def _beside(moment: Moment) -> Iterable[Object]:
    """Give the objects beside policies; a cluster has a Service for its API server already."""
    for obj in moment.facts:
        if obj["kind"] != "NetworkPolicy" and obj["metadata"].get("namespace") != "default":
            yield obj


def _key(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
