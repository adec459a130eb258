"""PipelineSegment: stages of a pipeline and all that each of them reaches and accepts."""

from collections.abc import Callable, Iterable
from typing import Annotated, Final, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Offence, Rule, Unique
from pipesegment.spec.cloud import StageAws
from pipesegment.spec.engine import ENGINE_RULES, Engine, StageEngine
from pipesegment.spec.entries import AcceptEntry, Accepts, Additions, ReachEntry, Reaches
from pipesegment.spec.gates import Gate, Gates
from pipesegment.spec.naming import Naming, items
from pipesegment.spec.ports import CidrBlock, HttpMatch, Port
from pipesegment.spec.selector import PodSelector
from pipesegment.spec.units import AccountName, Annotations, Bool, Label, RoleName, Subdomain, size

__all__ = [
    "AcceptEntry",
    "CidrBlock",
    "Gate",
    "HttpMatch",
    "Mode",
    "PipelineSegmentSpec",
    "Port",
    "ReachEntry",
    "RoleRef",
    "ServiceAccount",
    "Stage",
]

Mode = Literal["Enforce", "Observe"]
_IDENTITY_PREFIX: Final = "eks.amazonaws.com/"


class RoleRef(Model):
    """A Role or ClusterRole that the stage's account is bound to."""

    kind: Literal["Role", "ClusterRole"] = Field(description="Role or ClusterRole.")
    name: RoleName = Field(description="The name of the role.")
    namespace: Label | None = Field(
        None,
        description="The namespace of the binding: the segment's own, which it is when absent too. In a class: the one"
        " namespace where stages may bind the role; all that it governs when absent.",
    )


def _identity_annotations(account: "ServiceAccount") -> Iterable[Offence]:
    for key in account.annotations:
        if key.startswith(_IDENTITY_PREFIX):
            yield ("annotations", key), key


def _changes_to_foreign(account: "ServiceAccount") -> Iterable[Offence]:
    if not account.create:
        for name, api in (
            ("automount_token", "automountToken"),
            ("image_pull_secrets", "imagePullSecrets"),
            ("annotations", "annotations"),
        ):
            if account.has(name):
                yield (api,), account.wire()[api]


def _first_change(told: Callable[..., str]) -> str:
    field = "(has(self.automountToken) ? 'automountToken' : has(self.annotations) ? 'annotations' : 'imagePullSecrets')"
    return f"[{told('', field)}]"


class ServiceAccount(Model):
    """The account that the stage's pods run as."""

    name: AccountName | None = Field(
        None, description="The account's name; `<segment>-<stage>` when absent. Never `default`, never another stage's."
    )
    create: Bool = Field(
        True, description="False: the account must exist already and is never changed. True when absent."
    )
    automount_token: Bool | None = Field(
        None, description="Whether pods get the account's token; only for stages that reach the API server when absent."
    )
    image_pull_secrets: Annotated[tuple[Subdomain, ...], size(16), Unique()] = Field(
        (), description="Names of Secrets for pulling images."
    )
    annotations: Annotations = Field(
        {}, description="Annotations of the account. Identity in AWS is declared under aws, never here."
    )
    role_refs: Annotated[tuple[RoleRef, ...], size(16)] = Field(
        (), description="Roles that the account is bound to; only those that the class allows."
    )

    rules = (
        Rule(
            cel=f"!has(self.annotations) || self.annotations.all(k, !k.startsWith('{_IDENTITY_PREFIX}'))",
            problem="gives an identity in AWS by hand",
            fix="declare it under the stage's aws",
            offences=_identity_annotations,
            field=".annotations",
            naming=items("annotations", f"e.startsWith('{_IDENTITY_PREFIX}')"),
        ),
        Rule(
            cel="!has(self.create) || self.create"
            " || !(has(self.automountToken) || has(self.imagePullSecrets) || has(self.annotations))",
            problem="would change an account that is only used (create: false)",
            fix="remove it, or create: false",
            offences=_changes_to_foreign,
            naming=Naming(_first_change),
        ),
    )


class Stage(Model):
    """One stage: which pods it is, and what they reach and accept. What is not declared is closed."""

    name: Label = Field(description="The name of the stage: a DNS label, unique in the segment.")
    pod_selector: PodSelector | None = Field(
        None,
        description="The pods that are this stage. When absent the engine's preset says so; without an engine the labels"
        " pipesegment.dev/segment and pipesegment.dev/stage.",
    )
    engine: StageEngine | None = Field(None, description="This stage's part of the engine's preset.")
    mode: Mode | None = Field(None, description="Overrides the segment's mode for this stage.")
    mesh: Literal["Auto", "None"] = Field(
        "Auto", description="None: the stage cannot run a sidecar, such as an image builder. Auto when absent."
    )
    service_account: ServiceAccount = Field(
        ServiceAccount(), description="The account that the stage's pods run as; made for the stage when absent."
    )
    dns: Literal["Auto", "Cluster", "None"] = Field(
        "Auto",
        description="Auto: the cluster's resolvers are open when something that the stage reaches has a name; Cluster:"
        " always; None: never. Auto when absent.",
    )
    reaches: Reaches = Field((), description="What the stage reaches: each entry names one target.")
    accepts: Accepts = Field((), description="What the stage accepts: each entry names one source.")
    aws: StageAws = Field(StageAws(), description="The stage's identity in AWS; none when absent.")
    gates: Gates = Field((), description="Evidence that must hold before the stage opens.")


def _undeclared_reach(spec: "PipelineSegmentSpec") -> Iterable[Offence]:
    declared = {stage.name for stage in spec.stages}
    for place, entry in spec.each_reach():
        if (
            entry.stage
            and entry.stage.segment is None
            and entry.stage.namespace is None
            and entry.stage.name not in declared
        ):
            yield (*place, "stage", "name"), entry.stage.name


def _undeclared_accept(spec: "PipelineSegmentSpec") -> Iterable[Offence]:
    declared = {stage.name for stage in spec.stages}
    for place, entry in spec.each_accept():
        found = entry.stage
        if (
            found
            and found.name
            and not found.segment
            and not found.any_segment
            and not found.namespace
            and found.name not in declared
        ):
            yield (*place, "stage", "name"), found.name


def _undeclared_gate(spec: "PipelineSegmentSpec") -> Iterable[Offence]:
    declared = {stage.name for stage in spec.stages}
    for index, stage in enumerate(spec.stages):
        for number, gate in enumerate(stage.gates):
            if gate.stage and gate.stage.name not in declared:
                yield ("stages", index, "gates", number, "stage", "name"), gate.stage.name


def _account_twice(spec: "PipelineSegmentSpec") -> Iterable[Offence]:
    seen: set[str] = set()
    for index, stage in enumerate(spec.stages):
        name = stage.service_account.name
        if name in seen:
            yield ("stages", index, "serviceAccount", "name"), name
        if name is not None:
            seen.add(name)


def _circles(spec: "PipelineSegmentSpec") -> Iterable[Offence]:
    """Find stages that wait for one another; each circle is told once, at the gate that closes it."""
    index = {stage.name: number for number, stage in enumerate(spec.stages)}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> Iterable[Offence]:
        for number, gate in enumerate(spec.stages[index[name]].gates):
            target = gate.stage.name if gate.stage else ""
            if target in trail:
                circle = " -> ".join((*trail[trail.index(target) :], target))
                yield ("stages", index[name], "gates", number, "stage", "name"), circle
            elif target in index and target not in done:
                yield from walk(target, (*trail, target))
        done.add(name)

    for stage in spec.stages:
        if stage.name not in done:
            yield from walk(stage.name, (stage.name,))


_UNDECLARED: Final = "is not a stage of this segment"
_DECLARE: Final = "declare the stage, or name the segment that has it"
_LOCAL_REACH: Final = "!has(e.stage) || has(e.stage.segment) || has(e.stage.__namespace__) || e.stage.name in names"
_LOCAL_ACCEPT: Final = (
    "!has(e.stage) || !has(e.stage.name) || has(e.stage.segment) || (has(e.stage.anySegment) && e.stage.anySegment)"
    " || has(e.stage.__namespace__) || e.stage.name in names"
)
_LOCAL_GATE: Final = "!has(e.stage) || e.stage.name in names"
#: How the API server's messages lead to an entry.
_STAGE: Final = "'stage ' + s.name"
_COMMON: Final = "'common'"
_ACCOUNTS: Final = (
    "self.stages.filter(s, has(s.serviceAccount) && has(s.serviceAccount.name)).map(s, s.serviceAccount.name)"
)


def _with_names(rule: str) -> str:
    """Bind `names` once: looking through the stages again for each entry costs the API server seconds."""
    return f"[self.stages.map(t, t.name)].all(names, {rule})"


def _twice(told: Callable[..., str]) -> str:
    named = "has(s.serviceAccount) && has(s.serviceAccount.name) && !names.exists_one(n, n == s.serviceAccount.name)"
    found = f"self.stages.map(s, {named}, {told('s.serviceAccount.name', _STAGE)})"
    return f"[{_ACCOUNTS}].map(names, {found})[0]"


def _undeclared(field: str, local: str, *, shared: bool) -> Naming:
    """Name who means a stage that is not declared, and that stage, by the condition that holds of all other entries."""

    def texts(told: Callable[..., str]) -> str:
        mine = f"s.{field}.map(e, !({local}), {told('e.stage.name', _STAGE)})[0]"
        found = f"self.stages.map(s, has(s.{field}) && !s.{field}.all(e, {local}), {mine})"
        if shared:
            common = f"self.common.{field}.map(e, !({local}), {told('e.stage.name', _COMMON)})"
            found += f" + (has(self.common) && has(self.common.{field}) ? {common} : [])"
        return f"[self.stages.map(t, t.name)].map(names, {found})[0]"

    return Naming(texts)


class PipelineSegmentSpec(Model):
    """The spec of a PipelineSegment."""

    mode: Mode = Field(
        "Enforce",
        description="Enforce, or Observe: accounts and roles are made, but nothing that blocks. The class's default when"
        " absent.",
    )
    suspend: Bool = Field(
        False,
        description="True: nothing is widened, created or repaired; revocations, expiries, closed gates and deletion still"
        " happen. False when absent.",
    )
    engine: Engine | None = Field(None, description="The pipeline engine whose pods the stages are.")
    common: Additions = Field(Additions(), description="Entries that are added to every stage.")
    stages: Annotated[tuple[Stage, ...], size(64, 1), Unique("name")] = Field(
        description="The stages of the pipeline, keyed by name."
    )

    rules = (
        Rule(
            cel=_with_names(
                f"self.stages.all(s, !has(s.reaches) || s.reaches.all(e, {_LOCAL_REACH}))"
                f" && (!has(self.common) || !has(self.common.reaches) || self.common.reaches.all(e, {_LOCAL_REACH}))"
            ),
            problem=_UNDECLARED,
            fix=_DECLARE,
            offences=_undeclared_reach,
            field=".stages",
            naming=_undeclared("reaches", _LOCAL_REACH, shared=True),
        ),
        Rule(
            cel=_with_names(
                f"self.stages.all(s, !has(s.accepts) || s.accepts.all(e, {_LOCAL_ACCEPT}))"
                f" && (!has(self.common) || !has(self.common.accepts) || self.common.accepts.all(e, {_LOCAL_ACCEPT}))"
            ),
            problem=_UNDECLARED,
            fix=_DECLARE,
            offences=_undeclared_accept,
            field=".stages",
            naming=_undeclared("accepts", _LOCAL_ACCEPT, shared=True),
        ),
        Rule(
            cel=_with_names(f"self.stages.all(s, !has(s.gates) || s.gates.all(e, {_LOCAL_GATE}))"),
            problem=_UNDECLARED,
            fix="declare the stage, or remove the gate",
            offences=_undeclared_gate,
            field=".stages",
            naming=_undeclared("gates", _LOCAL_GATE, shared=False),
        ),
        Rule(
            cel=f"[{_ACCOUNTS}].all(names, names.all(n, names.exists_one(m, m == n)))",
            problem="is the account of another stage too",
            fix="give each stage an account of its own",
            offences=_account_twice,
            field=".stages",
            naming=Naming(_twice),
        ),
        Rule(
            cel="",  # CEL has no recursion
            problem="closes a circle of gates",
            fix="remove one of these gates",
            offences=_circles,
        ),
        *ENGINE_RULES,
    )

    def each_reach(self) -> Iterable[tuple[tuple[str | int, ...], ReachEntry]]:
        """Give every reaches entry of the spec, `common` first, with its place."""
        for index, entry in enumerate(self.common.reaches):
            yield ("common", "reaches", index), entry
        for number, stage in enumerate(self.stages):
            for index, entry in enumerate(stage.reaches):
                yield ("stages", number, "reaches", index), entry

    def each_accept(self) -> Iterable[tuple[tuple[str | int, ...], AcceptEntry]]:
        """Give every accepts entry of the spec, `common` first, with its place."""
        for index, entry in enumerate(self.common.accepts):
            yield ("common", "accepts", index), entry
        for number, stage in enumerate(self.stages):
            for index, entry in enumerate(stage.accepts):
                yield ("stages", number, "accepts", index), entry
