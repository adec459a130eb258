"""Two stages that select one pod: who gives way, and what proves it."""

import pytest

from tests.unit.reach.reaching import pod, reach, reasons, segment, segment_class, stage

OLD, NEW = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"


def one(name, selector, created="", **more):
    return segment([{"name": "build", "podSelector": selector, **more}], name, created=created)


def labels(**found):
    return {"matchLabels": found}


def values(key, *found, operator="In"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(found)}]}


def closed(*objects, name="shop"):
    return stage(reach(*objects, name=name), "build").closed


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (labels(app="a"), labels(app="a")),
        (labels(app="a", tier="x"), labels(app="a")),
        (labels(app="a"), labels(app="a", tier="x")),
        (values("app", "a", "b"), values("app", "b", "c")),
        (values("app", "a", "b"), labels(app="b")),
        (labels(app="a"), {"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
        (values("app", "a", "b"), values("app", "a", operator="NotIn")),
    ],
)
def test_selectors_that_share_a_value_prove_it(mine, theirs):
    assert closed(one("shop", mine), one("pay", theirs))


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (labels(app="a"), labels(app="b")),
        (values("app", "a", "b"), values("app", "c", "d")),
        (labels(app="a"), values("app", "a", operator="NotIn")),
        # A pod could carry both, but nothing says that one does.
        (labels(app="a"), labels(tier="x")),
    ],
)
def test_selectors_that_share_nothing_prove_nothing(mine, theirs):
    assert not closed(one("shop", mine), one("pay", theirs))


def test_a_pod_that_carries_both_proves_it():
    mine, theirs = one("shop", labels(app="a")), one("pay", labels(tier="x"))
    assert closed(mine, theirs, pod("ci", "both", {"app": "a", "tier": "x"}))
    assert not closed(mine, theirs, pod("elsewhere", "both", {"app": "a", "tier": "x"}))
    gone = pod("ci", "both", {"app": "a", "tier": "x"}) | {"status": {"phase": "Succeeded"}}
    assert not closed(mine, theirs, gone)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [(OLD, NEW, False), (NEW, OLD, True), ("", OLD, True), (OLD, "", False), ("", "", True)],
)
def test_the_younger_gives_way_and_what_does_not_exist_yet_is_younger(mine, theirs, expected):
    assert closed(one("shop", labels(app="a"), mine), one("pay", labels(app="a"), theirs)) is expected


def test_of_one_age_the_greater_uid_gives_way():
    pair = one("shop", labels(app="a"), OLD), one("pay", labels(app="a"), OLD)
    assert closed(*pair, name="shop")
    assert not closed(*pair, name="pay")


@pytest.mark.parametrize("age", ["", OLD])
def test_where_nobody_can_be_told_to_be_first_both_give_way(age):
    """Neither exists yet, or files without uids: a name must not decide."""
    pair = one("shop", labels(app="a"), age), one("pay", labels(app="a"), age)
    for each in pair if age else ():
        del each["metadata"]["uid"]
    assert closed(*pair, name="shop")
    assert closed(*pair, name="pay")


def test_another_namespace_is_no_neighbour():
    other = segment([{"name": "build", "podSelector": labels(app="a")}], "pay", "elsewhere")
    assert not closed(one("shop", labels(app="a")), other)


def test_with_union_both_stay_and_both_are_told():
    pair = one("shop", labels(app="a"), OLD), one("pay", labels(app="a"), NEW)
    union = segment_class(guardrails={"overlap": "Union"})
    for name in ("shop", "pay"):
        found = reach(*pair, union, name=name)
        assert not stage(found, "build").closed
        assert ("spec.stages[0].podSelector", "OverlapUnion") in reasons(found)


@pytest.mark.parametrize("rules", [{}, {"overlap": "Union"}])
def test_an_account_has_one_stage_whatever_the_class_says(rules):
    """And the one who was first keeps it: to name another's account must not be a way to close him."""
    account = {"serviceAccount": {"name": "deployer"}}
    pair = one("shop", labels(app="a"), OLD, **account), one("pay", labels(app="b"), NEW, **account)
    governed = segment_class(guardrails=rules)
    assert not closed(*pair, governed, name="shop")
    assert closed(*pair, governed, name="pay")
    assert ("spec.stages[0].serviceAccount.name", "Conflict") in reasons(reach(*pair, governed, name="pay"))


def test_the_runner_pods_of_a_stage_count_as_its_pods():
    arc = {"type": "ActionsRunnerController"}
    theirs = segment([{"name": "build", "engine": {"scaleSets": ["deployers"]}}], "pay", created=OLD, engine=arc)
    kubernetes = {**arc, "actionsRunnerController": {"containerMode": "Kubernetes"}}
    own = {"scaleSets": ["deployers"], "jobPods": labels(job="any")}
    mine = segment([{"name": "build", "engine": own}], created=NEW, engine=kubernetes)
    assert closed(mine, theirs)


def test_stages_of_one_segment_are_refused_where_they_stand():
    found = reach(
        segment(
            [{"name": "a", "podSelector": labels(app="a")}, {"name": "b", "podSelector": labels(app="a", tier="x")}]
        )
    )
    assert [r.path for r in found.refusals] == ["spec.stages[1].podSelector"]


def test_runners_may_serve_several_stages_of_one_segment():
    kubernetes = {"type": "ActionsRunnerController", "actionsRunnerController": {"containerMode": "Kubernetes"}}
    stages = [{"name": n, "engine": {"scaleSets": ["all"], "jobPods": labels(job=n)}} for n in ("a", "b")]
    assert reach(segment(stages, engine=kubernetes)).refusals == ()
