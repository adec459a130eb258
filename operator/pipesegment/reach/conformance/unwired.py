"""Pods that are a stage's by their labels and somebody else by their account."""

from collections.abc import Iterator

from pipesegment import names
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_stage
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View


def check(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find a stage's pods that run as another account."""
    wrong = sorted(p.meta.name for p in pods if p.service_account != view.account)
    if wrong:
        yield of_stage(
            scene,
            view,
            "Unwired",
            wrong[0],
            f"{some(wrong, f'of stage {view.key.stage}')} not running as service account {view.account}",
            "set the account in the engine; `pipesegment wire` prints how",
        )


def count(view: View, pods: tuple[Pod, ...]) -> int:
    """Count a stage's pods that run as another account than the stage's."""
    return sum(1 for p in pods if p.service_account != view.account)


def is_wired(scene: Scene, view: View, pods: tuple[Pod, ...]) -> bool:
    """Tell whether a stage's pods are known to run as its account: they do now, or did when there were any.

    Pipelines have no pods between two runs, so what was seen is kept as a label on the stage's own policy.
    """
    if count(view, pods):
        return False
    name = names.object_name(view.key.segment, view.key.stage)
    policy = scene.snapshot.policies.get(view.key.namespace, {}).get(name)
    seen = policy is not None and policy.owned and policy.meta.labels.get(names.WIRED_LABEL) == "true"
    return bool(pods) or seen
