"""The calls for one Pod Identity association. It is bound when its role stands, and unbound when the role has no rights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipesegment.compile.iam.values import Association
from pipesegment.plan.aws.steps import Call, CloudStep, Moment, Wave
from pipesegment.plan.changes import Change


@dataclass(frozen=True, slots=True)
class Bound:
    """An association that exists, whatever tags it has, with its id and its own ARN."""

    association: Association
    id: str
    arn: str


def steps(change: Change, desired: Association, found: Bound | None, moment: Moment) -> Iterator[CloudStep]:
    """Give the calls that bring an association to what is desired; held back, none is made or given another role."""
    if not moment.widens:
        return
    if found is None:
        parameters = {
            "namespace": desired.namespace,
            "serviceAccount": desired.account,
            "roleArn": desired.role_arn,
            "tags": dict(desired.tags),
        }
        yield _step(Wave.BIND, change, "CreatePodIdentityAssociation", desired, parameters)
        return
    live = found.association
    if live.role_arn != desired.role_arn:
        parameters = {"associationId": found.id, "roleArn": desired.role_arn}
        yield _step(Wave.BIND, change, "UpdatePodIdentityAssociation", desired, parameters)
    if missing := {key: value for key, value in desired.tags.items() if live.tags.get(key) != value}:
        yield CloudStep(
            Wave.SETTLE, Call("eks", "TagResource", {"resourceArn": found.arn, "tags": missing}), change.id, change
        )


def farewell(change: Change, found: Bound) -> tuple[CloudStep, ...]:
    """Give the call for an association that nobody declares any more: no policy keeps one."""
    parameters = {"associationId": found.id}
    return (_step(Wave.UNBIND, change, "DeletePodIdentityAssociation", found.association, parameters),)


def _step(wave: Wave, change: Change, action: str, of: Association, parameters: Mapping[str, Any]) -> CloudStep:
    cluster = {"clusterName": of.cluster.rpartition("/")[2]}
    return CloudStep(wave, Call("eks", action, {**cluster, **parameters}), change.id, change)
