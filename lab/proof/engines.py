"""Engines of others that read policies without a network: one judge for each that lab/oracle has."""

from collections.abc import Mapping

from lab.network import judges
from lab.network.matrix import Way
from lab.oracle import comparison, cyclonus
from lab.proof.hearing import Answer
from lab.proof.scene import Scene


class Cyclonus:
    """The judge of NetworkPolicies; it sees every way."""

    name = "cyclonus"
    about = "an engine of other people reads the compiled NetworkPolicies"

    def ask(self, scene: Scene) -> Mapping[Way, Answer]:
        """Judge the compiled objects."""
        ends, ports = judges.asked(scene.moment)
        with cyclonus.running() as running:
            opened = comparison.opened(running, scene.for_the_network, ends, ports)
        names = {ip: name for name, ips in scene.moment.outside.items() for ip in ips}
        ways = {
            Way(names.get(source, source), names.get(destination, destination), port)
            for source, destination, port in opened
        }
        return {way: Answer(way in ways) for way in scene.ways}
