"""Roles of stages: what the class lists, and nothing else."""

import pytest

from pipesegment.reach.resolve import resolve
from tests.unit.reach.reaching import namespace, reach, segment, segment_class, snapshot, stage

VIEW = {"kind": "ClusterRole", "name": "view"}


def bound(*refs):
    return segment([{"name": "deploy", "serviceAccount": {"roleRefs": list(refs)}}])


@pytest.mark.parametrize(
    ("why", "wanted", "listed", "roles"),
    [
        ("as it is listed", VIEW, [VIEW], (("ClusterRole", "view"),)),
        ("in the segment's own namespace, by name", {**VIEW, "namespace": "ci"}, [VIEW], (("ClusterRole", "view"),)),
        ("listed for this namespace", VIEW, [{**VIEW, "namespace": "ci"}], (("ClusterRole", "view"),)),
        ("listed for another namespace", VIEW, [{**VIEW, "namespace": "prod"}], ()),
        ("bound in another namespace", {**VIEW, "namespace": "prod"}, [VIEW], ()),
        ("another kind of the same name", {**VIEW, "kind": "Role"}, [VIEW], ()),
        ("another name", {**VIEW, "name": "edit"}, [VIEW], ()),
        ("no list", VIEW, [], ()),
    ],
)
def test_a_role_is_bound_when_the_class_lists_it(why, wanted, listed, roles):
    found = reach(bound(wanted), segment_class(guardrails={"roleRefs": listed}), namespace("ci"))

    assert stage(found, "deploy").account.roles == roles, why
    assert [r.path.removesuffix(".namespace") for r in found.refusals] == (
        [] if roles else ["spec.stages[0].serviceAccount.roleRefs[0]"]
    )


def test_a_role_that_is_named_twice_is_bound_once():
    found = reach(
        bound(VIEW, {**VIEW, "namespace": "ci"}), segment_class(guardrails={"roleRefs": [VIEW]}), namespace("ci")
    )

    assert stage(found, "deploy").account.roles == (("ClusterRole", "view"),)


def test_without_a_class_no_role_is_bound():
    assert [r.path for r in reach(bound(VIEW)).refusals] == ["spec.stages[0].serviceAccount.roleRefs[0]"]


def test_where_the_class_is_lost_nothing_is_refused_in_its_name():
    lost = bound(VIEW)
    lost["status"] = {"class": {"name": "default", "uid": "u-default"}}
    known = snapshot([lost, namespace("ci")])
    found = known.segment("ci", "shop")
    assert found is not None
    assert resolve(found, known).refusals == ()
