"""Where Cilium enforces, comes or goes: after every single write, what is open was open before or is open after."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipesegment.compile.desired import ObjectID
from pipesegment.plan.sequence import Restraint
from tests.unit.plan.scenes import Scene, cilium_policy, endpoints, flows, policy
from tests.unit.plan.test_safe_order_property import ENDS, check, many, policies, selectors, shuffled

cilium_ports = st.sampled_from(
    [
        {"port": "80", "protocol": "TCP"},
        {"port": "81", "protocol": "TCP"},
        {"port": "80", "endPort": 90, "protocol": "TCP"},
        {"port": "80", "protocol": "UDP"},
    ]
)


def cilium_rules(side: str) -> st.SearchStrategy[list[Any]]:
    rule = st.builds(
        lambda s, n, p: endpoints(side, s, n, *p),
        selectors,
        st.sampled_from(["ci", "other"]),
        st.lists(cilium_ports, max_size=2),
    )
    return st.lists(rule, max_size=2)


def closed_and_opened(name: str) -> st.SearchStrategy[list[Any]]:
    """A stage where Cilium enforces: its NetworkPolicy closes it, Cilium's own opens it; or closes it, and no more."""

    def build(selector: Any, egress: Any, ingress: Any) -> list[Any]:
        opened = [cilium_policy(name, selector, egress, ingress)] if egress or ingress else []
        return [policy(name, selector=selector), *opened]

    return st.builds(build, selectors, cilium_rules("to"), cilium_rules("from"))


@st.composite
def cilium_scenes(draw: st.DrawFn) -> Scene:
    """Stages that come, go and change where Cilium enforces, comes or goes; everything else as ever."""
    scene = Scene()
    for name in ("shop-k", "shop-l", "shop-m"):
        plainly = policies(name).map(lambda found: [found])
        fate = draw(st.sampled_from(["absent", "come", "go", "change", "change", "change", "stay"]))
        if fate in {"go", "change", "stay"}:
            scene.old += draw(st.one_of(closed_and_opened(name), closed_and_opened(name), plainly))
        if fate in {"come", "change"}:
            scene.new += draw(st.one_of(closed_and_opened(name), closed_and_opened(name), plainly))
        if fate == "stay":
            scene.new += [o for o in scene.old if o["metadata"]["name"] == name]
    if draw(st.booleans()):
        scene.foreign.append(policy("pipesegment-default-deny", owned=False))
    if draw(st.booleans()):
        scene.foreign.append(draw(policies("foreign", owned=False)))
    return scene


@pytest.mark.thorough
@many
@given(scene=cilium_scenes(), seed=st.integers(0, 9))
def test_nothing_opens_where_cilium_enforces(scene: Scene, seed: int) -> None:
    """Blocks never hold pods there, so that one reading is enough."""
    sequence = scene.sequence()
    steps = shuffled(sequence, seed)
    *_, last = scene.states(steps)
    wanted = [*scene.new, *scene.foreign]
    assert sorted(last, key=ObjectID.of) == sorted(wanted, key=ObjectID.of)
    assert not sequence.withheld
    check(scene, steps, wanted, readings=(False,))


@pytest.mark.thorough
@many
@given(scene=cilium_scenes(), restraint=st.sampled_from([Restraint.NO_WIDENING, Restraint.SUSPENDED]))
def test_a_restrained_segment_opens_nothing_where_cilium_enforces(scene: Scene, restraint: Restraint) -> None:
    before = flows([*scene.old, *scene.foreign], ENDS, cidr_matches_pods=False)
    steps = shuffled(scene.sequence(restraint), 1)
    assert all(flows(objects, ENDS, cidr_matches_pods=False) <= before for objects in scene.states(steps))


def test_a_suspended_segment_does_not_count_on_a_fence_that_is_not_made() -> None:
    """A fresh fence that lets nothing through comes first, unless nothing is created: then the old one stays."""
    pods = {"matchLabels": {"app": "a"}}
    old = policy("shop-k", selector=pods, egress=[{"ports": [{"port": 80}]}])
    scene = Scene(old=[old], new=[policy("shop-l", selector=pods)])
    assert [step.verb for step in scene.sequence().steps] == ["create", "delete"]
    assert [step.verb for step in scene.sequence(Restraint.SUSPENDED).steps] == ["apply"]


def test_a_fresh_stage_costs_one_call_for_each_of_its_policies() -> None:
    """Closed first, then opened."""
    pods = {"matchLabels": {"app": "a"}}
    opened = cilium_policy("shop-k", pods, egress=[endpoints("to", pods, "ci", {"port": "80", "protocol": "TCP"})])
    steps = Scene(new=[policy("shop-k", selector=pods), opened]).sequence().steps
    assert [(step.verb, step.id.kind) for step in steps] == [
        ("create", "NetworkPolicy"),
        ("create", "CiliumNetworkPolicy"),
    ]
