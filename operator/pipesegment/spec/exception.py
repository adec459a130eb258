"""SegmentException and SegmentApproval: more reach for a while, with the leave of others; or none at all, at once."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Rule, unless, without_nulls
from pipesegment.spec.cloud import Permission
from pipesegment.spec.entries import ReachEntry
from pipesegment.spec.units import Duration, Grammar, Label, Subdomain, Word, size, text

UserName = Annotated[
    str,
    text(512, 1),
    Grammar(r"[^\x00-\x1f\x7f]+", "has control characters", "write it as `kubectl auth whoami` prints it"),
]
#: What people wrote for other people: it is shown in Events and audit lines, so it is one line.
Why = Annotated[
    str,
    text(1024, 1),
    Grammar(
        r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*",
        "is not a line of words",
        "write a sentence, without line breaks",
    ),
]
_NEVER: Final = "is never changed: what was approved is what is open"


def _uid(where: str) -> Grammar:
    return Grammar("[0-9a-zA-Z-]+", "is not a uid", f"copy it from {where}")


def _required(name: str, fix: str) -> Rule:
    return Rule(
        cel=f"has(self.{name}) || self.effect != 'Open'",
        problem="is required to open",
        fix=fix,
        offences=unless(lambda e: e.has(name) or e.effect != "Open", name, value=lambda e: e.stage),
        field=f".{name}",
    )


def _not_sealed(name: str) -> Rule:
    return Rule(
        cel=f"!has(self.{name}) || self.effect != 'Seal'",
        problem="does not go with the effect Seal, which closes everything",
        fix="remove it, or write effect: Open",
        offences=unless(lambda e: not e.has(name) or e.effect != "Seal", name),
        field=f".{name}",
    )


class ExceptionAws(Model):
    """What an exception gives in AWS for as long as it lasts."""

    permissions: Annotated[tuple[Permission, ...], size(32, 1)] = Field(
        description="Statements beside the stage's own in the policy of its managed role, each until the exception ends. Their Sids"
        " there are made of the exception's name and the sids given here."
    )


class User(Model):
    """Whoever the API server authenticated; the admission policies hold it to that."""

    username: UserName = Field(description="The user's name, as the API server knows it.")
    uid: Annotated[str, text(512)] = Field(
        "", description="The user's uid; absent or empty when the authentication gives none."
    )

    def is_same(self, other: "User") -> bool:
        """Tell whether both are one: by their names, or by a uid, which a person keeps whose name changes."""
        return self.username == other.username or bool(self.uid and self.uid == other.uid)


class SegmentExceptionSpec(Model):
    """The spec of a SegmentException; it never changes."""

    segment: Label = Field(description="The segment, of this namespace.")
    stage: Label = Field(description="The stage of it.")
    effect: Literal["Open", "Seal"] = Field(
        description="Open: the stage reaches more, for as long as `duration` says and once enough people have approved. Seal:"
        " it reaches nothing, accepts nothing and loses its rights, at once."
    )
    reaches: Annotated[tuple[ReachEntry, ...], size(64, 1)] = Field(
        (), description="With Open: what the stage reaches beside what it declares."
    )
    aws: ExceptionAws | None = Field(
        None,
        description="With Open: what the stage may do in AWS beside what it declares. Its role must be a managed one.",
    )
    reason: Why = Field(description="Why, for those who approve and for those who read the audit trail.")
    ticket: Word | None = Field(None, description="Where it is written down, such as INC-4711. Required with Open.")
    duration: Duration | None = Field(
        None,
        description="How long it lasts from its creation on, at most the class's maxDuration. Required with Open. A seal without"
        " one lasts until somebody lifts it.",
    )
    requested_by: User = Field(description="Who asks: the user who creates it.")

    rules = (
        # The API server alone sees what it was before.
        Rule(cel="self == oldSelf", problem=_NEVER, fix="delete it and ask anew", offences=lambda _: ()),
        Rule(
            cel="has(self.reaches) || has(self.aws) || self.effect != 'Open'",
            problem="is required to open",
            fix="list what the stage has to reach, or give rights under aws",
            offences=unless(
                lambda e: e.has("reaches") or e.has("aws") or e.effect != "Open", "reaches", value=lambda e: e.stage
            ),
            field=".reaches",
        ),
        _required("ticket", "name the ticket, such as INC-4711"),
        _required("duration", "write it as `30m` or `4h`"),
        _not_sealed("reaches"),
        _not_sealed("aws"),
    )


class ApprovedException(Model):
    """The exception that is approved: this object with this spec, and no other of the same name."""

    name: Label = Field(description="Its name, in this namespace.")
    uid: Annotated[str, text(64, 1), _uid("the exception's metadata.uid")] = Field(description="Its metadata.uid.")
    spec_hash: Annotated[
        str, text(64, 64), Grammar("[0-9a-f]+", "is not a hash", "copy it from the exception's status.specHash")
    ] = Field(description="The hash of its spec, as its status.specHash tells it: what the approver has read.")
    requested_by: User = Field(description="Who asked, as its spec.requestedBy says: somebody else than who approves.")


class ApprovingClass(Model):
    """The class by whose word somebody approves; admission looks there whether he may."""

    name: Subdomain = Field(description="Its name.")
    uid: Annotated[str, text(64, 1), _uid("the exception's status.class.uid")] = Field(description="Its metadata.uid.")


class SegmentApprovalSpec(Model):
    """The spec of a SegmentApproval; it never changes."""

    exception: ApprovedException = Field(description="What is approved.")
    class_: ApprovingClass = Field(
        description="The class that governs the namespace, as the exception's status.class tells it: it says who may approve."
    )
    approved_by: User = Field(description="Who approves: the user who creates it.")

    rules = (
        Rule(cel="self == oldSelf", problem=_NEVER, fix="delete it and approve anew", offences=lambda _: ()),
        Rule(
            cel="self.approvedBy.username != self.exception.requestedBy.username && !(has(self.approvedBy.uid)"
            " && has(self.exception.requestedBy.uid) && self.approvedBy.uid != ''"
            " && self.approvedBy.uid == self.exception.requestedBy.uid)",
            problem="is who asked for the exception",
            fix="have somebody else approve it",
            offences=unless(
                lambda a: not a.approved_by.is_same(a.exception.requested_by),
                "approvedBy",
                value=lambda a: a.approved_by.username,
            ),
            field=".approvedBy",
        ),
    )


def spec_hash(spec: Mapping[str, Any]) -> str:
    """Hash an exception's spec as the API server gives it: 64 hex digits.

    sha256 over the UTF-8 bytes of the spec as JSON with sorted keys, without spaces, without fields that are null and with
    every character that is not ASCII written as itself: `{"duration":"1h","effect":"Open",…}`. Nothing is filled in, so that
    a later version with other defaults comes to the same hash.
    """
    plain = json.dumps(without_nulls(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()
