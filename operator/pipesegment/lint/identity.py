"""Checks of what a segment declares for its identity in a cloud."""

from collections.abc import Iterator, Sequence
from typing import Final

from pipesegment.findings import Finding
from pipesegment.spec.cloud import Permission
from pipesegment.spec.phrases import nearest
from pipesegment.spec.segment import PipelineSegmentSpec, Stage

#: What GKE and Azure read on a service account; every other key under these prefixes is a slip of the pen.
_KNOWN: Final = (
    "iam.gke.io/gcp-service-account",
    "iam.gke.io/return-principal-id-as-email",
    "azure.workload.identity/client-id",
    "azure.workload.identity/tenant-id",
    "azure.workload.identity/service-account-token-expiration",
)
_PREFIXES: Final = ("iam.gke.io/", "azure.workload.identity/")
#: Resources that hold everything of their kind.
_EVERYTHING: Final = frozenset({"*", "arn:aws:s3:::*", "arn:aws-cn:s3:::*", "arn:aws-us-gov:s3:::*"})


def check(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    """Run every check over the stages of a segment."""
    for index, stage in enumerate(spec.stages):
        path, named = f"spec.stages[{index}]", f"stage {stage.name}"
        yield from _annotations(path, named, stage)
        yield from wild(f"{path}.aws.permissions", named, stage.aws.permissions)
        yield from _account(path, named, stage)
        yield from _subjects(path, named, stage)
        if stage.aws.identity not in {None, "None"} and not stage.aws.asks:
            message = f"{named} has the identity {stage.aws.identity} and asks for no rights, so it has no role"
            yield Finding(f"{path}.aws", "IdleIdentity", named, message, "declare permissions, or leave aws out")


def _annotations(path: str, named: str, stage: Stage) -> Iterator[Finding]:
    for key in sorted(stage.service_account.annotations):
        if key.startswith(_PREFIXES) and key not in _KNOWN:
            meant = nearest(key, _KNOWN)
            fix = f"write {meant}" if meant else f"use one of {', '.join(_KNOWN)}"
            message = f"no cloud reads the annotation {key} of an account"
            yield Finding(f"{path}.serviceAccount.annotations", "UnknownAnnotation", named, message, fix)


def wild(path: str, named: str, permissions: Sequence[Permission]) -> Iterator[Finding]:
    """Find rights on everything; `path` is where the statements stand."""
    for index, permission in enumerate(permissions):
        for number, resource in enumerate(permission.resources):
            if resource in _EVERYTHING:
                place = f"{path}[{index}].resources[{number}]"
                message = f"{named} may do {', '.join(permission.actions)} on everything"
                yield Finding(place, "WildResource", named, message, "name the resources that are meant")


def _account(path: str, named: str, stage: Stage) -> Iterator[Finding]:
    if stage.aws.pods == "IRSA" and not stage.service_account.create:
        message = f"the account of {named} is not made here, so that nobody gives it the annotation of its role"
        fix = "annotate it with eks.amazonaws.com/role-arn (`compile --aws` prints the role's ARN), or use PodIdentity"
        yield Finding(f"{path}.serviceAccount.create", "AnnotateAccount", named, message, fix)


def _subjects(path: str, named: str, stage: Stage) -> Iterator[Finding]:
    for index, subject in enumerate(stage.aws.forge.subjects if stage.aws.forge else ()):
        if subject.startswith("repo:") and subject.endswith(":pull_request"):
            place = f"{path}.aws.forge.subjects[{index}]"
            message = f"the job of any pull request of {subject.removesuffix(':pull_request')} may become {named}"
            yield Finding(place, "PullRequestSubject", named, message, "name an environment or a branch")
