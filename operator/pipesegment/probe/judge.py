"""What the probes' answers say about each way.

Every way that must be closed has its control: the listener answered at its own address before and after, and where
another stage may call it, that stage did. An answer without its control is none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipesegment.findings import Finding
from pipesegment.probe.choose import Choice, Way
from pipesegment.probe.dial import Answer, Dial
from pipesegment.reach.edges import StageKey
from pipesegment.reach.graph import Reach
from pipesegment.verify.results import Edge

_PATH: Final = "metadata.namespace"

Addresses = Mapping[StageKey, tuple[str, ...]]
Answers = Mapping[StageKey, Mapping[Dial, tuple[Answer, ...]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a way is open, None where that is not shown; and why."""

    shown: bool | None
    because: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried for a segment, and what came back. `problems` tell why a stage's probes did not run."""

    reach: Reach
    choice: Choice
    addresses: Addresses
    answers: Answers
    alive: frozenset[StageKey]
    problems: Mapping[StageKey, str]

    def edges(self) -> Iterator[Edge]:
        """Give every way as it is told."""
        for way in self.choice.ways:
            verdict = self.verdict(way)
            source = f"{way.source.namespace}/{way.source.segment}-{way.source.stage}"
            because = f"{way.because}; {verdict.because}"
            yield Edge(source, way.target, f"TCP/{way.port}", way.declared, verdict.shown, because)

    def blocks(self) -> bool:
        """Tell whether something was blocked that answers elsewhere: then somebody enforces."""
        return any(way.kind == "stage" and self.verdict(way).shown is False for way in self.choice.ways)

    def verdict(self, way: Way) -> Verdict:
        """Judge one way by its last tries."""
        tried = self._tried(way)
        if not tried:
            return Verdict(None, "not shown: no probe could try it")
        last = list(dict.fromkeys(tries[-1] for tries in tried))
        if "open" in last:
            return Verdict(True, f"probed: open{_before(tried)}")
        said = f"probed: {', '.join(last)}{_before(tried)}"
        match way.kind:
            case "stage" if way.stage not in self.alive:
                return Verdict(None, f"not shown: {said}, and the listener answers no more")
            case "stage":
                return Verdict(False, f"{said}; control: {self._control(way)}")
            case "api":
                return Verdict(False, f"{said}; control: the API server answers whoever asks for this")
            case "pod" if "silent" not in last:
                return Verdict(None, f"not shown: {said}, by the pod or by somebody on the way")
            case "metadata" if way.declared:
                return Verdict(None, f"not shown: {said}, and there may be no such service")
            case _:
                return Verdict(False, said)

    def findings(self) -> Iterator[Finding]:
        """Give what could not be shown, and what was open for a moment."""
        yield from self._not_run()
        waiting: set[StageKey] = set()
        for way in self.choice.ways:
            verdict = self.verdict(way)
            if verdict.shown is None and way.stage is not None and not {way.source, way.stage} & self.problems.keys():
                message = f"stage {way.source.stage} to stage {way.stage.stage} at TCP/{way.port} is {verdict.because}"
                yield self._finding(way.source, "NotProbed", way.target, message, "try again")
            early = any("open" in tries for tries in self._tried(way))
            if verdict.shown is False and not way.declared and early and way.source not in waiting:
                waiting.add(way.source)
                message = (
                    f"a new pod of stage {way.source.stage} reached {way.target} at TCP/{way.port}, and then no more"
                )
                fix = (
                    "have the engine hold new pods until their policies are in place, or let pods wait before they work"
                )
                yield self._finding(way.source, "StartupWindow", way.target, message, fix)

    def _not_run(self) -> Iterator[Finding]:
        for key, problem in sorted(self.problems.items()):
            message = f"a probe of stage {key.stage} did not run: {problem}"
            fix = "see that its image can be pulled and that pods of the stage may be made, and try again"
            yield self._finding(key, "NotProbed", f"stage {key.stage}", message, fix)
        left_out = ", ".join(key.stage for key in self.choice.left_out)
        if left_out:
            fix = "allow more of them with --max-probes"
            message = f"no probe was left for stages {left_out}"
            yield Finding(_PATH, "NotProbed", left_out, message, fix, str(self.reach.segment))

    def _finding(self, stage: StageKey, reason: str, target: str, message: str, fix: str) -> Finding:
        path = next(found.path for found in self.reach.stages if found.key == stage)
        return Finding(path, reason, target, message, fix, str(self.reach.segment))

    def _tried(self, way: Way) -> list[tuple[Answer, ...]]:
        """Give a way's tries, by the addresses of whoever is called."""
        own = self.answers.get(way.source, {})
        found = (own.get(way.dial(address), ()) for address in way.at(self.addresses))
        return [tries for tries in found if tries]

    def _control(self, way: Way) -> str:
        """Name what shows that the listener is there: whoever else reached it, or it itself."""
        for other in self.choice.ways:
            if other.stage == way.stage and any(tries[-1] == "open" for tries in self._tried(other)):
                return f"stage {other.source.stage} reaches it at TCP/{other.port}"
        return "it answers at its own address"


def _before(tried: list[tuple[Answer, ...]]) -> str:
    """Tell tries that ended otherwise than the last one."""
    for tries in tried:
        other = sum(1 for answer in tries if (answer == "open") is not (tries[-1] == "open"))
        if other:
            return f" (otherwise in {other} of {len(tries)} tries)"
    return ""
