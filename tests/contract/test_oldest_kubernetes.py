"""The oldest Kubernetes that docs/install.md names takes our kinds, by its own validation: the lab's control plane is a newer one."""

import copy
from pathlib import Path
from typing import Any

import pytest

from lab import oldest, yaml
from lab.errors import LabError

pytestmark = pytest.mark.oracle

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def definitions(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Our CustomResourceDefinitions, once the program that judges them is there."""
    try:
        oldest.program()
    except (LabError, OSError) as error:
        if request.config.getoption("--cluster-required"):
            pytest.fail(f"no judge: {error}", pytrace=False)
        pytest.skip(f"the oldest Kubernetes' validation cannot be built, so nothing was compared with it: {error}")
    found = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert len(found) == 5
    return found


def test_it_takes_every_kind(definitions: list[dict[str, Any]]) -> None:
    """It refuses a definition whose rules may cost too much, by an estimate of its own."""
    assert oldest.wrong(definitions) == {definition["metadata"]["name"]: [] for definition in definitions}


def test_it_refuses_a_rule_that_may_cost_too_much(definitions: list[dict[str, Any]]) -> None:
    """A rule of each item of a list within lists; newer versions take this one."""
    costly = copy.deepcopy(next(d for d in definitions if d["spec"]["names"]["kind"] == "PipelineSegment"))
    (version,) = costly["spec"]["versions"]
    stage = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["stages"]["items"]
    block = stage["properties"]["reaches"]["items"]["properties"]["cidr"]["properties"]
    rule = "isCIDR(self) && cidr(self).masked() == cidr(self)"
    block["except"]["items"]["x-kubernetes-validations"] = [{"rule": rule, "message": "has host bits"}] * 4
    (problems,) = oldest.wrong([costly]).values()
    assert any("estimated rule cost exceeds budget" in problem for problem in problems)


def test_the_docs_name_it() -> None:
    """The version that is compiled in is the one that users are promised."""
    (pinned,) = {
        line.split()[1].rpartition(".")[0]
        for line in (oldest.MODULE / "go.mod").read_text().splitlines()
        if line.strip().startswith(("k8s.io/apiextensions-apiserver ", "k8s.io/apimachinery "))
    }
    assert pinned == "v0.31"
    assert "Kubernetes 1.31 or newer" in (ROOT / "README.md").read_text()
