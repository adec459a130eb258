"""Pods that are in two stages of one segment: allows add up, so they have the rights of both.

Stages that provably share pods are refused (`overlap.within`); these only do for the labels that a pod happens to carry.
"""

from collections.abc import Iterator, Mapping
from itertools import product

from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.edges import Mode
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View


def check(scene: Scene, views: tuple[View, ...]) -> Iterator[Finding]:
    """Find the pods of each stage that an earlier one has too; one that only observes gives them no rights."""
    by_index = {view.index: view for view in views if view.mode is Mode.ENFORCE}
    shared: dict[tuple[int, int], list[str]] = {}
    for name, of in sorted(_stages(scene, by_index).items()):
        for later, earlier in product(of, of):
            # Runner pods may serve both, with the same needs.
            if earlier < later and (of[earlier] or of[later]):
                shared.setdefault((earlier, later), []).append(name)
    for (earlier, later), names in sorted(shared.items()):
        yield _told(scene, by_index[earlier], by_index[later], names)


def _stages(scene: Scene, views: Mapping[int, View]) -> Mapping[str, Mapping[int, bool]]:
    """Give each pod's stages, and whether it has what the stage declares (and not only what a runner needs)."""
    found: dict[str, dict[int, bool]] = {}
    for index, view in views.items():
        for selector, declares in ((view.placed.runner, False), (view.selector, True)):
            for pod in scene.snapshot.pods_of(view.key.namespace, selector) if selector is not None else ():
                found.setdefault(pod.meta.name, {})[index] = declares
    return found


def _told(scene: Scene, earlier: View, later: View, names: list[str]) -> Finding:
    other = f"stage {earlier.key.stage}"
    have = "so it has" if len(names) == 1 else "so they have"
    return Finding(
        f"{later.path}.{'podSelector' if later.stage.pod_selector else 'engine'}",
        "Overlapping",
        other,
        f"{some(names, f'of stage {later.key.stage}')} in {other} too, {have} the rights of both",
        "have the engine give each pod the labels of one stage, or narrow one of the selectors",
        scene.object,
    )
