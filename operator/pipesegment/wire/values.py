"""What the engines' files speak of wiring in: the pods that a stage expects, and the pieces of text that make them so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.findings import Finding
from pipesegment.reach.graph import Reach
from pipesegment.spec.engine import StageEngine
from pipesegment.spec.segment import PipelineSegmentSpec

Language = Literal["yaml", "toml", "groovy"]

_COMMENT: Final[Mapping[Language, str]] = {"yaml": "#", "toml": "#", "groovy": "//"}


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of one stage as the segment expects them.

    `selector` is what they must match, `account` what they must run as; `own` tells that the stage declares its own
    selector, so that the engine's automatic labels do not suffice.
    """

    stage: str
    path: str
    namespace: str
    selector: Selector
    account: str
    automount: bool
    own: bool
    engine: StageEngine | None

    @property
    def labels(self) -> dict[str, str]:
        """Give labels to write by hand; empty when the engine's automatic ones are what the stage selects."""
        return satisfying(self.selector) if self.own else {}

    def spec(self) -> dict[str, Any]:
        """Give what a pod spec must say: the account, and no token where the stage wants none."""
        return {
            "serviceAccountName": self.account,
            **({} if self.automount else {"automountServiceAccountToken": False}),
        }


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of some file of the engine: what it is (`title`, one line; `notes`), and its text."""

    title: str
    language: Language
    text: str
    notes: tuple[str, ...] = ()

    def render(self) -> str:
        """Write it with its title and notes as comments."""
        sign = _COMMENT[self.language]
        return "\n".join([*(f"{sign} {line}" for line in (self.title, *self.notes)), self.text.rstrip("\n")])


@dataclass(frozen=True, slots=True)
class Wiring:
    """A segment with an engine: what its files are made from."""

    segment: Key
    spec: PipelineSegmentSpec
    stages: tuple[Pods, ...]


def wiring(spec: PipelineSegmentSpec, reach: Reach) -> Wiring:
    """Join a segment's declaration with what it resolved to."""
    declared = {stage.name: stage for stage in spec.stages}
    stages = tuple(
        Pods(
            stage=found.key.stage,
            path=found.path,
            namespace=reach.segment.namespace,
            selector=found.selector,
            account=found.account.name,
            automount=found.account.automount,
            own=declared[found.key.stage].pod_selector is not None,
            engine=declared[found.key.stage].engine,
        )
        for found in reach.stages
    )
    return Wiring(reach.segment, spec, stages)


def satisfying(selector: Selector) -> dict[str, str]:
    """Find labels that a selector selects: the first value of each `In`, the word `present` where any will do."""
    labels = dict(selector.labels)
    for requirement in selector.expressions:
        if requirement.key in labels:
            continue
        if requirement.operator == "In":
            labels[requirement.key] = _allowed(requirement, selector.expressions)
        elif requirement.operator == "Exists":
            labels[requirement.key] = "present"
    return labels


def document(value: Any) -> str:
    """Write a value as one YAML document, keys in the given order."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    return text


def render(pieces: Sequence[Piece]) -> str:
    """Write pieces after each other, as a stream of documents where they are YAML."""
    texts = []
    for before, piece in zip([None, *pieces], pieces, strict=False):
        if before is not None:
            texts.append("---" if before.language == piece.language == "yaml" else "")
        texts.append(piece.render())
    return "\n".join(texts)


def lack(pods: Pods, path: str, message: str, fix: str) -> Finding:
    """Make the finding that a stage's pods are not what the segment expects; `path` is one in the checked file."""
    return Finding(path, "Unwired", f"stage {pods.stage}", message, fix)


def stranger(path: str, what: str, name: str, closed: bool) -> Finding:
    """Make the finding that no stage names a task: by the pipeline's own policy it is closed, where there is one."""
    fate = "its pods are closed by the pipeline's policy" if closed else "no stage's policy selects its pods"
    return Finding(
        path, "NoStage", f"{what} {name}", f"no stage names {what} {name}: {fate}", "name it in a stage of the segment"
    )


def account_lacks(pods: Pods, path: str, found: Any) -> Iterable[Finding]:
    """Compare a service account with the stage's."""
    if found != pods.account:
        says = f"the service account is {found!r}" if found else "no service account is named"
        yield lack(pods, path, f"{says}, stage {pods.stage} expects {pods.account}", f"set it to {pods.account}")


def label_lacks(pods: Pods, path: str, found: Any) -> Iterable[Finding]:
    """Compare labels with what the stage selects."""
    labels = mapping(found)
    missing = {k: v for k, v in pods.labels.items() if labels.get(k) != v}
    if pods.own and missing and not pods.selector.matches({k: str(v) for k, v in labels.items()}):
        wanted = ", ".join(f"{k}: {v}" for k, v in missing.items())
        yield lack(pods, path, f"the labels do not match the selector of stage {pods.stage}", f"add {wanted}")


def mapping(value: Any) -> Mapping[str, Any]:
    """Take a value for a mapping; anything else is an empty one (the file is somebody else's, and may be odd)."""
    return value if isinstance(value, Mapping) else {}


def listing(value: Any) -> list[Any]:
    """Take a value for a list; anything else is an empty one."""
    return value if isinstance(value, list) else []


def under(value: Any, *keys: str) -> Any:
    """Walk down mappings; None where the way ends."""
    for key in keys:
        value = mapping(value).get(key)
    return value


def _allowed(wanted: Requirement, expressions: Iterable[Requirement]) -> str:
    same = [e for e in expressions if e.key == wanted.key]
    return next((v for v in wanted.values if all(e.matches({wanted.key: v}) for e in same)), wanted.values[0])
