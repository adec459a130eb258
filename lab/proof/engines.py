"""Engines of others that read policies without a network: one judge for each that lab/oracle has."""

from collections.abc import Mapping
from dataclasses import dataclass

from lab.network import judges
from lab.network.matrix import Way
from lab.oracle.judges import Program
from lab.oracle.world import External, World
from lab.proof.hearing import Answer
from lab.proof.scene import Scene
from pipesegment.facts.ends import PodEnd


@dataclass(frozen=True)
class Engine:
    """A program of lab/oracle as a judge; it sees every way."""

    name: str
    about: str
    program: Program

    def ask(self, scene: Scene) -> Mapping[Way, Answer]:
        """Judge the compiled objects."""
        ends, ports = judges.asked(scene.moment)
        pods = tuple(end for end in ends if isinstance(end, PodEnd))
        outside = tuple(External(name, ips) for name, ips in scene.moment.outside.items())
        with self.program.running() as engine:
            opened = {Way(*way) for way in engine.matrix(scene.for_the_network, World(pods, outside), ports)}
        return {way: Answer(way in opened) for way in scene.ways}
