"""What a grant opens leaves the pods that segments have closed as they are."""

from itertools import product

import pytest

from pipesegment.facts.selectors import Selector
from pipesegment.reach.fenced import less
from tests.unit.reach.reaching import grant, pod, reach, segment

LABELS = [
    {k: v for k, v in zip(("a", "b", "c"), values, strict=True) if v} for values in product(("", "1", "2"), repeat=3)
]


def selector(**labels):
    return Selector.of(labels)


def said(text):
    """Read `a=1,b!=2,c,!c`."""
    forms = {"!=": "NotIn", "=": "In"}
    requirements = []
    for part in text.split(","):
        sign = next((s for s in forms if s in part), "")
        key, _, value = part.partition(sign) if sign else (part, "", "")
        if sign:
            requirements.append({"key": key, "operator": forms[sign], "values": value.split("|")})
        else:
            operator = "DoesNotExist" if key.startswith("!") else "Exists"
            requirements.append({"key": key.lstrip("!"), "operator": operator})
    return Selector.parse({"matchExpressions": requirements})


@pytest.mark.parametrize(
    ("whole", "hole"),
    [
        ("a=1", "a=1,b=1"),
        ("a=1", "a=1,b=1,c=1"),
        ("a=1", "b=1,c=1"),
        ("a=1", "a=1"),
        ("a=1", "a=2"),
        ("a=1|2", "a=1"),
        ("a", "a=1,b"),
        ("a!=1", "b,!c"),
        ("a=1,b", "b=1,c!=2"),
        ("!b", "a=1|2,!c"),
    ],
)
def test_what_is_left_is_exactly_the_other_pods_each_once(whole, hole):
    parts = list(less(said(whole), said(hole)))
    for labels in LABELS:
        inside = said(whole).matches(labels) and not said(hole).matches(labels)
        assert sum(part.matches(labels) for part in parts) == inside, labels


CALLER = segment(
    [
        {
            "name": "deploy",
            "reaches": [
                {"pods": {"podSelector": {"matchLabels": {"app": "web"}}, "namespace": "prod"}, "ports": [{"port": 80}]}
            ],
        }
    ]
)
OPEN = grant("prod", to={"podSelector": {"matchLabels": {"app": "web"}}}, ports=[{"port": 80}], isolate="Everyone")


def halves(*facts):
    return [str(g.selector) for g in reach(CALLER, OPEN, *facts).granted]


def stage_of(**labels):
    return segment([{"name": "api", "podSelector": {"matchLabels": labels}}], "pay", "prod")


def test_a_stages_pods_are_left_out():
    assert halves() == ["app=web"]
    assert halves(stage_of(app="web", tier="x")) == ["app=web,tier notin (x)"]
    assert halves(stage_of(app="web", tier="x", zone="1")) == [
        "app=web,tier notin (x)",
        "app=web,tier in (x),zone notin (1)",
    ]


def test_a_stage_that_has_nothing_to_do_with_them_is_not_mentioned():
    assert halves(stage_of(app="api")) == ["app=web"]
    assert halves(stage_of(tier="x")) == ["app=web"]
    assert halves(stage_of(tier="x"), pod("prod", "both", {"app": "web", "tier": "x"})) == ["app=web,tier notin (x)"]


def test_a_stage_that_only_observes_closes_nothing():
    observing = stage_of(app="web", tier="x")
    observing["spec"]["mode"] = "Observe"
    assert halves(observing) == ["app=web"]


def test_tasks_that_nobody_declared_are_left_out():
    tekton = segment([{"name": "build"}], "pay", "prod", engine={"type": "Tekton", "tekton": {"pipeline": "pay"}})
    task = pod("prod", "task", {"app": "web", "tekton.dev/pipeline": "pay"})
    assert halves(tekton, task) == ["app=web,tekton.dev/pipeline notin (pay)"]
