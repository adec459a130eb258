"""How the checks tell what they found, and whom a foreign object is about."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipesegment.facts.others import Foreign
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: How `unheld` tells of pods without a sidecar.
NO_SIDECAR: Final = ("NoSidecar", "without a sidecar")


def of_stage(scene: Scene, view: View, reason: str, target: str, message: str, fix: str) -> Finding:
    """Tell something about a stage."""
    return Finding(view.path, reason, target, message, fix, scene.object)


def of_namespace(scene: Scene, reason: str, message: str, fix: str) -> Finding:
    """Tell something about the whole segment's surroundings."""
    return Finding("metadata.namespace", reason, scene.namespace, message, fix, scene.object)


def unheld(scene: Scene, view: View, found: Iterable[Pod], how: tuple[str, str], mend: str) -> Iterator[Finding]:
    """Tell of a stage's pods that no policy of the mesh holds; `how` are the finding's reason and what is amiss with them."""
    bare = sorted(pod.meta.name for pod in found)
    if bare:
        reason, amiss = how
        message = f"{pods(bare, f'of stage {view.key.stage}')} {amiss}, so no policy of the mesh holds there"
        yield of_stage(scene, view, reason, bare[0], message, f"{mend}, or set the stage's mesh: None")


def foreign(scene: Scene, kind: str, namespace: str) -> Iterable[Foreign]:
    """Give the policies of others of a kind in a namespace, and note that they were looked at."""
    scene.reads.add((kind, namespace, "*"))
    return scene.snapshot.others.at(kind, namespace)


def selects(theirs: Selector, mine: Selector, pods: Sequence[Pod]) -> bool:
    """Tell whether somebody's selector provably selects a stage's pods, or is seen to select one."""
    if mine.implies(theirs) or theirs.implies(mine):
        return True
    return any(theirs.matches(p.labels) for p in pods)


def pods(names: Iterable[str], whose: str) -> str:
    """Name some pods as the subject of a sentence, with its verb."""
    found = sorted(names)
    shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
    return f"{len(found)} pod{'s' if len(found) > 1 else ''} {whose} ({shown}) {'are' if len(found) > 1 else 'is'}"
