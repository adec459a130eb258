"""The roles for people: what each may write, and which of the cluster's own roles they become part of."""

from typing import Any

import pytest

from pipesegment import names

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
READ = {"get", "list", "watch"}
WRITE = READ | {"create", "update", "patch", "delete"}
KINDS = {plural for plural, _, _ in names.KINDS.values()}

WRITES = {
    "pipesegment-viewer": set(),
    "pipesegment-author": {"pipelinesegments"},
    "pipesegment-granter": {"segmentgrants"},
    "pipesegment-approver": set(),
    "pipesegment-platform": {"segmentclasses"},
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

    assert verbs == {kind: WRITE if kind in written else READ for kind in KINDS}
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
