"""What `verify` prints: text, JUnit, YAML and JSON say the same."""

import json
import xml.etree.ElementTree as ET

import pytest

from lab import yaml
from pipesegment.errors import Rejected
from pipesegment.world.memory import MemoryCluster
from tests.unit.verify.conftest import PAY, POLICY, allow_all, enforced


async def test_text_names_code_and_fix(verify):
    cluster = await enforced()
    cluster.remove(POLICY)

    result = await verify(cluster)

    assert (
        "error      PS621   ci/shop   spec.stages[0]   Missing: NetworkPolicy ci/shop-a does not exist:"
        in result.stdout
    )
    assert "1 segment verified: 1 difference\n" in result.stderr


async def test_junit_has_a_case_for_every_question(verify):
    cluster = await enforced(PAY)
    cluster.remove(POLICY)
    cluster.seed(allow_all('<&"\x1b\n'))

    result = await verify(cluster, "-o", "junit")

    root = ET.fromstring(result.stdout)
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {"ci/shop", "ci/pay"}
    for element in (root, *suites.values()):
        cases = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(cases) > 0
        assert int(element.get("failures")) == sum(case.find("failure") is not None for case in cases)
    failures = {case.find("failure").get("type") for case in suites["ci/shop"] if case.find("failure") is not None}
    assert failures == {"Missing", "Widened"}
    assert '<&"' in next(c.find("failure").text for c in suites["ci/pay"] if c.find("failure") is not None)
    assert result.exit_code == 1


async def test_yaml_is_the_same_as_json(verify):
    cluster = await enforced()
    cluster.remove(POLICY)

    shown = [await verify(cluster, "-o", style) for style in ("json", "yaml")]

    assert json.loads(shown[0].stdout) == yaml.safe_load(shown[1].stdout)


async def test_a_namespace_that_does_not_exist_is_bad_usage_and_no_success(verify):
    result = await verify(await enforced(), "-n", "cii")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "-n: is no namespace of the cluster: 'cii': did you mean ci?" in result.stderr


@pytest.mark.parametrize("style", ["text", "json", "junit"])
async def test_a_namespace_without_a_segment_is_told_as_nothing_to_verify(verify, style):
    result = await verify(await enforced(), "-n", "prod", "-o", style)

    assert result.exit_code == 0
    assert result.stderr == "nothing to verify: namespace prod holds no PipelineSegment\n"
    assert "as declared" not in result.stdout


async def test_a_cluster_without_a_segment_is_told_as_nothing_to_verify(verify):
    result = await verify(MemoryCluster())

    assert (result.exit_code, result.stderr) == (0, "nothing to verify: the cluster holds no PipelineSegment\n")


async def test_segments_that_may_not_be_listed_are_no_success(verify):
    cluster = await enforced()
    no = Rejected(403, "Forbidden", "pipelinesegments is forbidden")
    cluster.fail(no, verbs=frozenset({"list"}), matches=lambda t: t.kind == "PipelineSegment")

    result = await verify(cluster, "-o", "json")

    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        "PipelineSegment: could not be listed, so nothing is verified: 'pipelinesegments is forbidden'" in result.stderr
    )
