"""No shape that means 'everything' is ever rendered by accident, and every name is legal and an object's own."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from tests.properties.drawn import worlds
from tests.properties.worlds import Compiled, World, checked

pytestmark = pytest.mark.thorough
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
RULES = (("egress", "to"), ("ingress", "from"))


def _policies(compiled: Compiled) -> Iterator[Mapping[str, Any]]:
    return (obj for obj in compiled.objects if obj["kind"] == "NetworkPolicy")


@checked(40)
@given(worlds())
def test_no_rule_means_everything(world: World) -> None:
    """Every rule names whom it is about, and what it says of ports it says in full."""
    for policy in _policies(Compiled(world)):
        spec = policy["spec"]
        assert spec["policyTypes"] in (["Ingress", "Egress"], ["Ingress"])
        for direction, peers in RULES:
            assert (direction in spec) == (direction.capitalize() in spec["policyTypes"])
            for rule in spec.get(direction, ()):
                assert rule[peers], policy
                # Only Woodpecker's steps reach each other at every port.
                assert rule.get("ports") or (
                    "ports" not in rule and all("woodpecker-ci.org/repo-id" in str(peer) for peer in rule[peers])
                )


@checked(40)
@given(worlds())
def test_a_peer_is_pods_of_one_namespace_or_addresses(world: World) -> None:
    """Two selectors in two items would be an OR, one without the other would be too many pods."""
    for policy in _policies(Compiled(world)):
        for direction, peers in RULES:
            for rule in policy["spec"].get(direction, ()):
                for peer in rule[peers]:
                    if set(peer) == {"ipBlock"}:
                        continue
                    assert set(peer) == {"namespaceSelector", "podSelector"}
                    assert list(peer["namespaceSelector"]["matchLabels"]) == [names.NAMESPACE_NAME_LABEL]
                    assert peer["podSelector"], policy


@checked(40)
@given(worlds())
def test_only_the_class_closes_a_whole_namespace(world: World) -> None:
    """No policy of a segment selects every pod."""
    for policy in _policies(Compiled(world)):
        if policy["metadata"]["name"] != names.DEFAULT_DENY:
            assert policy["spec"]["podSelector"], policy


@checked(40)
@given(worlds())
def test_names_are_legal_and_unique(world: World) -> None:
    """Names and label values are what the API server takes; no two objects share one."""
    compiled = Compiled(world)
    found = [ObjectID.of(obj) for obj in compiled.objects]
    assert len(set(found)) == len(found)
    for obj in compiled.objects:
        meta = obj["metadata"]
        assert LABEL.fullmatch(meta["name"])
        assert len(meta["name"]) <= names.MAX_NAME
        assert all(len(value) <= names.MAX_NAME for value in meta["labels"].values())
        assert meta["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY
        assert len(meta["ownerReferences"]) == 1
