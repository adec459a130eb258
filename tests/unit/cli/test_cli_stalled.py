"""A class that cannot be known, offline: nothing opens that does not exist yet, and every verb says the same."""

import json
from pathlib import Path

import pytest

from lab import yaml

CLASSES = """\
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: one}
---
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: two}
"""
REFUSED = CLASSES.partition("---")[0] + "spec: {network: {allowInternet: perhaps}}\n"
LATER = REFUSED.replace("v1alpha1", "v9")


@pytest.fixture(params=[CLASSES, REFUSED, LATER], ids=["a tie", "a refused class", "a class of a later version"])
def stalled(request: pytest.FixtureRequest, segment: str, facts: str, tmp_path: Path) -> list[str]:
    """The arguments for a segment with an open way, and classes that do not tell who governs."""
    (tmp_path / "classes.yaml").write_text(request.param)
    return ["-f", segment, "--facts", facts, "--facts", "classes.yaml"]


def policies(text: str) -> list[dict]:
    return [obj["spec"] for obj in yaml.safe_load_all(text) if obj["kind"] == "NetworkPolicy"]


def test_policies_are_printed_without_any_allow(run, stalled) -> None:
    result = run("compile", *stalled)

    assert result.exit_code == 0
    assert len(policies(result.stdout)) == 2
    assert all(not p["ingress"] and not p["egress"] and len(p["policyTypes"]) == 2 for p in policies(result.stdout))
    assert "ci/shop metadata.namespace: " in result.stderr


def test_a_class_that_is_lost_opens_nothing(run, segment: str, facts: str, tmp_path: Path) -> None:
    known = yaml.safe_load((tmp_path / segment).read_text())
    known["status"] = {"class": {"name": "default", "uid": "u-class"}}
    (tmp_path / "known.yaml").write_text(json.dumps(known))

    result = run("compile", "-f", segment, "--facts", facts, "--facts", "known.yaml")

    assert all(not p["ingress"] and not p["egress"] for p in policies(result.stdout))
    assert "ClassLost" in result.stderr


def test_a_refused_class_among_the_documents_is_refused(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text(REFUSED)

    result = run("compile", "-f", segment, "-f", "class.yaml")

    assert (result.exit_code, result.stdout) == (1, "")


def test_the_matrix_agrees_that_nothing_is_declared_open(run, stalled) -> None:
    result = run("reach", *stalled, "-o", "json")

    assert result.exit_code == 0
    verdicts = json.loads(result.stdout)["verdicts"]
    assert ("ci/shop-build", "ci/shop-cache", "TCP/8080") in {(v["from"], v["to"], v["port"]) for v in verdicts}
    assert not any(v["declared"] or v["enforced"] for v in verdicts if v["from"] != "169.254.169.254")
    assert "ci/shop metadata.namespace: " in result.stderr


def test_one_question_is_not_answered_with_what_to_add(run, stalled) -> None:
    result = run("reach", *stalled, "--from", "ci/shop-build", "--to", "ci/shop-cache", "--port", "8080")

    assert result.exit_code == 0
    assert "declared: no: ci/shop-build is closed by stage build of ci/shop, whose SegmentClass cannot be known" in (
        result.stdout
    )
    assert "nothing opens until the class is known" in result.stdout
    assert "add to" not in result.stdout


def test_the_picture_shows_every_way_closed(run, stalled) -> None:
    arrows = json.loads(run("graph", *stalled, "-o", "json").stdout)["arrows"]

    assert {arrow["open"] for arrow in arrows} == {False}
    assert {arrow["reason"] for arrow in arrows} <= {"AmbiguousClass", "ClassLost"}


def test_a_plan_creates_what_is_closed_and_leaves_what_exists(run, segment, facts, stalled, tmp_path: Path) -> None:
    compiled = list(yaml.safe_load_all(run("compile", "-f", segment, "--facts", facts).stdout))
    build = next(o for o in compiled if (o["kind"], o["metadata"]["name"]) == ("NetworkPolicy", "shop-build"))
    old = {**build, "metadata": {**build["metadata"], "name": "shop-old"}}
    (tmp_path / "live.yaml").write_text(yaml.safe_dump_all([build, old]))

    result = run("plan", *stalled, "--live", "live.yaml")

    assert result.exit_code == 1
    assert "+ NetworkPolicy ci/shop-cache: created" in result.stdout
    assert "    +  ingress: []" in result.stdout
    assert "shop-old" not in result.stdout
    assert "NetworkPolicy ci/shop-build" not in result.stdout
    assert "ci/shop is stalled" in result.stderr


NEIGHBOUR = """\
apiVersion: pipesegment.dev/v1alpha1
kind: PipelineSegment
metadata: {name: pay, namespace: pay}
spec:
  stages:
    - name: scan
      accepts: [{stage: {name: build, segment: shop, namespace: ci}, ports: [{port: 8080}]}]
      reaches: [{stage: {name: cache, segment: shop, namespace: ci}, ports: [{port: 9090}]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: pay, labels: {team: pay}}
---
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: one}
spec: {namespaceSelector: {matchLabels: {team: pay}}}
---
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: two}
spec: {namespaceSelector: {matchLabels: {team: pay}}}
"""
SHOP = """\
apiVersion: pipesegment.dev/v1alpha1
kind: PipelineSegment
metadata: {name: shop, namespace: ci}
spec:
  stages:
    - name: build
      reaches: [{stage: {name: scan, segment: pay, namespace: pay}, ports: [{port: 8080}]}]
    - name: cache
      accepts: [{stage: {name: scan, segment: pay, namespace: pay}, ports: [{port: 9090}]}]
"""


def test_a_neighbour_whose_class_is_not_known_is_closed_both_ways(run, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "pay.yaml").write_text(NEIGHBOUR)

    result = run("reach", "-f", "shop.yaml", "--facts", "pay.yaml", "-o", "json")

    found = json.loads(result.stdout)
    asked = {(v["from"], v["to"]) for v in found["verdicts"]}
    assert {("ci/shop-build", "pay/pay-scan"), ("pay/pay-scan", "ci/shop-cache")} <= asked
    assert not any(v["declared"] or v["enforced"] for v in found["verdicts"] if v["to"] == "pay/pay-scan")
    assert not any(v["declared"] or v["enforced"] for v in found["verdicts"] if v["from"] == "pay/pay-scan")
    assert (result.exit_code, found["mismatches"]) == (0, 0)


def test_stages_that_observe_are_not_blocked_by_what_is_not_known(run, stalled, tmp_path: Path) -> None:
    text = (tmp_path / "shop.yaml").read_text()
    (tmp_path / "shop.yaml").write_text(text.replace("spec:", "spec:\n  mode: Observe"))

    compiled, reached = run("compile", *stalled), run("reach", *stalled, "-o", "json")

    assert policies(compiled.stdout) == []
    assert (reached.exit_code, json.loads(reached.stdout)["mismatches"]) == (0, 0)
