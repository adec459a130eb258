"""Whatever changes into whatever: after every single write, what is open was open before or is open after."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipesegment.compile.desired import ObjectID
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.plan.changes import Action
from pipesegment.plan.sequence import Restraint, Wave
from tests.unit.plan.scenes import Scene, allow_policy, flows, pods, policy, stored, strict

pytestmark = pytest.mark.thorough
ENDS = pods()

labels = st.fixed_dictionaries({}, optional={"app": st.sampled_from("abc"), "tier": st.sampled_from("xy")})
expressions = st.lists(
    st.one_of(
        st.builds(
            lambda o, v: {"key": "app", "operator": o, "values": sorted(v)},
            st.sampled_from(["In", "NotIn"]),
            st.sets(st.sampled_from("abc"), min_size=1),
        ),
        st.sampled_from([{"key": "tier", "operator": "Exists"}, {"key": "tier", "operator": "DoesNotExist"}]),
    ),
    max_size=1,
)
selectors = st.builds(
    lambda found, more: {"matchLabels": found} | ({"matchExpressions": more} if more else {}), labels, expressions
)
peers = st.one_of(
    st.builds(lambda s: {"podSelector": s}, selectors),
    st.builds(lambda s: {"podSelector": s, "namespaceSelector": {}}, selectors),
    st.sampled_from(
        [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.1.0/24"]}},
            {"ipBlock": {"cidr": "10.0.0.0/16"}},
            {"ipBlock": {"cidr": "10.0.1.0/24"}},
        ]
    ),
)
ports = st.sampled_from(
    [
        {"port": 80, "protocol": "TCP"},
        {"port": 81},
        {"port": 80, "endPort": 90, "protocol": "TCP"},
        {"protocol": "UDP"},
        {"port": 80, "protocol": "UDP"},
    ]
)


def rules(key: str) -> st.SearchStrategy[list[Any]]:
    rule = st.builds(
        lambda p, q: ({key: p} if p else {}) | ({"ports": q} if q else {}),
        st.lists(peers, max_size=2),
        st.lists(ports, max_size=2),
    )
    return st.lists(rule, max_size=2)


types = st.sampled_from(["both", "both", "both", "ingress", "egress"])


def policies(name: str, namespace: str = "ci", *, owned: bool = True) -> st.SearchStrategy[Any]:
    def build(selector: Any, kind: str, egress: Any, ingress: Any) -> Any:
        return policy(
            name,
            egress=egress if kind != "ingress" else None,
            ingress=ingress if kind != "egress" else None,
            namespace=namespace,
            owned=owned,
            selector=selector,
        )

    kinds = types if namespace == "ci" else st.just("ingress")
    return st.builds(build, selectors, kinds, rules("to"), rules("from"))


sources = st.sampled_from(
    [
        {"source": {"principals": ["cluster.local/ns/ci/sa/a"]}},
        {"source": {"principals": ["cluster.local/ns/ci/sa/b", "cluster.local/ns/ci/sa/a"]}},
        {"source": {"namespaces": ["ci"]}},
    ]
)
operations = st.sampled_from([{"operation": {"ports": ["80"]}}, {"operation": {"ports": ["80", "81"]}}])
mesh_rules = st.lists(
    st.builds(
        lambda f, t: {"from": f} | ({"to": t} if t else {}),
        st.lists(sources, min_size=1, max_size=2),
        st.lists(operations, max_size=1),
    ),
    max_size=2,
)


def mesh(name: str) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda found, r, dry: allow_policy(name, found, r, dry_run=dry),
        labels,
        mesh_rules,
        st.sampled_from([False, False, False, True]),
    )


def mtls(name: str) -> st.SearchStrategy[Any]:
    full = st.fixed_dictionaries({"app": st.sampled_from("abc")})
    return st.builds(lambda found, lax: strict(name, found, lax), full, st.sampled_from([(), (80,), (80, 81)]))


MAKERS = [
    *(policies(f"shop-{n}") for n in "klm"),
    policies("granted", "other"),
    policies("granted-too", "other"),
    mesh("shop-k"),
    mesh("shop-l"),
    mtls("shop-k"),
]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    scene = Scene()
    for maker in MAKERS:
        fate = draw(st.sampled_from(["absent", "absent", "come", "go", "change", "change", "stay"]))
        if fate in {"go", "change", "stay"}:
            scene.old.append(draw(maker))
        if fate in {"come", "change"}:
            scene.new.append(draw(maker))
        if fate == "stay":
            scene.new.append(scene.old[-1])
    for name in draw(st.lists(st.sampled_from(["deny", "foreign", "elsewhere"]), max_size=2, unique=True)):
        match name:
            case "deny":
                scene.foreign.append(policy("pipesegment-default-deny", owned=False))
            case "foreign":
                scene.foreign.append(draw(policies("foreign", owned=False)))
            case _:
                scene.foreign.append(draw(policies("foreign", "other", owned=False)))
    return scene


def shuffled(sequence: Any, seed: int) -> list[Any]:
    """Inside a wave any order must be safe."""
    steps = []
    for wave in sequence.waves:
        mixed = list(wave)
        random.Random(seed).shuffle(mixed)
        steps += mixed
    return steps


def check(
    scene: Scene, steps: list[Any], after: list[dict[str, Any]], readings: tuple[bool, ...] = (True, False)
) -> None:
    for wide in readings:
        before = flows([*scene.old, *scene.foreign], ENDS, cidr_matches_pods=wide)
        allowed = before | flows(after, ENDS, cidr_matches_pods=wide)
        for number, objects in enumerate(scene.states(steps)):
            opened = flows(objects, ENDS, cidr_matches_pods=wide) - allowed
            assert not opened, f"after step {number}: {sorted(opened)[:4]}"


many = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@many
@given(scene=scenes(), seed=st.integers(0, 9))
def test_nothing_opens_that_is_open_neither_before_nor_after(scene: Scene, seed: int) -> None:
    sequence = scene.sequence()
    steps = shuffled(sequence, seed)
    *_, last = scene.states(steps)
    wanted = [*scene.new, *scene.foreign]
    key = ObjectID.of
    assert sorted(last, key=key) == sorted(wanted, key=key)
    assert not sequence.withheld
    check(scene, steps, wanted)


@many
@given(scene=scenes(), seed=st.integers(0, 9), data=st.data())
def test_any_prefix_of_a_wave_is_a_state_from_which_the_next_run_converges_safely(
    scene: Scene, seed: int, data: st.DataObject
) -> None:
    steps = shuffled(scene.sequence(), seed)
    cut = data.draw(st.integers(0, len(steps)))
    *_, crashed = scene.states(steps[:cut])
    foreign = {ObjectID.of(o) for o in scene.foreign}
    again = Scene([o for o in crashed if ObjectID.of(o) not in foreign], scene.new, scene.foreign)
    resumed = shuffled(again.sequence(), seed)
    *_, last = again.states(resumed)
    wanted = [*scene.new, *scene.foreign]
    assert sorted(last, key=ObjectID.of) == sorted(wanted, key=ObjectID.of)
    for wide in (True, False):
        allowed = flows([*scene.old, *scene.foreign], ENDS, cidr_matches_pods=wide) | flows(
            wanted, ENDS, cidr_matches_pods=wide
        )
        for objects in again.states(resumed):
            assert flows(objects, ENDS, cidr_matches_pods=wide) <= allowed


@many
@given(
    scene=scenes(), restraint=st.sampled_from([r for r in Restraint if r is not Restraint.NONE]), seed=st.integers(0, 9)
)
def test_a_restrained_segment_opens_nothing_at_all_and_comes_to_rest(
    scene: Scene, restraint: Restraint, seed: int
) -> None:
    before = {wide: flows([*scene.old, *scene.foreign], ENDS, cidr_matches_pods=wide) for wide in (True, False)}
    foreign = {ObjectID.of(o) for o in scene.foreign}
    for _ in range(4):
        steps = shuffled(scene.sequence(restraint), seed)
        for objects in scene.states(steps):
            assert all(flows(objects, ENDS, cidr_matches_pods=wide) <= was for wide, was in before.items())
        if restraint in {Restraint.SUSPENDED, Restraint.HELD}:
            assert all(step.verb != "create" for step in steps)
        *_, last = scene.states(steps)
        scene = Scene([o for o in last if ObjectID.of(o) not in foreign], scene.new, scene.foreign)
    assert not scene.sequence(restraint).steps


@st.composite
def withdrawals(draw: st.DrawFn) -> tuple[Scene, frozenset[ObjectID]]:
    """Draw a scene, and which of the objects that go from another namespace stand there without consent."""
    scene = draw(scenes())
    kept = {ObjectID.of(o) for o in scene.new}
    going = sorted(ObjectID.of(o) for o in scene.old if o["metadata"]["namespace"] == "other")
    return scene, frozenset(t for t in going if t not in kept and draw(st.booleans()))


@many
@given(drawn=withdrawals(), seed=st.integers(0, 9))
def test_what_goes_for_want_of_consent_goes_ahead_and_opens_nothing_on_the_way(
    drawn: tuple[Scene, frozenset[ObjectID]], seed: int
) -> None:
    scene, withdrawn = drawn
    sequence = scene.sequence(withdrawn=withdrawn)
    steps = shuffled(sequence, seed)
    wanted = [*scene.new, *scene.foreign]
    *_, last = scene.states(steps)
    assert sorted(last, key=ObjectID.of) == sorted(wanted, key=ObjectID.of)
    check(scene, steps, wanted)
    ends = [step for step in sequence.steps if step.id in withdrawn]
    assert {(step.id, step.verb) for step in ends} == {(target, "delete") for target in withdrawn}
    assert all(step.wave <= Wave.RELEASE for step in ends)


@many
@given(
    drawn=withdrawals(),
    restraint=st.sampled_from([r for r in Restraint if r is not Restraint.NONE]),
    seed=st.integers(0, 9),
)
def test_nothing_holds_back_what_goes_for_want_of_consent(
    drawn: tuple[Scene, frozenset[ObjectID]], restraint: Restraint, seed: int
) -> None:
    """Beside what was open, nothing is but what these objects alone kept closed."""
    scene, withdrawn = drawn
    steps = shuffled(scene.sequence(restraint, withdrawn=withdrawn), seed)
    *_, last = scene.states(steps)
    assert not withdrawn & {ObjectID.of(o) for o in last}
    without = [o for o in (*scene.old, *scene.foreign) if ObjectID.of(o) not in withdrawn]
    check(scene, steps, without)
    if restraint is Restraint.HELD:
        mine = [o for o in last if o["metadata"]["namespace"] == "ci"]
        assert sorted(mine, key=ObjectID.of) == sorted(
            (o for o in (*scene.old, *scene.foreign) if o["metadata"]["namespace"] == "ci"), key=ObjectID.of
        )


@many
@given(scene=scenes(), restraint=st.sampled_from([Restraint.NO_WIDENING, Restraint.SUSPENDED]), seed=st.integers(0, 9))
def test_what_stands_of_removed_stages_is_shut_while_something_holds_the_segment_back(
    scene: Scene, restraint: Restraint, seed: int
) -> None:
    """It opens nothing that is not declared, isolates whom it isolated, and goes afterwards as if nothing had been."""
    kept = {ObjectID.of(o) for o in scene.new}
    gone = [ObjectID.of(o) for o in scene.old if ObjectID.of(o) not in kept and o["kind"] == "NetworkPolicy"]
    foreign = {ObjectID.of(o) for o in scene.foreign}
    steps = shuffled(scene.sequence(restraint, removed=gone), seed)
    *_, last = scene.states(steps)
    before, after = NetworkPolicies([*scene.old, *scene.foreign]), NetworkPolicies([stored(o) for o in last])
    for wide in (True, False):
        was = flows([*scene.old, *scene.foreign], ENDS, cidr_matches_pods=wide)
        assert all(flows(objects, ENDS, cidr_matches_pods=wide) <= was for objects in scene.states(steps))
    for direction in ("ingress", "egress"):
        assert all(after.isolated(pod, direction) for pod in ENDS if before.isolated(pod, direction))
    if not scene.new:
        # Nobody declares anything any more: whatever is left of the removed stages lets nothing through.
        assert not any(o["spec"].get(side) for o in last if ObjectID.of(o) in gone for side in ("ingress", "egress"))
    resting = Scene([o for o in last if ObjectID.of(o) not in foreign], scene.new, scene.foreign)
    assert all(step.id not in gone for step in resting.sequence(restraint, removed=gone).steps)
    resumed = shuffled(resting.sequence(), seed)
    *_, end = resting.states(resumed)
    wanted = [*scene.new, *scene.foreign]
    assert sorted(end, key=ObjectID.of) == sorted(wanted, key=ObjectID.of)
    check(resting, resumed, wanted)


@many
@given(scene=scenes(), seed=st.integers(0, 9))
def test_a_name_that_somebody_else_holds_leaves_no_isolated_pod_open(scene: Scene, seed: int) -> None:
    """Where a policy cannot be written, no pod that it should isolate loses the isolation that it had."""
    taken = next((o for o in scene.new if o["kind"] == "NetworkPolicy" and o["metadata"]["namespace"] == "ci"), None)
    if taken is None or any(ObjectID.of(o) == ObjectID.of(taken) for o in scene.old):
        return
    scene.foreign.append(policy(taken["metadata"]["name"], {"app": "nobody"}, owned=False))
    changes = scene.changes()
    assert [c.id for c in changes.of(Action.CONFLICT)] == [ObjectID.of(taken)]
    sequence = scene.sequence(changes=changes)
    steps = shuffled(sequence, seed)
    assert ObjectID.of(taken) not in {step.id for step in steps}
    *_, last = scene.states(steps)
    check(scene, steps, last)
    before, intended, after = (
        NetworkPolicies(objects)
        for objects in ([*scene.old, *scene.foreign], [*scene.new, *scene.foreign], [stored(o) for o in last])
    )
    for pod in ENDS:
        for direction in ("ingress", "egress"):
            if before.isolated(pod, direction) and intended.isolated(pod, direction):
                assert after.isolated(pod, direction), f"{pod} {direction}"
