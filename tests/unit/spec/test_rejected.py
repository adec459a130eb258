"""Wrong declarations are refused in exactly the lines that rejected.yaml shows, and every rule has its example there."""

from pathlib import Path

import pytest

from lab import yaml
from pipesegment.errors import Refused
from pipesegment.spec.base import Model
from pipesegment.spec.crd import crds
from pipesegment.spec.documents import load

CASES = yaml.safe_load(Path(__file__).with_name("rejected.yaml").read_text())


def document(case):
    kind = case.get("kind", "PipelineSegment")
    metadata = {"name": case.get("name", "shop")} | ({} if kind == "SegmentClass" else {"namespace": "ci-shop"})
    return {"apiVersion": "pipesegment.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": case["spec"]}


def validations(node):
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for part in node.values():
            yield from validations(part)
    elif isinstance(node, list):
        for part in node:
            yield from validations(part)


def models(root=Model):
    for model in root.__subclasses__():
        yield model
        yield from models(model)


def said(case):
    """What the lines say, without place and value: `problem` and `fix`, as the API server's message joins them."""
    for line in case["lines"]:
        rest = line.split(": ", 1)[1]
        problem, _, tail = rest.partition(" '")
        yield problem, tail.rsplit("': ", 1)[1]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_wrong_declaration_is_refused_in_these_words(case):
    with pytest.raises(Refused) as refused:
        load([document(case)])

    assert [str(refusal) for refusal in refused.value.refusals] == case["lines"]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_line_names_the_object_and_stays_one_line(case):
    with pytest.raises(Refused) as refused:
        load([document(case)])

    for refusal in refused.value.refusals:
        assert refusal.object == document(case)["metadata"].get("namespace", "") + (
            "/" if case.get("kind") != "SegmentClass" else ""
        ) + case.get("name", "shop")
        assert "\n" not in str(refusal)
        assert len(str(refusal)) < 500


def test_every_cel_rule_has_a_case_that_the_api_server_refuses_in_the_same_words():
    shown = {f"{problem}: {fix}" for case in CASES if case["server"] == "message" for problem, fix in said(case)}

    # What compares with what was there before is seen by the API server alone: tests/cluster/test_exceptions.py.
    rules = {rule["message"] for rule in validations(crds()) if "oldSelf" not in rule["rule"]}
    assert rules - shown == set()


def named(rules):
    """What the API server says of each rule where it names somebody: (its words, the CEL that it says them by)."""
    return {rule["message"]: rule["messageExpression"] for rule in rules if "messageExpression" in rule}


def test_what_the_api_server_names_it_names_in_the_words_of_a_line():
    expressions = named(validations(crds()))
    shown = set()
    for case in CASES:
        for said_by_server in case.get("says", ()):
            words = [line.split(": ", 1)[1] for line in case["lines"]]
            plain = [f"{problem}: {fix}" for problem, fix in said(case)]
            told, rule = next(
                (t, r) for t, r in zip([*words, *plain], plain * 2, strict=True) if said_by_server.endswith(t)
            )
            where = said_by_server.removesuffix(told).removesuffix(": ")
            assert not where or f"'{where.split()[0]}" in expressions[rule]
            assert where or "'" in told
            shown.add(rule)

    assert set(expressions) - shown == set()


def test_every_rule_that_only_the_model_knows_has_a_case():
    shown = {pair for case in CASES if case["server"] == "accepts" for pair in said(case)}
    rules = {(rule.problem, rule.fix) for model in models() for rule in model.rules if not rule.cel}

    assert len(rules) == 2
    assert rules - shown == set()


def test_cases_are_named_once():
    names = [case["case"] for case in CASES]

    assert sorted(set(names)) == sorted(names)
