"""Consent across namespaces: what a grant covers, whom it holds, and which half it lets us write."""

import pytest

from pipesegment.reach.graph import GrantedIngress
from tests.unit.reach.reaching import (
    grant,
    namespace,
    plain,
    pod,
    policy,
    reach,
    reasons,
    segment,
    segment_class,
    service,
    way,
)

WEB = {"matchLabels": {"app": "web"}}
TO_WEB = {"service": {"name": "web"}}
REQUIRED = segment_class(
    network={"requireGrants": True}, namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "ci"}}
)
DENY = policy("prod", "deny", policyTypes=["Ingress"])


def pods(selector=WEB, *ports):
    return {"pods": {"podSelector": selector, "namespace": "prod"}, "ports": [{"port": p} for p in ports or (8080,)]}


def mine(*entries):
    return segment(
        [{"name": "deploy", "reaches": list(entries) or [{"service": {"name": "web", "namespace": "prod"}}]}]
    )


def opened(found, index=0):
    return [p.port for e in way(found, "deploy", index) if e.open for p in e.ports]


def written(found) -> list[tuple[str, list[int | str]]]:
    return [(str(g.selector), [p.port for p in g.ports]) for g in found.granted if isinstance(g, GrantedIngress)]


SERVICE = service("prod", "web", {"app": "web"})


def test_without_a_grant_the_own_half_opens_and_it_is_told():
    found = reach(mine(), SERVICE, DENY)
    assert (opened(found), written(found)) == ([8080], [])
    assert ("spec.stages[0].reaches[0]", "Ungranted") in reasons(found)


LEDGER = service("prod", "ledger", None, [{"name": "sql", "port": 5432}, {"name": "admin", "port": 9000}])
LEDGER_SLICE = plain(
    "EndpointSlice",
    "prod",
    "ledger-1",
    {},
    {"kubernetes.io/service-name": "ledger"},
    addressType="IPv4",
    endpoints=[{"addresses": ["10.9.0.1"]}],
    ports=[{"name": "sql", "port": 5432}, {"name": "admin", "port": 9000}],
)
TO_LEDGER = {"service": {"name": "ledger"}}


@pytest.mark.parametrize(
    ("grants", "ports", "told"),
    [
        ([], [5432, 9000], True),
        ([grant("prod", to=TO_LEDGER)], [5432, 9000], False),
        ([grant("prod", to=TO_LEDGER, ports=[{"port": 5432}])], [5432], True),
        ([grant("prod", to=TO_LEDGER, ports=[{"port": 5432}], isolate="Everyone")], [5432], True),
        ([grant("prod", to=TO_LEDGER, ports=[{"port": 5432}], isolate="Nobody")], [5432, 9000], True),
        ([grant("prod", to=TO_LEDGER, ports=[{"port": 5432}], from_=[{"namespace": "cd"}])], [5432, 9000], True),
        ([grant("prod", to=TO_WEB, ports=[{"port": 80}])], [5432, 9000], True),
        (
            [grant("prod", n, to=TO_LEDGER, ports=[{"port": p}]) for n, p in (("a", 5432), ("b", 9000))],
            [5432, 9000],
            False,
        ),
    ],
)
def test_a_service_without_selector_holds_its_callers_to_what_is_granted(grants, ports, told):
    found = reach(mine({"service": {"name": "ledger", "namespace": "prod"}}), LEDGER, LEDGER_SLICE, *grants)
    assert sorted(opened(found)) == ports
    assert (("spec.stages[0].reaches[0]", "Ungranted") in reasons(found)) is told
    assert ("spec.stages[0].reaches[0]", "Unresolved") not in reasons(found)


def test_a_service_without_selector_that_is_closed_by_its_grants_is_not_called_absent():
    entry = {"service": {"name": "ledger", "namespace": "prod"}, "ports": [{"port": 9000}]}
    found = reach(mine(entry), LEDGER, LEDGER_SLICE, grant("prod", to=TO_LEDGER, ports=[{"port": 5432}]))
    assert (opened(found), [r for p, r in reasons(found) if "reaches" in p]) == ([], ["Ungranted"])


@pytest.mark.parametrize(
    ("source", "covers"),
    [
        ({"namespace": "ci"}, True),
        ({"namespace": "ci", "segment": "shop"}, True),
        ({"namespace": "ci", "segment": "shop", "stage": "deploy"}, True),
        ({"namespace": "ci", "stage": "deploy"}, True),
        ({"namespace": "ci", "segment": "pay"}, False),
        ({"namespace": "ci", "segment": "shop", "stage": "build"}, False),
        ({"namespace": "elsewhere"}, False),
    ],
)
def test_a_grant_names_namespace_segment_and_stage(source, covers):
    found = reach(mine(), SERVICE, DENY, REQUIRED, grant("prod", from_=[source], to=TO_WEB))
    assert bool(written(found)) is bool(opened(found)) is covers


def test_one_half_for_each_policy_that_isolates_ingress():
    isolating = [DENY, policy("prod", "tier", podSelector={"matchLabels": {"tier": "x"}})]
    others = [
        policy("prod", "out", policyTypes=["Egress"]),
        policy("prod", "api", podSelector={"matchLabels": {"app": "api"}}),
    ]
    found = reach(mine(), SERVICE, *isolating, *others, grant("prod", to=TO_WEB))
    assert sorted(written(found)) == [("app=web", [8080]), ("app=web,tier=x", [8080])]


def test_nothing_is_written_where_nothing_isolates_unless_for_everyone():
    assert written(reach(mine(), SERVICE, grant("prod", to=TO_WEB))) == []
    assert written(reach(mine(), SERVICE, grant("prod", to=TO_WEB, isolate="Everyone"))) == [("app=web", [8080])]


def test_our_own_policies_are_no_isolation():
    ours = policy("prod", "ours", policyTypes=["Ingress"])
    ours["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "pipesegment"},
        "ownerReferences": [
            {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentGrant", "name": "grant", "uid": "u-grant"}
        ],
    }
    assert written(reach(mine(), SERVICE, ours, grant("prod", to=TO_WEB))) == []


def test_a_policy_that_is_being_deleted_is_no_isolation():
    going = policy("prod", "deny", policyTypes=["Ingress"])
    going["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert written(reach(mine(), SERVICE, going, grant("prod", to=TO_WEB))) == []


def test_isolation_by_a_class_counts_less_what_it_leaves_out():
    def isolating(*excepted):
        rules = {"isolation": {"mode": "Namespace", "exceptPods": list(excepted)}}
        return segment_class(
            "prod", network=rules, namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "prod"}}
        )

    granted = grant("prod", to=TO_WEB)
    assert written(reach(mine(), SERVICE, granted, isolating())) == [("app=web", [8080])]
    assert written(reach(mine(), SERVICE, granted, isolating({"matchLabels": {"tier": "x"}}))) == [
        ("app=web,tier notin (x)", [8080])
    ]
    assert written(reach(mine(), SERVICE, granted, isolating({"matchLabels": {"app": "api"}}))) == [("app=web", [8080])]
    assert written(reach(mine(), SERVICE, granted, isolating(WEB))) == []


def test_what_the_class_and_a_policy_called_class_isolate_is_opened_apart():
    rules = {"isolation": {"mode": "Namespace", "exceptPods": [{"matchLabels": {"tier": "x"}}]}}
    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "prod"}}}
    named = policy("prod", "class", podSelector={"matchLabels": {"tier": "x"}})
    found = reach(mine(), SERVICE, grant("prod", to=TO_WEB), segment_class("prod", network=rules, **there), named)
    assert len({g.discriminator for g in found.granted}) == len(written(found)) == 2


@pytest.mark.parametrize(
    ("to", "ports", "covers"),
    [
        ({"podSelector": WEB}, [{"port": 8080}], True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, [{"port": 8080}], True),
        ({"podSelector": {"matchLabels": {"app": "web", "tier": "x"}}}, [{"port": 8080}], False),
        ({"podSelector": {"matchLabels": {"app": "api"}}}, [{"port": 8080}], False),
        ({"podSelector": WEB}, [{"port": 80}], False),
        ({"service": {"name": "other"}}, None, False),
    ],
)
def test_a_grant_covers_what_it_gives_as_a_whole(to, ports, covers):
    """And its ports are the pods', not the Service's own, where it gives pods."""
    found = reach(mine(), SERVICE, DENY, REQUIRED, grant("prod", to=to, **({"ports": ports} if ports else {})))
    assert bool(written(found)) is bool(opened(found)) is covers


def test_callers_are_held_to_the_ports_that_they_were_granted():
    entry = pods(WEB, 8080, 9090)
    held = grant("prod", to={"podSelector": WEB}, ports=[{"port": 8080}])
    assert opened(reach(mine(entry), held)) == [8080]
    assert opened(reach(mine(entry), {**held, "spec": {**held["spec"], "isolate": "Nobody"}})) == [8080, 9090]
    assert ("spec.stages[0].reaches[0]", "Ungranted") in reasons(reach(mine(entry), held))


def test_a_grant_for_some_of_the_pods_holds_its_callers_to_them():
    some = grant("prod", to={"podSelector": {"matchLabels": {"app": "web", "tier": "x"}}}, ports=[{"port": 8080}])
    assert opened(reach(mine(pods()), some)) == []
    unrelated = grant("prod", to={"podSelector": {"matchLabels": {"tier": "x"}}}, ports=[{"port": 8080}])
    assert opened(reach(mine(pods()), unrelated)) == [8080]
    both = pod("prod", "both", {"app": "web", "tier": "x"})
    assert opened(reach(mine(pods()), unrelated, both)) == []


def test_a_grant_is_bound_to_the_namespace_that_it_saw():
    bound = grant("prod", to=TO_WEB, bound={"ci": "u-old"})
    same, other = namespace("ci", "u-old"), namespace("ci", "u-new")
    assert written(reach(mine(), SERVICE, DENY, bound, same))
    assert not written(reach(mine(), SERVICE, DENY, bound, other))


def test_the_name_of_a_half_depends_on_what_it_is_for_and_not_on_where_it_stands():
    """Entries that move, or change their ports, keep their objects."""
    other = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}
    everyone = grant("prod", to={"podSelector": WEB}, ports=[{"port": 8080}, {"port": 9090}], isolate="Everyone")

    def names(*entries):
        return [g.discriminator for g in reach(mine(*entries), everyone).granted]

    assert names(pods()) == names(other, pods()) == names(pods(WEB, 9090))
    assert len(set(names(pods(), pods(WEB, 9090)))) == 2


def test_where_grants_are_required_a_stages_consent_is_not_enough_for_its_service():
    """Its `accepts` lets the stage in; to name the Service is to look at it."""
    theirs = segment(
        [
            {
                "name": "api",
                "podSelector": WEB,
                "accepts": [
                    {"stage": {"name": "deploy", "segment": "shop", "namespace": "ci"}, "ports": [{"port": 8080}]}
                ],
            }
        ],
        "pay",
        "prod",
    )
    by_stage = {"stage": {"name": "api", "segment": "pay", "namespace": "prod"}, "ports": [{"port": 8080}]}
    by_service = {"service": {"name": "web", "namespace": "prod"}}
    found = reach(mine(by_stage, by_service), SERVICE, theirs, REQUIRED)
    assert (opened(found, 0), opened(found, 1)) == ([8080], [])


def test_in_an_isolated_namespace_a_grant_of_the_own_opens_its_pods():
    fenced = segment_class(network={"isolation": {"mode": "Namespace"}})
    own, target = mine({"service": {"name": "web"}}), service("ci", "web", {"app": "web"})
    closed = reach(own, target, fenced)
    assert (opened(closed), reasons(closed)[0]) == ([], ("spec.stages[0].reaches[0]", "HalfOpen"))
    granted = reach(own, target, fenced, grant("ci", to=TO_WEB))
    assert (opened(granted), written(granted)) == ([8080], [("app=web", [8080])])
