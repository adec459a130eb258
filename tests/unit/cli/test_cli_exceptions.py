"""Exceptions and seals offline: among the facts they are what they would be in a cluster at a moment, by every verb."""

import json
from pathlib import Path

import pytest

from lab import yaml
from pipesegment.spec.exception import spec_hash
from tests.golden.walk import facts_of
from tests.unit.emergencies import approval, exception, guards, seal
from tests.unit.reach.reaching import segment_class

DURING, AFTER = "2030-01-01T10:30:00Z", "2030-01-01T11:00:00Z"
VENDOR = {"cidr": {"block": "198.51.100.7/32"}, "ports": [{"port": 443}]}
HOTFIX = exception(VENDOR, stage="build")


@pytest.fixture
def emergency(tmp_path: Path, facts: str) -> str:
    """Facts with an exception that is approved, and all that approvals need to be believed."""
    governing = segment_class(breakGlass={"approverGroups": ["sre"]})
    documents = [governing, HOTFIX, approval(HOTFIX), *guards()]
    (tmp_path / "emergency.yaml").write_text(
        yaml.safe_dump_all([*yaml.safe_load_all(Path(facts).read_text()), *documents])
    )
    return "emergency.yaml"


def blocks(result) -> set[str]:
    policies = (o for o in yaml.safe_load_all(result.stdout) if o["kind"] == "NetworkPolicy")
    rules = (rule for policy in policies for rule in policy["spec"]["egress"])
    return {peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer}


def test_what_is_compiled_depends_on_the_moment(run, segment: str, emergency: str) -> None:
    during = run("compile", "-f", segment, "--facts", emergency, "--at", DURING)
    after = run("compile", "-f", segment, "--facts", emergency, "--at", AFTER)

    assert (during.exit_code, after.exit_code) == (0, 0)
    assert blocks(during) == {"198.51.100.7/32"}
    assert blocks(after) == set()
    assert "ExceptionIdle: is not in force: its time is over" in after.stderr
    assert run("compile", "-f", segment, "--facts", emergency, "--at", DURING).stdout == during.stdout


def test_without_a_time_it_is_now(run, segment: str, emergency: str) -> None:
    """The exception of this test begins in a year that has not come: at its own time it is open, and not today."""
    assert blocks(run("compile", "-f", segment, "--facts", emergency)) == set()
    assert blocks(run("compile", "-f", segment, "--facts", emergency, "--at", DURING)) == {"198.51.100.7/32"}


def test_the_matrix_tells_whose_word_it_is(run, segment: str, emergency: str) -> None:
    asked = (
        "reach",
        "-f",
        segment,
        "--facts",
        emergency,
        "-o",
        "json",
        "--from",
        "ci/shop-build",
        "--to",
        "198.51.100.7",
    )
    during = json.loads(run(*asked, "--port", "TCP/443", "--at", DURING).stdout)
    after = json.loads(run(*asked, "--port", "TCP/443", "--at", AFTER).stdout)

    (found,) = during["verdicts"]
    assert (found["declared"], found["enforced"], during["mismatches"]) == (True, True, 0)
    assert found["because"].split("; ")[0] == "ci/shop SegmentException/hotfix spec.reaches[0]"
    (found,) = after["verdicts"]
    assert (found["declared"], found["enforced"], after["mismatches"]) == (False, False, 0)


def test_a_document_alone_opens_nothing_and_a_seal_shows_what_it_would_cut(run, segment: str, tmp_path: Path) -> None:
    """What is given with -f does not exist yet: nobody can have approved it. A seal needs nobody."""
    for name, document in (("hotfix.yaml", HOTFIX), ("seal.yaml", seal(stage="cache"))):
        (tmp_path / name).write_text(yaml.safe_dump(document))

    waiting = run("compile", "-f", segment, "-f", "hotfix.yaml")
    sealed = run("compile", "-f", segment, "-f", "seal.yaml")

    assert (waiting.exit_code, blocks(waiting)) == (0, set())
    policies = {
        o["metadata"]["name"]: o["spec"] for o in yaml.safe_load_all(sealed.stdout) if o["kind"] == "NetworkPolicy"
    }
    assert policies["shop-cache"]["ingress"] == []
    assert policies["shop-build"]["egress"] == []
    assert "StageSealed: stage cache is sealed" in sealed.stderr


def test_what_is_wrong_with_one_is_told_by_lint(run, segment: str, tmp_path: Path) -> None:
    wrong = exception(stage="build", duration="an hour")
    (tmp_path / "hotfix.yaml").write_text(yaml.safe_dump(wrong))

    result = run("lint", "-f", segment, "-f", "hotfix.yaml", "-o", "json")

    assert result.exit_code == 1
    told = {f["path"]: f["object"] for f in json.loads(result.stdout)["findings"] if f["code"] == "PS101"}
    assert told == {"spec.reaches": "ci/hotfix", "spec.duration": "ci/hotfix"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (exception({"imds": {}}, stage="build"), {("PS802", "SegmentException/hotfix spec.reaches[0].imds")}),
        (
            exception({"stage": {"name": "nowhere"}, "ports": [{"port": 1}]}, VENDOR, stage="build"),
            {("PS201", "SegmentException/hotfix spec.reaches[0]")},
        ),
        (exception(VENDOR, stage="build", duration="9h"), {("PS802", "SegmentException/hotfix")}),
        (exception(VENDOR, stage="nowhere"), {("PS804", "SegmentException/hotfix")}),
        (exception(VENDOR, segment="nowhere"), {("PS804", "SegmentException/hotfix")}),
        (exception(VENDOR, stage="build"), set()),
    ],
    ids=["guardrail", "entry", "duration", "stage", "segment", "nothing"],
)
def test_what_it_would_come_to_is_told_before_it_exists(run, segment: str, tmp_path: Path, asked, told) -> None:
    governing = segment_class(breakGlass={"approverGroups": ["sre"], "maxDuration": "4h"})
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump_all([governing, asked]))

    result = run("lint", "-f", segment, "-f", "asked.yaml", "-o", "json")

    found = json.loads(result.stdout)["findings"]
    assert {(f["code"], f["path"]) for f in found if "SegmentException/" in f["path"] and f["code"] != "PS801"} == told


@pytest.mark.parametrize("at", ["yesterday", "2030-01-01", "2030-01-01T10:00:00"])
def test_a_time_that_is_none_is_bad_usage(run, segment: str, at: str) -> None:
    result = run("compile", "-f", segment, "--at", at)

    assert result.exit_code == 2
    assert f"--at: is no time: '{at}': write it as 2030-01-31T12:00:00Z" in result.stderr


class TestRightsInAws:
    """An exception that gives some, in a world of the golden cases: its class, the VPC's endpoints, who approved."""

    CASES = Path(__file__).parents[2] / "golden" / "cases"

    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[str, ...]:
        case = yaml.safe_load((self.CASES / "an-exceptions-rights-bring-the-way-to-their-service.in.yaml").read_text())
        asked = next(obj for obj in case["facts"] if obj.get("kind") == "SegmentException")
        rights = asked["spec"]["aws"]["permissions"]
        asked = {**asked, "metadata": {"name": "asked", "namespace": "ci"}}
        asked["spec"] = {**asked["spec"], "aws": {"permissions": [*rights, {**rights[0], "actions": ["s3:GetObjct"]}]}}
        for name, documents in {"given": case["given"], "facts": facts_of(case), "asked": [asked]}.items():
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(documents))
        return "-f", "given.yaml", "--facts", "facts.yaml", "--at"

    def test_the_matrix_tells_by_whose_word_their_service_is_open(self, run, files) -> None:
        asked = ("reach", *files[:-1], "-o", "json", "--from", "ci/shop-deploy", "--to", "10.0.1.10")
        during = json.loads(run(*asked, "--port", "TCP/443", "--at", DURING).stdout)
        after = json.loads(run(*asked, "--port", "TCP/443", "--at", AFTER).stdout)

        (found,) = during["verdicts"]
        assert (found["declared"], found["enforced"], during["mismatches"]) == (True, True, 0)
        assert found["because"].split("; ")[0] == "ci/shop SegmentException/hotfix spec.aws.permissions[0]"
        (found,) = after["verdicts"]
        assert (found["declared"], found["enforced"], after["mismatches"]) == (False, False, 0)

    def test_what_is_wrong_with_them_is_told_before_they_are_asked_for(self, run, files) -> None:
        result = run("lint", "--aws", "-f", "asked.yaml", *files, DURING, "-o", "json")

        found = {(f["code"], f["object"], f["path"]) for f in json.loads(result.stdout)["findings"]}
        place = "SegmentException/asked spec.aws.permissions"
        assert {
            ("PS711", "ci/asked", f"{place}[0].resources[0]"),
            ("PS802", "ci/shop", f"{place}[1].actions[0]"),
            ("PS721", "ci/asked", f"{place}[2].actions[0]"),
        } <= found

    def test_the_policy_of_an_endpoint_lets_them_through_until_their_end(self, run, files) -> None:
        needs = json.loads(run("aws", "endpoints", *files, DURING, "-o", "json").stdout)["endpoints"]
        (of_kms,) = (each for each in needs if each["service"].endswith(".kms"))

        (statement,) = of_kms["policy"]["Statement"]
        assert statement["Action"] == ["kms:Decrypt"]
        assert statement["Condition"]["DateLessThan"] == {"aws:CurrentTime": [AFTER]}

    @pytest.mark.parametrize("many", [60, 64], ids=["beside the stage's own", "at all"])
    def test_what_a_role_has_no_room_for_is_in_the_policy_of_no_endpoint(self, run, files, tmp_path, many: int) -> None:
        facts = list(yaml.safe_load_all((tmp_path / "facts.yaml").read_text()))
        asked = next(obj for obj in facts if obj["kind"] == "SegmentException")
        (statement, *_) = asked["spec"]["aws"]["permissions"]
        keys = [f"arn:aws:kms:eu-west-1:111122223333:key/{'k' * 119}{number:02}" for number in range(many)]
        asked["spec"]["aws"]["permissions"] = [{**statement, "resources": keys}]
        approved = next(obj for obj in facts if obj["kind"] == "SegmentApproval")
        approved["spec"]["exception"]["specHash"] = spec_hash(asked["spec"])
        (tmp_path / "facts.yaml").write_text(yaml.safe_dump_all(facts))

        result = run("aws", "endpoints", *files, DURING, "-o", "json")

        assert "RoleTooLarge" in run("compile", "--aws", *files, DURING).stderr
        assert "kms:Decrypt" not in result.stdout

    def test_plan_and_compile_show_the_moment(self, run, files) -> None:
        during, after = (run("compile", "--aws", *files, at).stdout for at in (DURING, AFTER))
        assert "aws:CurrentTime:\n" in during
        assert AFTER in during
        assert "CurrentTime" not in after
        assert AFTER in run("plan", *files, DURING, "--live", "/dev/null").stdout
