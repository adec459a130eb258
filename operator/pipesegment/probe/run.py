"""One segment's probes from start to end."""

from dataclasses import dataclass

from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Finding
from pipesegment.probe.choose import Judge, choose
from pipesegment.probe.judge import Trial
from pipesegment.probe.port import Prober
from pipesegment.reach.graph import Reach
from pipesegment.verify.results import Edge


@dataclass(frozen=True, slots=True)
class Probed:
    """What probes told of one segment. `blocks`: they saw something blocked that answers elsewhere, so somebody enforces."""

    edges: tuple[Edge, ...]
    findings: tuple[Finding, ...]
    blocks: bool = False


def refusal(reach: Reach) -> str:
    """Say why no probe may run for a segment; '' when it may."""
    guardrails = reach.governance.spec.guardrails
    if reach.governance.stalled:
        return f"no SegmentClass can be said to govern the namespace ({reach.governance.stalled})"
    if guardrails.lockdown or guardrails.controllers:
        return f"SegmentClass {reach.governance.name} lets nobody but an engine's controllers make a stage's pods"
    return ""


async def probe(reach: Reach, snapshot: Snapshot, judge: Judge, prober: Prober, most: int) -> Probed:
    """Run at most `most` probes of one segment, and take them away again, whatever happens."""
    choice = choose(reach, snapshot, judge, most)
    try:
        addresses = await prober.listen(choice.listeners)
        answers = await prober.call(choice.callers(addresses))
        alive = await prober.listening()
    finally:
        await prober.clear()
    trial = Trial(reach, choice, addresses, answers, alive, dict(prober.problems))
    return Probed(tuple(trial.edges()), tuple(trial.findings()), trial.blocks())
