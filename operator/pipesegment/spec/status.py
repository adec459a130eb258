"""Status of every kind, and the words of its conditions: one enum of types, one of reasons."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Unique
from pipesegment.spec.units import Int, between, size, text


class ConditionType(StrEnum):
    """Types of conditions. RECONCILING and STALLED are present only when True (kstatus)."""

    READY = "Ready"
    EXACT = "Exact"
    CONFORMING = "Conforming"
    NETWORK_READY = "NetworkReady"
    IDENTITY_READY = "IdentityReady"
    CLOUD_READY = "CloudReady"
    MESH_READY = "MeshReady"
    GATES_OPEN = "GatesOpen"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Reason(StrEnum):
    """Reasons of conditions, findings and refusals: stable, for people and for machines."""

    # Ready is True.
    ENFORCED = "Enforced"
    COARSE = "Coarse"  # also why Exact is False
    SEALED = "Sealed"
    OBSERVING = "Observing"
    SUSPENDED = "Suspended"
    UNGRANTED = "Ungranted"

    # Ready is False.
    GAP = "Gap"
    UNRESOLVED = "Unresolved"
    HALF_OPEN = "HalfOpen"
    OVERLAPPING = "Overlapping"
    CONFLICT = "Conflict"
    INVALID = "Invalid"
    NOT_YET_SUPPORTED = "NotYetSupported"
    APPLY_FAILED = "ApplyFailed"

    # Exact is True.
    AS_DECLARED = "AsDeclared"

    # Conforming.
    CONFORMS = "Conforms"
    WIDENED = "Widened"
    NOT_ENFORCED = "NotEnforced"
    NAMESPACE_OPEN = "NamespaceOpen"
    UNWIRED = "Unwired"
    HOST_NETWORK = "HostNetwork"

    # AWS is not as it should be, or cannot be asked.
    FOREIGN_ROLE = "ForeignRole"
    NO_CREDENTIALS = "NoCredentials"
    UNREACHABLE = "Unreachable"
    THROTTLED = "Throttled"
    WRONG_ACCOUNT = "WrongAccount"
    SWITCHED_OFF = "SwitchedOff"
    BACKEND_MISSING = "BackendMissing"
    BACKEND_FAILED = "BackendFailed"

    # A part is as declared, is not asked for, or waits.
    APPLIED = "Applied"
    NOT_DECLARED = "NotDeclared"
    PROGRESSING = "Progressing"
    NO_SERVICE = "NoService"
    GATE_CLOSED = "GateClosed"

    # A person is needed, or a class.
    AMBIGUOUS_CLASS = "AmbiguousClass"
    CLASS_LOST = "ClassLost"

    # Grants and classes.
    BOUND = "Bound"
    UNUSED = "Unused"
    NAMESPACE_CHANGED = "NamespaceChanged"
    GOVERNING = "Governing"
    ISOLATION_FAILED = "IsolationFailed"

    # Exceptions and approvals; SEALED, SUSPENDED, INVALID, UNRESOLVED and the two about classes are said of them, too.
    OPEN = "Open"
    AWAITING_APPROVAL = "AwaitingApproval"
    UNGUARDED = "Unguarded"
    NOT_ALLOWED = "NotAllowed"
    EXPIRED = "Expired"
    REPLACED = "Replaced"
    COUNTED = "Counted"
    NOT_COUNTED = "NotCounted"


Count = Annotated[Int, between(0, 1_000_000)]
Generation = Annotated[Int, Field(ge=0)]
Line = Annotated[str, text(253)]
Message = Annotated[str, text(1024)]


class Condition(Model):
    """A condition as metav1.Condition has it."""

    type: Annotated[str, text(316, 1)] = Field(description="What is told about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: Generation | None = Field(None, description="The generation that was judged.")
    last_transition_time: Annotated[str, text(32, 1)] = Field(
        description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )
    reason: Annotated[str, text(253, 1)] = Field(description="Why, in one word.")
    message: Annotated[str, text(4096)] = Field(description="Why, for people.")


Conditions = Annotated[tuple[Condition, ...], size(16), Unique("type")]


class ClassRef(Model):
    """The class that governs."""

    name: Line = Field(description="Its name; empty when no class governs.")
    uid: Line = Field(description="Its uid.")


class Summary(Model):
    """The segment in numbers."""

    stages: Count = Field(description="How many stages there are.")
    edges: Count = Field(description="How many edges are declared.")
    open: Line = Field(
        description="How many of them are open on the stages' own side, as `12/14`: one that nobody in another namespace"
        " granted counts as open as far as this side does not wait for a grant; the reason Ungranted tells it."
    )
    gaps: Count = Field(description="How many gaps there are.")
    sealed: Count = Field(description="How many stages are sealed.")


class ExceptionRef(Model):
    """A SegmentException that is in force for a stage."""

    name: Line = Field(description="Its name.")
    uid: Line = Field(description="Its uid.")


class StageStatus(Model):
    """One stage as it is."""

    name: Line = Field(description="The stage.")
    service_account: Line = Field(description="The account that its pods must run as.")
    role_arn: Message | None = Field(None, description="Its role in AWS.")
    sealed: bool = Field(False, description="Whether it is sealed.")
    exceptions: Annotated[tuple[ExceptionRef, ...], size(64), Unique("name")] | None = Field(
        None, description="The SegmentExceptions that open or seal it now."
    )
    edges: Count = Field(0, description="How many edges it declares.")
    gaps: Count = Field(0, description="How many gaps it has.")
    pods: Count = Field(0, description="How many live pods it selects.")
    wrong_account: Count = Field(0, description="How many of them run as another account.")


class GapStatus(Model):
    """Something that was declared and is not enforced as declared."""

    path: Message = Field(description="Where it is declared.")
    target: Message = Field(description="What it points at.")
    reason: Line = Field(description="Why, in one word.")
    message: Message = Field(description="Why, for people.")
    fix: Message = Field(description="How to mend it.")


class HostNameStatus(Model):
    """A host name that is looked up, because nothing matches names."""

    name: Line = Field(description="The name.")
    addresses: Annotated[tuple[Line, ...], size(32)] = Field((), description="The addresses that are open for it.")
    last_answered: Annotated[str, text(32)] | None = Field(
        None, description="When it was answered last, where that was long ago."
    )


class InventoryEntry(Model):
    """An object that the operator made."""

    api_version: Line = Field(description="Its apiVersion.")
    kind: Line = Field(description="Its kind.")
    namespace: Line = Field("", description="Its namespace.")
    name: Line = Field(description="Its name.")
    uid: Line = Field(description="Its uid.")


class PipelineSegmentStatus(Model):
    """What became of a segment."""

    observed_generation: Generation | None = Field(None, description="The generation that was acted upon.")
    class_: ClassRef | None = Field(None, description="The class that governs the namespace.")
    summary: Summary | None = Field(None, description="The segment in numbers.")
    stages: Annotated[tuple[StageStatus, ...], size(64), Unique("name")] = Field((), description="The stages.")
    gaps: Annotated[tuple[GapStatus, ...], size(256)] = Field((), description="What is not enforced as declared.")
    host_names: Annotated[tuple[HostNameStatus, ...], size(256), Unique("name")] = Field(
        (), description="Host names that are looked up (network.inexact.fqdn: Resolve)."
    )
    inventory: Annotated[tuple[InventoryEntry, ...], size(8192)] = Field((), description="What the operator made.")
    conditions: Conditions = Field((), description="Ready and its parts.")


class CoveredEdge(Model):
    """An edge that a grant covers."""

    namespace: Line = Field(description="The namespace of the segment.")
    segment: Line = Field(description="The segment.")
    stage: Line = Field(description="The stage.")
    path: Message = Field(description="Where the stage declares the edge.")


class BoundNamespace(Model):
    """A namespace that a grant is bound to."""

    namespace: Line = Field(description="Its name.")
    uid: Line = Field(description="Its uid when the grant was first seen.")


class SegmentGrantStatus(Model):
    """What became of a grant."""

    observed_generation: Generation | None = Field(None, description="The generation that was acted upon.")
    edges: Annotated[tuple[CoveredEdge, ...], size(1024)] = Field((), description="The edges that it covers.")
    covered: Count = Field(0, description="How many edges it covers.")
    namespaces: Annotated[tuple[BoundNamespace, ...], size(64), Unique("namespace")] = Field(
        (), description="The namespaces that it is bound to."
    )
    conditions: Conditions = Field((), description="Ready.")


class SegmentClassStatus(Model):
    """What a class governs."""

    observed_generation: Generation | None = Field(None, description="The generation that was acted upon.")
    namespaces: Count = Field(0, description="How many namespaces it governs.")
    segments: Count = Field(0, description="How many segments it governs.")
    governs: Annotated[tuple[Line, ...], size(1024)] = Field(
        (), description="The namespaces that it governs, the first 1024: admission holds what is written there to it."
    )
    conditions: Conditions = Field((), description="Ready.")


Moment = Annotated[str, text(32, 1), Field(json_schema_extra={"format": "date-time"})]
#: Where an exception is.
Phase = Literal["Pending", "Open", "Sealed", "Expired", "Refused"]
#: The phases of exceptions that open or seal something.
IN_FORCE: Final[frozenset[Phase]] = frozenset({"Open", "Sealed"})


class MeantStage(Model):
    """The stage as it was when an exception was looked at first."""

    uid: Line = Field(description="The segment's uid.")
    pods: Message | None = Field(None, description="Which pods the stage selected.")


class SegmentExceptionStatus(Model):
    """What became of an exception."""

    observed_generation: Generation | None = Field(None, description="The generation that was acted upon.")
    phase: Phase | None = Field(
        None,
        description="Where it is: Pending waits for others; Open and Sealed are in force; Expired and Refused are not.",
    )
    reason: Line | None = Field(None, description="Why, in one word: Ready's reason.")
    spec_hash: Line | None = Field(None, description="The hash of the spec: what an approval has to name.")
    class_: ClassRef | None = Field(
        None, description="The class that governs the namespace: what an approval has to name, too."
    )
    sealers: Annotated[tuple[Line, ...], size(64)] = Field(
        (), description="The class's sealerGroups: whoever is in one of them may delete a seal."
    )
    meant: MeantStage | None = Field(
        None,
        description="The stage as it was when the exception was looked at first. Another segment of that name, or other pods, end"
        " an exception that opens.",
    )
    approvals: Count = Field(0, description="How many people have approved, counting those alone whose approval holds.")
    approvals_needed: Count = Field(0, description="How many have to, as class and state of the stage are now.")
    approvers: Annotated[tuple[Message, ...], size(64)] = Field((), description="Their names.")
    gives: Annotated[tuple[Line, ...], size(64)] = Field(
        (), description="The actions that it gives in AWS now, as far as there is room here for them."
    )
    opens_at: Moment | None = Field(None, description="When it took effect.")
    expires_at: Moment | None = Field(None, description="When it ends by itself.")
    conditions: Conditions = Field((), description="Ready.")


class SegmentApprovalStatus(Model):
    """What became of an approval."""

    observed_generation: Generation | None = Field(None, description="The generation that was acted upon.")
    conditions: Conditions = Field((), description="Ready.")
