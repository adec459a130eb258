"""Ways around the fence that the class leaves to a stage's pods: not a fault of anybody, and never silent."""

from collections.abc import Iterator

from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_stage
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View


def check(scene: Scene, view: View) -> Iterator[Finding]:
    """Tell every exemption that the class makes for a stage."""
    governance = scene.governance
    for exemption in governance.spec.guardrails.exemptions:
        if not exemption.stages or view.key.stage in exemption.stages:
            ways = ", ".join(exemption.allow)
            message = (
                f"SegmentClass {governance.name} lets pods of stage {view.key.stage} use {ways} ({exemption.reason})"
            )
            fix = "have the platform team remove the exemption once the stage can do without"
            yield of_stage(scene, view, "Exempt", ways, message, fix)
