"""The kernel: pods are network namespaces, Calico's Felix enforces the compiled policies, and every way is tried."""

import asyncio
from collections.abc import Mapping

from lab.network.lab import NetworkLab, with_control_plane
from lab.network.matrix import Matrix, Way
from lab.network.play import build
from lab.network.world import World
from lab.proof.hearing import Answer
from lab.proof.scene import NODES, Scene


class Kernel:
    """The network lab as a judge; it sees every way."""

    name = "kernel"
    about = "packets between network namespaces; Calico's Felix tells the kernel what to drop"

    def ask(self, scene: Scene) -> Mapping[Way, Answer]:
        """Try every way, first without policies, when all must be open."""
        with with_control_plane(nodes=NODES) as lab:
            opened = asyncio.run(_opened(lab, scene))
        return {way: Answer(way in opened) for way in scene.ways}


async def _opened(lab: NetworkLab, scene: Scene) -> Matrix:
    async with lab.plane.api() as api, World(lab, api) as world:
        await build(world, scene.moment)
        await world.apply(scene.for_the_network)
        return await world.sweep(scene.moment.ports)
