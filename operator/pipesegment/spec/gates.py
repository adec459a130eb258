"""Gates: evidence that must hold before a stage opens."""

from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Empty, Model, Unique, exactly_one
from pipesegment.spec.units import Bool, Duration, Int, Label, Word, between, size

Count = Annotated[Int, between(0, 100_000)]


class Vulnerabilities(Model):
    """Limits on the vulnerabilities of the images, by Trivy operator's reports."""

    max_critical: Count | None = Field(None, description="The most critical ones that are accepted; 0 when absent.")
    max_high: Count | None = Field(None, description="The most high ones that are accepted; any number when absent.")
    max_age: Duration | None = Field(None, description="How old a report may be, such as 24h.")


class Evidence(Model):
    """A GateEvidence signed by a key that the class trusts."""

    type: Word = Field(description="The type of the evidence.")
    issuer: Label = Field(description="The name of the key in the class's evidenceKeys.")
    max_age: Duration | None = Field(None, description="How old the evidence may be, such as 24h.")


class Approval(Model):
    """SegmentApprovals by people."""

    count: Annotated[Int, between(1, 16)] = Field(1, description="How many people must approve; 1 when absent.")
    groups: Annotated[tuple[Word, ...], size(16), Unique()] = Field(
        (), description="The groups whose members may approve; the class's when absent."
    )
    mfa: Bool = Field(False, description="The approvers must have used a second factor. False when absent.")


class StageGate(Model):
    """Another stage's gates."""

    name: Label = Field(description="The stage of this segment whose gates must be open.")


class ImageDigests(Model):
    """Images by digest."""

    required: Bool = Field(description="Every image of the stage's pods must be named by its digest.")


class Gate(Model):
    """One gate: exactly one kind of evidence."""

    name: Label = Field(description="The name of the gate.")
    on_closed: Literal["Seal", "Warn"] = Field(
        "Seal", description="Seal: a closed gate closes the stage; Warn: it is only told. Seal when absent."
    )
    immediate: Bool = Field(
        False, description="A gate that closes takes effect at once, on running pods too. False when absent."
    )
    vulnerabilities: Vulnerabilities | None = Field(None, description="Limits on vulnerabilities of the images.")
    evidence: Evidence | None = Field(None, description="Signed evidence, such as a scan's or a test's result.")
    approval: Approval | None = Field(None, description="Approval by people.")
    stage: StageGate | None = Field(None, description="Another stage's gates are open.")
    image_digests: ImageDigests | None = Field(None, description="Images are named by digest.")
    policy_reports: Empty | None = Field(None, description="No policy report of the stage's pods says `fail`.")

    rules = exactly_one(
        "kind of evidence",
        ("vulnerabilities", "evidence", "approval", "stage", "image_digests", "policy_reports"),
        "name one of vulnerabilities, evidence, approval, stage, imageDigests, policyReports",
        "give each kind of evidence a gate of its own",
    )


Gates = Annotated[tuple[Gate, ...], size(16), Unique("name")]
