"""Rights in Kubernetes: the roles that a stage's account is bound to, as far as the class lists them."""

from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View
from pipesegment.spec.segment import RoleRef
from pipesegment.spec.segmentclass import SegmentClassSpec


def check(scene: Scene) -> None:
    """Refuse every role that the class does not list: no list allows nothing, since a right is more than a reach."""
    spec = scene.segment.spec
    assert spec is not None
    governing = scene.governance
    if not governing.known:
        return
    for index, stage in enumerate(spec.stages):
        for number, ref in enumerate(stage.service_account.role_refs):
            path = f"spec.stages[{index}].serviceAccount.roleRefs[{number}]"
            if ref.namespace not in {None, scene.namespace}:
                problem = "binds the account in another namespace than the segment's,"
                scene.refuse(
                    f"{path}.namespace", problem, str(ref.namespace), "have that namespace's own people bind it"
                )
            elif not _is_listed(ref, scene.namespace, governing.spec):
                fix = "have the platform team add it to guardrails.roleRefs of the SegmentClass, and to rbac.roleRefs of the chart"
                scene.refuse(path, "is a role that no SegmentClass lets stages bind,", f"{ref.kind} {ref.name}", fix)


def allowed(view: View) -> tuple[tuple[str, str], ...]:
    """Give the roles that a stage's account is bound to, sorted."""
    namespace = view.key.namespace
    return tuple(
        sorted(
            {
                (ref.kind, ref.name)
                for ref in view.stage.service_account.role_refs
                if ref.namespace in {None, namespace} and _is_listed(ref, namespace, view.governing.spec)
            }
        )
    )


def _is_listed(ref: RoleRef, namespace: str, governing: SegmentClassSpec) -> bool:
    return any(
        (listed.kind, listed.name) == (ref.kind, ref.name) and listed.namespace in {None, namespace}
        for listed in governing.guardrails.role_refs
    )
