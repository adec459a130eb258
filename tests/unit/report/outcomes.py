"""Outcomes by hand: what a look at a segment came to, without walking there."""

from typing import Any

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Finding
from pipesegment.plan.changes import ChangeSet, plan
from pipesegment.plan.live import Live
from pipesegment.reach.edges import Edge, Mesh, Mode, StageKey, Target
from pipesegment.reach.graph import Account, Governance, Reach, StageReach
from pipesegment.report.outcome import Outcome
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.status import Condition

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"
SEGMENT = Key("ci", "shop")
UID = "segment-uid"
CLASS = Governance("default", "class-uid", SegmentClassSpec())


def edge(because: str = "spec.stages[0].reaches[0]", *, opened: bool = True, direction: Any = "egress") -> Edge:
    return Edge(because, direction, Target.CIDR, "cidr 10.0.0.0/8", opened)


def stage(name: str = "build", index: int = 0, **fields: Any) -> StageReach:
    made: dict[str, Any] = {
        "key": StageKey(*SEGMENT, name),
        "path": f"spec.stages[{index}]",
        "selector": Selector.of({"app": name}),
        "mode": Mode.ENFORCE,
        "mesh": Mesh.NONE,
        "account": Account(f"shop-{name}", create=True, automount=False),
        "egress": (edge(f"spec.stages[{index}].reaches[0]"),),
    }
    return StageReach(**{**made, **fields})


def reach(*stages: StageReach, **fields: Any) -> Reach:
    made: dict[str, Any] = {"segment": SEGMENT, "uid": UID, "governance": CLASS, "stages": stages or (stage(),)}
    return Reach(**{**made, **fields})


def found(reason: str, path: str = "spec.stages[0].reaches[0]", **fields: str) -> Finding:
    made = {"target": "cidr 10.0.0.0/8", "message": f"{reason} it is", "fix": "mend it", **fields}
    return Finding(path, reason, object="ci/shop", **made)


def obj(
    kind: str = "NetworkPolicy", name: str = "shop-build", *, owner: str = UID, stage_name: str = "build"
) -> Object:
    apis = {"NetworkPolicy": "networking.k8s.io/v1", "ServiceAccount": "v1", "Sidecar": "networking.istio.io/v1"}
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SEGMENT_LABEL: "shop", names.STAGE_LABEL: stage_name}
    owners = [{"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "name": "shop", "uid": owner}]
    meta = {"namespace": "ci", "name": name, "labels": labels, "ownerReferences": owners}
    return {"apiVersion": apis.get(kind, "security.istio.io/v1"), "kind": kind, "metadata": meta}


def live(made: Object, **meta: Any) -> Live:
    server = {"uid": f"uid-{made['kind']}-{made['metadata']['name']}", "resourceVersion": "1", **meta}
    return Live.of({**made, "metadata": {**made["metadata"], **server}})


def planned(*wanted: Object, existing: tuple[Live, ...] = ()) -> ChangeSet:
    return plan(Desired(SEGMENT, UID, wanted), {each.id: each for each in existing})


def converged(*wanted: Object) -> ChangeSet:
    return planned(*wanted, existing=tuple(map(live, wanted)))


def outcome(**fields: Any) -> Outcome:
    """A converged segment of one stage, changed as given; `gaps` and `coarse` go into its Desired."""
    wanted = (obj(), obj("ServiceAccount"))
    desired = Desired(SEGMENT, UID, wanted, fields.pop("gaps", ()), fields.pop("coarse", ()))
    made: dict[str, Any] = {"generation": 3, "reach": reach(), "desired": desired, "changes": converged(*wanted)}
    return Outcome(**{**made, **fields})


def condition(kind: str, status: Any, reason: str = "Enforced", since: str = NOW, message: str = "said") -> Condition:
    return Condition(
        type=kind, status=status, observed_generation=2, last_transition_time=since, reason=reason, message=message
    )


def done(changes: ChangeSet) -> dict[ObjectID, str]:
    """Every write succeeded."""
    return {change.id: f"uid-{change.id.kind}-{change.id.name}" for change in changes.writes}
