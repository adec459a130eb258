"""Whatever opens on the caller's side opens at the stage that is called, and nothing is said twice."""

import pytest

from pipesegment.reach.edges import Target
from tests.unit.reach.reaching import pod, reach, reasons, segment, segment_class, service, stage, way

APP = {"matchLabels": {"app": "cache"}}
CACHE = {"name": "cache", "podSelector": APP}


def open_ports(edges):
    return sorted((p.protocol, str(p.port)) for e in edges if e.open and e.target is not Target.DNS for p in e.ports)


@pytest.mark.parametrize(
    "entry",
    [
        {"stage": {"name": "cache"}, "ports": [{"port": 8080}]},
        {"service": {"name": "cache"}},
        {"service": {"name": "cache", "namespace": "ci"}, "ports": [{"port": 80}]},
        {"pods": {"podSelector": APP}, "ports": [{"port": 8080}]},
        {"destination": {"name": "cache"}},
    ],
)
@pytest.mark.parametrize("accepts", [[], [{"stage": {"name": "build"}, "ports": [{"port": 8080}, {"port": 9090}]}]])
def test_every_way_to_name_a_stages_pods_opens_both_halves(entry, accepts):
    governed = segment_class(destinations=[{"name": "cache", "service": {"name": "cache", "namespace": "ci"}}])
    mine = segment([{"name": "build", "reaches": [entry]}, {**CACHE, "accepts": accepts}])
    found = reach(mine, governed, service("ci", "cache", {"app": "cache"}))
    assert open_ports(way(found, "build")) == open_ports(stage(found, "cache").ingress) == [("TCP", "8080")]
    assert ("spec.stages[0].reaches[0]", "HalfOpen") not in reasons(found)


def test_a_stage_may_reach_itself():
    own = {"name": "cache", "podSelector": APP, "reaches": [{"service": {"name": "cache"}}]}
    fenced = segment_class(network={"isolation": {"mode": "Namespace"}})
    found = reach(segment([own]), fenced, service("ci", "cache", {"app": "cache"}))
    assert open_ports(stage(found, "cache").egress) == open_ports(stage(found, "cache").ingress) == [("TCP", "8080")]


def test_what_the_class_refuses_opens_neither_half():
    mine = segment([{"name": "build", "reaches": [{"stage": {"name": "cache"}, "ports": [{"port": 8080}]}]}, CACHE])
    found = reach(mine, segment_class(guardrails={"targets": ["service"]}))
    assert [r.path for r in found.refusals] == ["spec.stages[0].reaches[0].stage"]
    assert open_ports(way(found, "build")) == open_ports(stage(found, "cache").ingress) == []


def test_a_service_with_more_pods_than_the_stage_opens_to_the_others_too():
    mine = segment(
        [
            {"name": "build", "reaches": [{"service": {"name": "cache"}}]},
            {"name": "cache", "podSelector": {"matchLabels": {"app": "cache", "tier": "x"}}},
        ]
    )
    found = reach(mine, service("ci", "cache", {"app": "cache"}))
    (edge,) = way(found, "build")
    assert (edge.open, str(edge.peers[0].selector)) == (True, "app=cache")
    assert open_ports(stage(found, "cache").ingress) == [("TCP", "8080")]


def test_a_stage_that_shares_a_pod_with_a_service_is_met_by_that_pod():
    mine = segment(
        [
            {"name": "build", "reaches": [{"service": {"name": "cache"}}]},
            {"name": "cache", "podSelector": {"matchLabels": {"tier": "x"}}},
        ]
    )
    target = service("ci", "cache", {"app": "cache"})
    assert open_ports(stage(reach(mine, target), "cache").ingress) == []
    shared = pod("ci", "one", {"app": "cache", "tier": "x"})
    assert open_ports(stage(reach(mine, target, shared), "cache").ingress) == [("TCP", "8080")]


def theirs(*accepts):
    return segment([{"name": "api", "podSelector": APP, "accepts": list(accepts)}], "pay", "prod")


CALL = {"stage": {"name": "api", "segment": "pay", "namespace": "prod"}, "ports": [{"port": 8080}]}
CALLER = segment([{"name": "deploy", "reaches": [CALL]}])


@pytest.mark.parametrize(
    ("source", "lets_in"),
    [
        ({"stage": {"name": "deploy", "segment": "shop", "namespace": "ci"}}, True),
        ({"stage": {"anyStage": True, "segment": "shop", "namespace": "ci"}}, True),
        ({"stage": {"name": "deploy", "anySegment": True, "namespace": "ci"}}, True),
        ({"stage": {"anyStage": True, "anySegment": True, "namespace": "ci"}}, True),
        ({"stage": {"anyStage": True, "anySegment": True}}, False),
        ({"stage": {"name": "deploy", "segment": "shop"}}, False),
        ({"stage": {"name": "build", "segment": "shop", "namespace": "ci"}}, False),
        ({"pods": {"podSelector": {"matchLabels": {"pipesegment.dev/stage": "deploy"}}, "namespace": "ci"}}, True),
        ({"pods": {"podSelector": {"matchLabels": {"pipesegment.dev/stage": "deploy"}}}}, False),
        (
            {
                "pods": {
                    "podSelector": {"matchLabels": {"pipesegment.dev/stage": "deploy"}},
                    "namespace": "ci",
                    "serviceAccounts": ["shop-deploy"],
                }
            },
            True,
        ),
        (
            {
                "pods": {
                    "podSelector": {"matchLabels": {"pipesegment.dev/stage": "deploy"}},
                    "namespace": "ci",
                    "serviceAccounts": ["other"],
                }
            },
            False,
        ),
    ],
)
def test_between_segments_the_other_side_names_the_stage_or_its_pods(source, lets_in):
    objects = CALLER, theirs({**source, "ports": [{"port": 8080}]})
    calling, called = reach(*objects), reach(*objects, name="pay", at="prod")
    assert bool(open_ports(way(calling, "deploy"))) is lets_in
    by_stage = [e for e in stage(called, "api").ingress if e.target is Target.STAGE and e.open]
    assert bool(by_stage) is lets_in
    assert (("spec.stages[0].reaches[0]", "HalfOpen") in reasons(calling)) is not lets_in


def test_the_entry_that_admits_is_the_one_that_is_named():
    other = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 1}]}
    names = {"stage": {"name": "deploy", "segment": "shop", "namespace": "ci"}, "ports": [{"port": 8080}]}
    called = reach(CALLER, theirs(other, names), name="pay", at="prod")
    (edge,) = [e for e in stage(called, "api").ingress if e.target is Target.STAGE]
    assert edge.because == "spec.stages[0].accepts[1]"


def test_nothing_in_common_is_told_on_both_sides_and_in_one_segment_once():
    accept = {"stage": {"name": "deploy", "segment": "shop", "namespace": "ci"}, "ports": [{"port": 9090}]}
    assert ("spec.stages[0].reaches[0]", "NothingInCommon") in reasons(reach(CALLER, theirs(accept)))
    assert ("spec.stages[0].accepts[0]", "NothingInCommon") in reasons(
        reach(CALLER, theirs(accept), name="pay", at="prod")
    )
    one = segment(
        [
            {"name": "a", "reaches": [{"stage": {"name": "b"}, "ports": [{"port": 1}]}]},
            {"name": "b", "accepts": [{"stage": {"name": "a"}, "ports": [{"port": 2}]}]},
        ]
    )
    assert reasons(reach(one))[:1] == [("spec.stages[0].reaches[0]", "NothingInCommon")]
    assert not [r for r in reasons(reach(one)) if "accepts" in r[0]]


BY_SERVICE = segment([{"name": "deploy", "reaches": [{"service": {"name": "api", "namespace": "prod"}}]}])
API = service("prod", "api", {"app": "cache"})


def test_a_service_whose_pods_are_a_stage_that_does_not_accept_stays_closed():
    found = reach(BY_SERVICE, API, theirs())
    assert [e.open for e in way(found, "deploy")] == [False]
    assert ("spec.stages[0].reaches[0]", "HalfOpen") in reasons(found)


def test_a_stage_that_only_observes_has_no_say_about_its_pods():
    """Nothing closes them yet: its policy does not exist."""
    observing = theirs()
    observing["spec"]["mode"] = "Observe"
    found = reach(BY_SERVICE, API, observing)
    assert [e.open for e in way(found, "deploy")] == [True]
    assert ("spec.stages[0].reaches[0]", "HalfOpen") not in reasons(found)


def test_in_an_isolated_namespace_the_own_stage_among_a_services_pods_is_enough():
    """The class keeps the others closed; nothing else has to open them."""
    part = {"name": "cache", "podSelector": {"matchLabels": {"app": "cache", "tier": "x"}}}
    mine = segment([{"name": "build", "reaches": [{"service": {"name": "cache"}}]}, part])
    fenced = segment_class(network={"isolation": {"mode": "Namespace"}})
    found = reach(mine, fenced, service("ci", "cache", {"app": "cache"}))
    assert open_ports(way(found, "build")) == open_ports(stage(found, "cache").ingress) == [("TCP", "8080")]
    assert not [r for r in reasons(found) if r[1] == "HalfOpen"]
