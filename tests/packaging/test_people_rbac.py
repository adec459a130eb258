"""The roles for people: what each may write, and which of the cluster's own roles they become part of."""

from typing import Any

import pytest

from pipesegment import names

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
READ = {"get", "list", "watch"}
WRITE = READ | {"create", "update", "patch", "delete"}
KINDS = {plural for plural, _, _ in names.KINDS.values()}

#: Never changed, only made and taken back.
ONCE = READ | {"create", "delete"}

WRITES = {
    "pipesegment-viewer": {},
    "pipesegment-author": {"pipelinesegments": WRITE, "segmentexceptions": ONCE},
    "pipesegment-granter": {"segmentgrants": WRITE},
    "pipesegment-approver": {"segmentapprovals": ONCE},
    "pipesegment-platform": {"segmentclasses": WRITE, "segmentexceptions": ONCE},
}
PART_OF = {
    "pipesegment-viewer": {"view"},
    "pipesegment-author": {"admin"},
    "pipesegment-granter": {"admin"},
    "pipesegment-approver": set(),
    "pipesegment-platform": set(),
}


def people(objects) -> dict[str, dict[str, Any]]:
    cluster_roles = {obj["metadata"]["name"]: obj for obj in objects if obj["kind"] == "ClusterRole"}
    del cluster_roles["pipesegment-operator"]
    return cluster_roles


def part_of(role: dict[str, Any]) -> set[str]:
    labels = role["metadata"]["labels"]
    return {label.removeprefix(AGGREGATE) for label, value in labels.items() if label.startswith(AGGREGATE) and value}


def test_there_are_these_roles_and_no_others(install):
    assert set(people(install)) == set(WRITES)


@pytest.mark.parametrize(("name", "written"), WRITES.items())
def test_each_role_reads_every_kind_and_writes_its_own(install, name, written):
    verbs = {resource: set(rule["verbs"]) for rule in people(install)[name]["rules"] for resource in rule["resources"]}

    assert verbs == {kind: written.get(kind, READ) for kind in KINDS}
    assert {group for rule in people(install)[name]["rules"] for group in rule["apiGroups"]} == {names.GROUP}


@pytest.mark.parametrize(("name", "roles"), PART_OF.items())
def test_each_role_is_part_of_what_is_safe(install, name, roles):
    assert part_of(people(install)[name]) == roles


def test_a_cluster_may_decide_that_editors_are_authors(render):
    objects = render({"rbac": {"aggregate": {"author": ["edit"], "granter": [], "viewer": []}}})

    assert {name: part_of(role) for name, role in people(objects).items()} == {
        "pipesegment-viewer": set(),
        "pipesegment-author": {"edit"},
        "pipesegment-granter": set(),
        "pipesegment-approver": set(),
        "pipesegment-platform": set(),
    }


@pytest.mark.parametrize(
    "values", [{"enabled": False}, {"actions": {"segmentExceptions": "Warn"}}], ids=["absent", "warning"]
)
def test_where_no_admission_policy_denies_it_authors_take_no_exception_back(render, values):
    """One of them may be a seal, and nothing else would tell its lifting by those who may from any other."""
    author = people(render({"admission": values}))["pipesegment-author"]
    verbs = {resource: set(rule["verbs"]) for rule in author["rules"] for resource in rule["resources"]}

    assert verbs["segmentexceptions"] == READ | {"create"}
