"""Whom the matrix asks about, and what it advises."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from lab import yaml
from pipesegment.cli.advice import additions
from pipesegment.cli.ends import METADATA, Ends, ends, example, named_ports, ports
from pipesegment.facts.ends import AddressEnd, PodEnd, Port
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.edges import AddressPeer
from pipesegment.reach.graph import Reach
from pipesegment.reach.resolve import resolve

SEGMENTS = """
- name: shop
  stages:
    - name: build
      reaches:
        - {stage: {name: db}, ports: [{port: 5432}]}
        - {service: {name: api, namespace: prod}}
        - {cidr: {block: 203.0.113.0/24}, ports: [{port: 8000, endPort: 8010}]}
        - {stage: {name: audit, segment: pay}, ports: [{port: 99}]}
    - name: db
- name: pay
  stages: [{name: audit, accepts: [{stage: {name: build, segment: shop}, ports: [{port: 99}]}]}, {name: idle}]
"""

FACTS = """
- apiVersion: v1
  kind: Service
  metadata: {name: api, namespace: prod}
  spec: {selector: {app: api}, ports: [{port: 80, targetPort: web}]}
"""

POD = """
- apiVersion: v1
  kind: Pod
  metadata: {name: %s, namespace: %s, labels: %s}
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 8080}]}]}
  status: {podIP: 10.0.0.%d}
"""


def world(*facts: str) -> tuple[Snapshot, Reach, Reach]:
    objects: list[dict[str, Any]] = [obj for text in (FACTS, *facts) for obj in yaml.safe_load(text)]
    for given in yaml.safe_load(SEGMENTS):
        meta = {"name": given.pop("name"), "namespace": "ci"}
        objects.append(
            {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegment", "metadata": meta, "spec": given}
        )
    found = snapshot(objects)
    shop, pay = (found.segment("ci", name) for name in ("shop", "pay"))
    assert shop
    assert pay
    return found, resolve(shop, found), resolve(pay, found)


def names(found: Ends) -> tuple[list[str], set[str]]:
    return [str(end) for end in found.own], {str(end) for end in found.others}


def test_stages_services_neighbours_and_addresses_are_represented() -> None:
    found, shop, pay = world()

    own, others = names(ends([shop], [pay], found))

    assert own == ["ci/shop-build", "ci/shop-db"]
    assert others == {"ci/pay-audit", "prod/api", "203.0.113.0", METADATA}


def test_pods_of_the_facts_take_the_place_of_made_up_ones() -> None:
    build = "{pipesegment.dev/segment: shop, pipesegment.dev/stage: build}"
    found, shop, pay = world(POD % ("run-1", "ci", build, 1), POD % ("api-1", "prod", "{app: api}", 2))

    own, others = names(ends([shop], [pay], found))

    assert own == ["ci/run-1", "ci/shop-db"]
    assert "prod/api-1" in others
    assert "prod/api" not in others


def test_every_pair_has_a_stage_at_one_end() -> None:
    found, shop, pay = world()
    known = ends([shop], [pay], found)

    pairs = list(known.pairs())

    assert len(pairs) == len(set(pairs)) == 2 * 1 + 2 * 4 * 2
    assert all(a in known.own or b in known.own for a, b in pairs)


def test_ports_are_those_of_the_edges_with_both_ends_of_ranges() -> None:
    found, shop, pay = world(POD % ("api-1", "prod", "{app: api}", 2))
    known = ends([shop], [pay], found)

    assert [str(p) for p in ports([shop])] == ["TCP/99", "TCP/5432", "TCP/8000", "TCP/8010"]
    assert [str(p) for p in named_ports([shop], known)] == ["TCP/8080"]
    assert [str(p) for p in ports([])] == ["TCP/443"]


@pytest.mark.parametrize(
    ("block", "excepts"),
    [
        ("10.0.0.0/8", ()),
        ("0.0.0.0/0", ("0.0.0.0/8", "240.0.0.0/4")),
        ("0.0.0.0/0", ("1.0.0.0/8", "0.0.0.0/8")),
        ("10.0.0.0/30", ("10.0.0.0/31",)),
        ("::/0", ("::/8",)),
        ("fd00::/64", ("fd00::/65",)),
        ("255.255.255.254/31", ("255.255.255.255/32",)),
    ],
)
def test_an_example_lies_in_the_block_and_in_no_hole(block: str, excepts: tuple[str, ...]) -> None:
    found = ip_address(example(AddressPeer(block, excepts)))

    assert found in ip_network(block)
    assert not any(found in ip_network(hole) for hole in excepts)


def advised(source: str, destination: str, port: str = "TCP/8080", *facts: str) -> list[tuple[str, dict[str, Any]]]:
    found, shop, pay = world(*facts)
    known = ends([shop], [pay], found)
    one, other = (known.find(name) or AddressEnd(name) for name in (source, destination))
    return [(a.place, a.entry) for a in additions(one, other, Port.parse(port), [shop, pay], found)]


def test_a_stage_is_advised_by_its_name() -> None:
    assert advised("ci/shop-db", "ci/shop-build") == [
        ("spec.stages[1].reaches of PipelineSegment ci/shop", {"stage": {"name": "build"}, "ports": [{"port": 8080}]})
    ]


def test_between_segments_both_sides_are_advised() -> None:
    assert advised("ci/pay-audit", "ci/shop-db", "UDP/53") == [
        (
            "spec.stages[0].reaches of PipelineSegment ci/pay",
            {"stage": {"name": "db", "segment": "shop"}, "ports": [{"port": 53, "protocol": "UDP"}]},
        ),
        (
            "spec.stages[1].accepts of PipelineSegment ci/shop",
            {"stage": {"name": "audit", "segment": "pay"}, "ports": [{"port": 53, "protocol": "UDP"}]},
        ),
    ]


def test_pods_are_advised_by_the_service_that_targets_the_port() -> None:
    pod = POD % ("api-1", "prod", "{app: api}", 2)

    assert advised("ci/shop-db", "prod/api-1", "TCP/8080", pod)[0][1] == {
        "service": {"name": "api", "namespace": "prod"}
    }
    assert advised("ci/shop-db", "prod/api-1", "TCP/9", pod)[0][1] == {
        "pods": {"podSelector": {"matchLabels": {"app": "api"}}, "namespace": "prod"},
        "ports": [{"port": 9}],
    }


def test_strangers_are_advised_as_accepted_pods_or_addresses() -> None:
    pod = POD % ("api-1", "prod", "{app: api}", 2)

    assert advised("prod/api-1", "ci/shop-db", "TCP/1", pod)[0][1]["pods"]["namespace"] == "prod"
    assert advised("2001:db8::1", "ci/shop-db", "TCP/1") == [
        (
            "spec.stages[1].accepts of PipelineSegment ci/shop",
            {"cidr": {"block": "2001:db8::1/128"}, "ports": [{"port": 1}]},
        )
    ]


def test_the_metadata_service_is_never_advised() -> None:
    assert advised("ci/shop-db", METADATA, "TCP/80") == []


def test_advice_renders_as_yaml_that_can_be_pasted() -> None:
    found, shop, pay = world()
    known = ends([shop], [pay], found)
    source, destination = known.find("ci/shop-db"), known.find("ci/shop-build")
    assert isinstance(source, PodEnd)
    assert isinstance(destination, PodEnd)

    (addition,) = additions(source, destination, Port("TCP", 1), [shop, pay], found)

    first, *rest = str(addition).splitlines()
    assert first == "add to spec.stages[1].reaches of PipelineSegment ci/shop:"
    assert yaml.safe_load("\n".join(rest)) == [addition.entry]


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("{key: a, operator: NotIn, values: [x]}", {"a": "x"}),
        ("{key: a, operator: DoesNotExist}", {"a": "example0"}),
        ("{key: tier, operator: In, values: [db]}", {"tier": "web"}),
        ("{key: tier, operator: NotIn, values: [cache]}", {}),
    ],
)
def test_a_made_up_pod_is_meant_by_chance_by_no_entry(asked, labels):
    """Whether a stage's pods have a label that only an entry asks for, nobody said: a difference would be an invention."""
    stages = f"""
    - name: db
      podSelector: {{matchExpressions: [{{key: tier, operator: In, values: [web, db]}}], matchLabels: {{app: db}}}}
    - name: build
      reaches: [{{pods: {{podSelector: {{matchExpressions: [{asked}]}}}}, ports: [{{port: 80}}]}}]
    """
    raw = {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "spec": {"stages": yaml.safe_load(stages)},
    }
    facts = snapshot([{**raw, "metadata": {"name": "shop", "namespace": "ci"}}])
    segment = facts.segment("ci", "shop")
    assert segment
    found = ends([resolve(segment, facts)], (), facts)
    (pod,) = found.stages["ci/shop-db"]
    assert {**pod.labels} == {"app": "db", "tier": "db", **labels}
