"""What docs/admission.md and docs/install.md say of the admission policies is what manifests/install.yaml holds."""

import re
from collections import Counter
from typing import Any

import pytest

from lab import yaml
from pipesegment import names
from tests.packaging.conftest import CHART, ROOT
from tests.packaging.test_admission_chart import ACTIONS, BINDING, POLICY, SPARED, SPARING_NOBODY, by_name, controllers

DOCS = ROOT / "docs"
TEXT = (DOCS / "admission.md").read_text()
NUMBERS = {
    13: "thirteen",
    14: "fourteen",
    15: "fifteen",
    16: "sixteen",
    17: "seventeen",
    18: "eighteen",
    19: "nineteen",
}


def rows(heading: str) -> list[list[str]]:
    """Give the cells of the first table under a heading, without its head."""
    lines = TEXT.split(f"\n{heading}\n", 1)[1].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


POLICIES = {re.findall(r"`([^`]+)`", row[0])[0]: row for row in rows("")}


def test_the_table_lists_every_policy_and_no_other(install):
    assert set(POLICIES) == set(by_name(install, POLICY))


def test_the_numbers_are_those_of_the_manifest(install):
    policies, bindings = len(by_name(install, POLICY)), len(by_name(install, BINDING))

    assert f"carry {NUMBERS[bindings]} bindings of {NUMBERS[policies]} ValidatingAdmissionPolicies" in TEXT
    assert f"| {policies} ValidatingAdmissionPolicies, {bindings} bindings |" in (DOCS / "install.md").read_text()


def test_the_table_names_each_value_and_what_it_is_by_default(install):
    told = {
        policy: dict(pair.split(": ") for pair in re.findall(r"`(\w+: \w+)`", row[2]))
        for policy, row in POLICIES.items()
    }
    wanted: dict[str, dict[str, str]] = {policy: {} for policy in POLICIES}
    for name, binding in by_name(install, BINDING).items():
        value, action = ACTIONS[name]
        wanted[binding["policyName"].removeprefix("pipesegment-")][value] = action

    assert told == wanted


def test_what_is_exclusive_is_named(install):
    rules = by_name(install, POLICY)["exclusive"]["matchConstraints"]["resourceRules"]
    looked_at = {resource for rule in rules for resource in rule["resources"]}
    named = re.findall(
        r"\b[A-Z]\w+(?:Policy|Authentication|Route|Authorization|Sidecar)\b|\bSidecar\b|\bServer\b",
        POLICIES["exclusive"][1],
    )

    assert {_plural(kind) for kind in named} == looked_at


def _plural(kind: str) -> str:
    return f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"


def test_who_is_spared_is_named():
    always = next(row for row in rows("## Exemptions") if row[1].startswith("always"))
    exempt = next(row for row in rows("## Exemptions") if "`admission.exempt`" in row[1])

    assert set(re.findall(r"`([^`]+)`", always[0])) == SPARED - {"pipesegment-system"}
    assert "the operator's namespace" in always[0]
    assert set(re.findall(r"`(\w+)`", exempt[1].partition("but")[2])) == SPARING_NOBODY


def test_the_meshs_own_containers_are_named(install):
    expressions = str(by_name(install, POLICY)["stage-bypass"])
    told = TEXT.split("\n## Meshes\n")[1].split("\n## ")[0]

    assert set(re.findall(r"`((?:istio|linkerd)-[\w-]+)`", told)) == set(
        re.findall(r"'((?:istio|linkerd)-[a-z-]+)'", expressions)
    )


def test_the_controllers_are_named_with_their_defaults(install):
    told = {row[0].strip("`"): re.findall(r"`(system:[^`]+)`", row[1]) for row in rows("## Roles of other controllers")}

    assert controllers(install) == "variables.isACK ? {} : variables.isCrossplane ? {} : []".format(
        *('["' + '","'.join(told[f"admission.controllers.{which}"]) + '"]' for which in ("ack", "crossplane"))
    )


@pytest.mark.parametrize("page", ["admission.md", "install.md", "operations.md", "threat-model.md"])
def test_no_page_names_a_value_that_the_chart_does_not_have(page: str):
    values: Any = yaml.safe_load((CHART / "values.yaml").read_text())
    for way in re.findall(r"`(admission(?:\.\w+)+)`", (DOCS / page).read_text()):
        found = values
        for step in way.split("."):
            assert step in found, f"{page} names {way}"
            found = found[step]


def test_the_objects_that_are_installed_are_counted(install):
    kinds = Counter(obj["kind"] for obj in install)
    told = re.findall(r"(?m)^\| (\d+) (\w+?)s\b", (DOCS / "install.md").read_text().replace("Policies", "Policys"))

    assert {kind.replace("Policys", "Policy"): int(number) for number, kind in told} == {
        kind: kinds[kind] for kind in ("CustomResourceDefinition", POLICY)
    }
    assert set(names.KINDS) == set(
        re.findall(
            r"\b(?:Pipeline)?Segment\w*",
            (DOCS / "install.md").read_text().split("CustomResourceDefinitions |")[1].split("|")[0],
        )
    )
