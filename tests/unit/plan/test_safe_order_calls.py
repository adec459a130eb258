"""Which calls a change costs, and in which order: one for each object wherever one is safe."""

from typing import Any

import pytest

from pipesegment import names
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.plan.changes import Action, Change, ChangeSet, Why, plan
from pipesegment.plan.live import Live
from pipesegment.plan.order import needs, safe_sequence
from pipesegment.plan.sequence import Restraint, Wave
from tests.unit.plan.scenes import SEGMENT, UID, Scene, account, allow_policy, of, policy, stored, strict, to, words

A, B, C = {"app": "a"}, {"app": "b"}, {"app": "c"}
DENY = policy(names.DEFAULT_DENY, owned=False)
DENY_INGRESS = policy("deny-ingress", egress=None, owned=False)
TAKEN = policy("shop-b", {"app": "z"}, owned=False)
OTHERS = policy("foreign", {"team": "x"}, [to(A, 80)], [of(A, 80)], owned=False)


def stages(*, b_port: int = 80) -> list[dict[str, Any]]:
    """Two stages, of which a reaches b."""
    return [policy("shop-a", A, [to(B, b_port)]), policy("shop-b", B, (), [of(A, b_port)])]


CASES = [
    (
        "a fresh segment in an open namespace only narrows: policies come whole, before the accounts",
        Scene(new=[*stages(), account("shop-a"), allow_policy("shop-b", B), strict("shop-b", B)]),
        ["create shop-b", "create shop-b", "create shop-a", "create shop-b", "create shop-a"],
        {"AuthorizationPolicy", "NetworkPolicy", "PeerAuthentication", "ServiceAccount"},
    ),
    (
        "a fresh segment in an isolated namespace only widens: the accounts are there first",
        Scene(new=[*stages(), account("shop-a")], foreign=[DENY]),
        ["create shop-a", "create shop-a", "create shop-b"],
        {"NetworkPolicy", "ServiceAccount"},
    ),
    (
        "where foreign policies may select the pods, all but one stage are closed before they open",
        Scene(new=stages(), foreign=[OTHERS]),
        ["create… shop-b", "create shop-a", "apply shop-b"],
        {"NetworkPolicy"},
    ),
    (
        "a foreign policy that isolates one direction narrows the one half and widens the other",
        Scene(new=[policy("shop-a", A, [to(B, 80)], [of(B, 80)])], foreign=[DENY_INGRESS]),
        ["create shop-a"],
        {"NetworkPolicy"},
    ),
    (
        "the default deny comes first",
        Scene(new=[policy(names.DEFAULT_DENY), *stages(), account("shop-a")]),
        [f"create {names.DEFAULT_DENY}", "create shop-a", "create shop-b", "create shop-a"],
        {"NetworkPolicy", "ServiceAccount"},
    ),
    (
        "an edge that moves from one stage to another closes before it opens, and its own stage turns in one call",
        Scene(
            old=[policy("shop-a", A, [to(B, 80)]), policy("shop-b", B, (), [of(A, 80)]), policy("shop-c", C)],
            new=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B), policy("shop-c", C, (), [of(A, 80)])],
        ),
        ["apply shop-b", "apply shop-a", "apply shop-c"],
        {"NetworkPolicy"},
    ),
    (
        "what several stages change on the same plane turns in one call each",
        Scene(
            old=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B, [to(C, 80)])],
            new=[policy("shop-a", A, [to(C, 81)]), policy("shop-b", B, [to(C, 81)])],
        ),
        ["apply shop-a", "apply shop-b"],
        {"NetworkPolicy"},
    ),
    (
        "what two stages change on both planes passes through what both versions allow",
        Scene(
            old=[
                policy("shop-a", A, [to(B, 80), to(C, 80)], [of(B, 80)]),
                policy("shop-b", B, [to(A, 80), to(C, 80)], [of(A, 80)]),
            ],
            new=[
                policy("shop-a", A, [to(B, 81), to(C, 80)], [of(B, 81)]),
                policy("shop-b", B, [to(A, 81), to(C, 80)], [of(A, 81)]),
            ],
        ),
        ["apply… shop-b", "apply shop-a", "apply shop-b"],
        {"NetworkPolicy"},
    ),
    (
        "a renamed stage is there under its new name before the old one goes",
        Scene(old=stages(), new=[policy("shop-z", A, [to(B, 80)]), stages()[1]]),
        ["create shop-z", "delete shop-a"],
        {"NetworkPolicy"},
    ),
    (
        "a renamed stage that also changes what it reaches has what stays in common all the time",
        Scene(old=[policy("shop-a", A, [to(B, 80), to(C, 80)])], new=[policy("shop-z", A, [to(C, 80), to(B, 81)])]),
        ["create… shop-z", "delete shop-a", "apply shop-z"],
        {"NetworkPolicy"},
    ),
    (
        "stages that swap their pods are guarded, so that no pod is without a policy for a moment",
        Scene(
            old=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B)],
            new=[policy("shop-a", B, [to(C, 80)]), policy("shop-b", A)],
        ),
        [
            "create… shop-shop-b-guard",
            "apply shop-a",
            "apply shop-b",
            "delete… shop-shop-b-guard",
        ],
        {"NetworkPolicy"},
    ),
    (
        "stages that swap their pods need no guard where the default deny isolates them",
        Scene(
            old=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B, [to(C, 81)])],
            new=[policy("shop-a", B, [to(C, 80)]), policy("shop-b", A, [to(C, 81)])],
            foreign=[DENY],
        ),
        ["apply… shop-b", "apply shop-a", "apply shop-b"],
        {"NetworkPolicy"},
    ),
    (
        "a stage that selects more pods goes there in one call",
        Scene(
            old=[policy("shop-a", {"app": "a", "tier": "x"}, [to(C, 80)])],
            new=[policy("shop-a", A, [to(C, 80)])],
        ),
        ["apply shop-a"],
        {"NetworkPolicy"},
    ),
    (
        "a revoked grant closes first, because somebody else's policy keeps the pods isolated",
        Scene(
            old=[policy("granted", A, None, [of(B, 80, namespace="ci")], namespace="other"), stages()[0]],
            new=[policy("shop-a", A, [to(B, 80), to(C, 80)])],
            foreign=[policy("deny", egress=None, namespace="other", owned=False)],
        ),
        ["delete granted", "apply shop-a"],
        {"NetworkPolicy"},
    ),
    (
        "a segment that goes from an isolated namespace: allows, accounts; the default deny is not its own",
        Scene(old=[*stages(), account("shop-a")], foreign=[DENY]),
        ["delete shop-a", "delete shop-b", "delete shop-a"],
        {"NetworkPolicy", "ServiceAccount"},
    ),
    (
        "a segment that goes from an open namespace gives up its accounts before its fences, the default deny last",
        Scene(old=[policy(names.DEFAULT_DENY), *stages(), account("shop-a"), strict("shop-a", A)]),
        ["delete shop-a", "delete shop-a", "delete shop-b", "delete shop-a", f"delete {names.DEFAULT_DENY}"],
        {"NetworkPolicy", "PeerAuthentication", "ServiceAccount"},
    ),
    (
        "a policy that isolates one direction less opens it, so it waits for what closes the other side",
        Scene(
            old=[policy("shop-a", A), policy("shop-b", B, (), [of(A, 80)])],
            new=[policy("shop-a", A, None), policy("shop-b", B)],
        ),
        ["apply shop-b", "apply shop-a"],
        {"NetworkPolicy"},
    ),
    (
        "a policy in dry-run isolates nobody: to enforce it is like making it",
        Scene(
            old=[allow_policy("shop-a", A, [{"from": [{"source": {"namespaces": ["ci"]}}]}], dry_run=True)],
            new=[allow_policy("shop-a", A, [{"from": [{"source": {"namespaces": ["ci"]}}]}])],
        ),
        ["apply shop-a"],
        {"AuthorizationPolicy"},
    ),
]


@pytest.mark.parametrize(("reason", "scene", "expected", "kinds"), CASES, ids=[case[0] for case in CASES])
def test_calls(reason: str, scene: Scene, expected: list[str], kinds: set[str]) -> None:
    sequence = scene.sequence()
    assert words(sequence) == expected, reason
    assert {step.id.kind for step in sequence.steps} == kinds
    assert sequence.withheld == ()


def test_accounts_come_between_what_narrows_and_what_widens() -> None:
    old = [policy("shop-a", A, [to(B, 80)]), policy("shop-b", B)]
    new = [policy("shop-a", A), policy("shop-b", B, [to(C, 80)]), account("shop-b")]
    waves = [step.wave for step in Scene(old, new).sequence().steps]
    assert waves == [Wave.NARROW, Wave.IDENTITY, Wave.WIDEN]


def test_rights_are_taken_first_and_given_last() -> None:
    binding = {**account("binding"), "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    gone = Scene(old=[binding, account("shop-a"), policy("shop-a", A)]).sequence()
    assert [step.id.kind for step in gone.steps] == ["RoleBinding", "ServiceAccount", "NetworkPolicy"]
    left = Scene([binding, policy("shop-a", A)], [policy("shop-a", A, [to(B, 80)]), account("shop-a")]).sequence()
    assert [step.id.kind for step in left.steps] == ["RoleBinding", "ServiceAccount", "NetworkPolicy"]
    made = Scene(new=[binding, account("shop-a"), policy("shop-a", A)]).sequence()
    assert [step.id.kind for step in made.steps] == ["NetworkPolicy", "ServiceAccount", "RoleBinding"]


def test_host_names_are_there_before_a_sidecar_knows_nothing_else_and_after() -> None:
    def of_istio(kind: str, mode: str = "") -> dict[str, Any]:
        spec = {"spec": {"outboundTrafficPolicy": {"mode": mode}}} if mode else {}
        return {**account("shop-a"), "apiVersion": "networking.istio.io/v1", "kind": kind, **spec}

    sidecar, entry = of_istio("Sidecar", "REGISTRY_ONLY"), of_istio("ServiceEntry")
    made, gone = Scene(new=[sidecar, entry]).sequence(), Scene(old=[sidecar, entry]).sequence()
    assert [step.id.kind for step in made.steps] == ["ServiceEntry", "Sidecar"]
    assert [step.id.kind for step in gone.steps] == ["Sidecar", "ServiceEntry"]
    # What changes does so where what is fresh comes.
    assert [step.wave for step in made.steps] == [Wave.IDENTITY, Wave.WIDEN]


def test_several_mesh_policies_that_trade_workloads_turn_at_once_and_every_one_is_guarded() -> None:
    def ring(shift: int) -> list[dict[str, Any]]:
        callers = [{"from": [{"source": {"principals": [f"p{n}"]}}]} for n in range(4)]
        return [allow_policy(f"shop-{n}", {"app": "abcd"[(n + shift) % 4]}, [callers[n]]) for n in range(4)]

    waves = [[step.verb for step in wave] for wave in Scene(ring(0), ring(1)).sequence().waves]
    assert waves == [["create"] * 4, ["apply"] * 4, ["delete"] * 4]


def test_steps_that_may_run_together_form_one_wave() -> None:
    sizes = [len(wave) for wave in Scene(new=[*stages(), account("shop-a"), account("shop-b")]).sequence().waves]
    assert sizes == [2, 2]


class TestPreconditions:
    def test_the_first_call_is_for_the_very_version_that_was_looked_at_and_later_ones_for_the_object(self) -> None:
        old = [policy("shop-a", A, [to(B, 80)], [of(B, 80)]), policy("shop-b", B, [to(A, 80)], [of(A, 80)])]
        new = [policy("shop-a", A, [to(B, 81)], [of(B, 81)]), policy("shop-b", B, [to(A, 81)], [of(A, 81)])]
        steps = [s for s in Scene(old, new).sequence().steps if s.id.name == "shop-b"]
        uid = "uid-NetworkPolicy-ci-shop-b"
        assert [(s.uid, s.resource_version, s.final) for s in steps] == [(uid, "1", False), (uid, "", True)]

    def test_a_fresh_object_has_none(self) -> None:
        (step,) = Scene(new=[policy("shop-a", A)]).sequence().steps
        assert (step.verb, step.uid, step.resource_version) == ("create", "", "")


class TestNeeds:
    def needed(self, scene: Scene, restraint: Restraint = Restraint.NONE) -> list[str]:
        return [target.name for target in needs(scene.changes(), restraint)]

    def test_fresh_objects_and_accounts_need_no_look(self) -> None:
        assert self.needed(Scene(old=[account("gone")], new=stages())) == []

    def test_one_changed_policy_needs_no_look_because_one_call_is_from_old_to_new(self) -> None:
        assert self.needed(Scene(old=stages()[:1], new=[policy("shop-a", A)])) == []

    def test_one_changed_policy_beside_other_writes_does_because_it_narrows_before_them_and_widens_behind(self) -> None:
        assert self.needed(Scene(old=stages()[:1], new=[policy("shop-a", A), account("shop-a")])) == ["shop-a"]

    def test_one_changed_policy_of_a_suspended_segment_does(self) -> None:
        scene = Scene(old=stages()[:1], new=[policy("shop-a", A)])
        assert self.needed(scene, Restraint.SUSPENDED) == ["shop-a"]

    def test_several_changed_policies_do(self) -> None:
        assert self.needed(Scene(old=stages(), new=stages(b_port=81))) == ["shop-a", "shop-b"]

    def test_one_that_was_not_fetched_is_an_error_and_one_that_is_gone_is_not(self) -> None:
        scene = Scene(old=stages(), new=stages(b_port=81))
        changes = scene.changes()
        with pytest.raises(KeyError):
            safe_sequence(changes, {})
        gone = dict.fromkeys(needs(changes))
        assert {s.id.name for s in safe_sequence(changes, gone).steps} == {"shop-a", "shop-b"}


class TestRestraint:
    def test_suspended_takes_away_and_neither_creates_nor_opens(self) -> None:
        old = [policy("shop-a", A, [to(B, 80), to(C, 80)]), policy("shop-b", B)]
        new = [policy("shop-a", A, [to(B, 80)]), policy("shop-b", B, [to(A, 80)]), policy("shop-c", C)]
        sequence = Scene(old, new).sequence(Restraint.SUSPENDED)
        assert words(sequence) == ["apply shop-a"]
        assert [target.name for target in sequence.withheld] == ["shop-b", "shop-c"]

    def test_suspended_keeps_a_removed_stage_closed_instead_of_opening_its_pods(self) -> None:
        # Somebody else's policy may select the pods: then nobody can say that they are open afterwards.
        scene = Scene(old=[policy("shop-a", A, [to(B, 80)])], foreign=[OTHERS])
        (step,) = scene.sequence(Restraint.SUSPENDED).steps
        assert step.verb == "apply"
        assert step.object is not None
        assert step.object["spec"]["egress"] == []

    @pytest.mark.parametrize("restraint", [Restraint.SUSPENDED, Restraint.NO_WIDENING])
    def test_what_stands_of_a_stage_that_is_gone_is_shut_and_kept(self, restraint: Restraint) -> None:
        scene = Scene(old=[policy("shop-a", A, [to(B, 80)], [of(C, 80)])])
        gone = [ObjectID.of(o) for o in scene.old]
        sequence = scene.sequence(restraint, removed=gone)
        (step,) = sequence.steps
        assert (step.wave, step.verb, step.final) == (Wave.NARROW, "apply", False)
        assert step.object is not None
        assert step.object["spec"] == {**scene.old[0]["spec"], "egress": [], "ingress": []}
        assert [target.name for target in sequence.withheld] == ["shop-a"]
        assert scene.sequence(Restraint.HELD, removed=gone).steps == ()
        # A stage that only observes is still there: cutting it off is nobody's wish.
        assert scene.sequence(restraint).steps == ()
        assert words(Scene([dict(step.object)]).sequence()) == ["delete shop-a"]

    def test_a_stage_that_is_renamed_meanwhile_keeps_what_it_still_declares(self) -> None:
        scene = Scene(
            old=[policy("shop-a", A, [to(B, 80), to(C, 80)])],
            new=[policy("shop-b", A, [to(B, 80), to(B, 81)])],
        )
        (step,) = scene.sequence(Restraint.SUSPENDED, removed=[ObjectID.of(scene.old[0])]).steps
        assert step.object is not None
        assert step.object["spec"]["egress"] == [to(B, 80)]

    def test_suspended_does_not_repair(self) -> None:
        edited = policy("shop-a", A, [to(B, 80), to(C, 80)])
        wanted = policy("shop-a", A, [to(B, 80)])
        marked = {**edited, "metadata": {**edited["metadata"], "annotations": wanted["metadata"]["annotations"]}}
        scene = Scene(old=[marked], new=[wanted])
        changes = _drifted(scene)
        assert scene.sequence(Restraint.SUSPENDED, changes).steps == ()
        assert words(scene.sequence(Restraint.NO_WIDENING, changes)) == ["apply shop-a"]

    def test_without_a_class_what_only_narrows_is_still_made(self) -> None:
        sequence = Scene(old=stages()[:1], new=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B)]).sequence(
            Restraint.NO_WIDENING
        )
        assert words(sequence) == ["create shop-b", "apply… shop-a"]
        assert [target.name for target in sequence.withheld] == ["shop-a"]


def _drifted(scene: Scene) -> Any:
    """As if the operator had seen that the object is not the one that it left."""
    live = {ObjectID.of(o): Live.of(stored(o), whole=False) for o in scene.old}
    return plan(Desired(SEGMENT, UID, tuple(scene.new)), live)


class TestConflict:
    def test_a_fence_stays_narrowed_when_its_pods_go_to_an_object_that_cannot_be_written(self) -> None:
        scene = Scene(
            old=[policy("shop-a", A, [to(C, 80), to(B, 80)])],
            new=[policy("shop-b", A, [to(C, 80)])],
            foreign=[TAKEN],
        )
        sequence = scene.sequence()
        (step,) = sequence.steps
        assert (step.verb, step.id.name, step.final) == ("apply", "shop-a", False)
        assert step.object is not None
        assert step.object["spec"]["egress"] == [to(C, 80)]
        assert [target.name for target in sequence.withheld] == ["shop-a"]

    def test_a_fence_that_gives_up_a_direction_keeps_it_when_its_heir_cannot_be_written(self) -> None:
        scene = Scene(
            old=[policy("shop-a", A, [to(C, 80)])],
            new=[policy("shop-a", A, egress=None), policy("shop-b", selector={})],
            foreign=[TAKEN],
        )
        (step,) = scene.sequence().steps
        assert step.object is not None
        assert step.object["spec"]["egress"] == []
        assert [target.name for target in scene.sequence().withheld] == ["shop-a"]

    def test_a_fence_on_other_pods_goes_as_it_would(self) -> None:
        scene = Scene(old=[policy("shop-a", A)], new=[policy("shop-b", B)], foreign=[TAKEN])
        assert words(scene.sequence()) == ["delete shop-a"]

    def test_a_fence_goes_where_its_pods_stay_isolated_anyhow(self) -> None:
        scene = Scene(old=[policy("shop-a", A)], new=[policy("shop-b", A)], foreign=[TAKEN, DENY])
        assert words(scene.sequence()) == ["delete shop-a"]

    def test_other_stages_are_written(self) -> None:
        scene = Scene(new=[policy("shop-b", B), policy("shop-a", A, [to(C, 80)])], foreign=[TAKEN, DENY])
        assert words(scene.sequence()) == ["create shop-a"]


def test_what_is_written_on_the_way_carries_our_marks_and_nobody_elses() -> None:
    old = policy("shop-a", A, [to(B, 80), to(C, 80)])
    old["metadata"]["labels"]["their/label"] = "x"
    old["metadata"]["managedFields"] = []
    scene = Scene(old=[old], new=[policy("shop-z", A, [to(C, 80)])], foreign=[OTHERS, TAKEN])
    scene.new.append(policy("shop-b", A))
    step = scene.sequence().steps[0]
    assert step.id.name == "shop-a"
    assert step.object is not None
    meta = step.object["metadata"]
    assert meta["labels"] == {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SEGMENT_LABEL: "shop"}
    assert meta["ownerReferences"] == old["metadata"]["ownerReferences"]
    assert meta["annotations"][names.HASH_ANNOTATION] != old["metadata"]["annotations"][names.HASH_ANNOTATION]
    assert set(meta) == {"name", "namespace", "labels", "annotations", "ownerReferences"}


def test_a_guard_that_a_crash_left_behind_is_used_again_and_taken_away() -> None:
    scene = Scene(
        old=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B)],
        new=[policy("shop-a", B, [to(C, 80)]), policy("shop-b", A)],
    )
    guard = scene.sequence().steps[0].object
    assert guard is not None
    again = Scene([*scene.old, dict(guard)], scene.new)
    assert words(again.sequence()) == ["apply shop-a", "apply shop-b", "delete shop-shop-b-guard"]


@pytest.mark.parametrize("goes", [False, True], ids=["which stays", "which goes"])
def test_a_guard_has_a_name_of_its_own_beside_a_stage_that_is_named_like_it(goes: bool) -> None:
    swap = Scene(
        old=[policy("shop-a", A, [to(C, 80)]), policy("shop-b", B)],
        new=[policy("shop-a", B, [to(C, 80)]), policy("shop-b", A)],
    )
    first = swap.sequence().steps[0].id.name
    other = policy(first, C, [to(A, 81)])
    scene = Scene([*swap.old, other], swap.new if goes else [*swap.new, other])
    steps = scene.sequence().steps
    assert (steps[0].verb, steps[0].id.name != first) == ("create", True)
    assert [s.verb for s in steps if s.id == steps[0].id] == ["create", "delete"]
    for state in scene.states(steps):
        selected = [found["spec"]["podSelector"]["matchLabels"] for found in state]
        assert A in selected
        assert B in selected


def test_an_object_that_is_being_deleted_is_relied_on_by_nobody() -> None:
    """A dying default deny isolates for now; when the last moment comes is not ours to say."""
    deny = stored(policy(names.DEFAULT_DENY))
    dying = Change(Action.UNCHANGED, ObjectID.of(deny), Why.TERMINATING, policy(names.DEFAULT_DENY), Live.of(deny))
    fresh = [
        Change(Action.CREATED, ObjectID.of(o), Why.NEW, o)
        for o in [policy("shop-a", A, [to(B, 80)]), policy("shop-b", B, [to(A, 80)])]
    ]
    sequence = safe_sequence(ChangeSet((dying, *fresh)), {})
    assert words(sequence)[0].startswith("create…")
