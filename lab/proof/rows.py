"""Which ways are shown: those of which somebody wants to know, each once."""

from collections.abc import Iterator

from lab.mesh.pods import plan
from lab.network.matrix import Way
from lab.proof.hearing import Proof


def rows(proof: Proof, *, everything: bool = False) -> list[Way]:
    """Give the ways to show, those of one source together: stages first, then the pods beside them, then all others.

    Left out, unless they differ: ports that no stage reaches and at which nobody listens; what goes on between others
    than stages; a pod outside of the pipeline's namespaces that fares like one that is shown already.
    """
    places = {name: number for number, name in enumerate(_sources(proof))}
    shown = proof.scene.ways if everything else list(_without_alike(proof, places))
    return sorted(shown, key=lambda way: (places.get(way.source, len(places)), not proof.declared(way)))


def _without_alike(proof: Proof, places: dict[str, int]) -> Iterator[Way]:
    stages = proof.scene.stages
    inside = {name.partition("/")[0] for name in stages}
    ports = _ports(proof)
    seen = set[frozenset[tuple[str, str, str]]]()
    for source in (*places, *proof.scene.moment.outside):
        ways = [way for way in proof.scene.ways if way.source == source]
        telling = [way for way in ways if source in places and way.port in ports.get(way.destination, ())]
        if source.partition("/")[0] not in inside:
            telling = [way for way in telling if way.destination in stages]
            fate = frozenset((way.destination, way.port, _fate(proof, way)) for way in telling)
            telling = telling if fate not in seen else []
            seen.add(fate)
        yield from (way for way in ways if way in telling or proof.differs(way))


def _sources(proof: Proof) -> list[str]:
    stages = proof.scene.stages
    inside = {name.partition("/")[0] for name in stages}
    others = [name for name in proof.scene.moment.pods if name not in stages]
    return [*stages, *sorted(others, key=lambda name: name.partition("/")[0] not in inside)]


def _ports(proof: Proof) -> dict[str, set[str]]:
    """Give the ports of each end that say something: those that a stage reaches, else those at which it listens."""
    scene = proof.scene
    found: dict[str, set[str]] = {}
    for way in scene.ways:
        if way.source in scene.stages and proof.declared(way):
            found.setdefault(way.destination, set()).add(way.port)
    for name in scene.stages:
        listening = {f"{each.protocol}/{each.port}" for each in plan(scene.moment.pods[name]).serves}
        found.setdefault(name, listening)
    for name in scene.moment.outside:
        found.setdefault(name, {scene.moment.ports[0]})
    return found


def _fate(proof: Proof, way: Way) -> str:
    answers = [each.answers.get(way) for each in proof.heard]
    return f"{proof.declared(way)} {answers}"
