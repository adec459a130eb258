"""lint, graph, wire, crd, run: what they print, where, and how they end."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

import pipesegment
from lab import yaml
from pipesegment import names
from pipesegment.settings import Settings


def test_lint_without_errors_exits_0_and_strict_1(run, segment: str, tmp_path: Path) -> None:
    text = (
        (tmp_path / segment)
        .read_text()
        .replace("- name: cache\n", "- name: cache\n      reaches: [{service: {name: gone}}]\n")
    )
    (tmp_path / segment).write_text(text)

    assert run("lint", "-f", segment).exit_code == 0
    assert run("lint", "-f", segment, "--strict").exit_code == 1


def test_lint_strict_passes_over_infos(run, segment: str, facts: str) -> None:
    result = run("lint", "-f", segment, "--facts", facts, "--strict")

    assert result.exit_code == 0
    assert "PS502" in result.stdout


def test_lint_prints_the_json_of_the_contract(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("port: 8080", "port: 8080, endPort: 80"))

    result = run("lint", "-f", segment, "-o", "json")

    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert {tuple(f) for f in findings} == {("code", "severity", "path", "message", "fix", "object")}
    errors = [f for f in findings if f["severity"] == "error"]
    assert [(f["code"], f["path"], f["object"]) for f in errors] == [
        ("PS101", "spec.stages[0].reaches[0].ports[0].endPort", "ci/shop")
    ]


def test_lint_tells_what_is_not_yet_supported_as_an_error(run, segment: str, tmp_path: Path) -> None:
    text = (
        (tmp_path / segment)
        .read_text()
        .replace("- name: cache", "- name: cache\n      gates: [{name: ok, imageDigests: {required: true}}]")
    )
    (tmp_path / segment).write_text(text)

    findings = json.loads(run("lint", "-f", segment, "-o", "json").stdout)["findings"]

    assert [f["path"] for f in findings if f["code"] == "PS102"] == ["spec.stages[1].gates"]


def test_lint_reads_unreadable_text_as_a_finding(run) -> None:
    result = run("lint", "-f", "-", "-o", "json", stdin="a: [")

    assert result.exit_code == 1
    assert [f["object"] for f in json.loads(result.stdout)["findings"]] != [""]


def test_lint_prints_a_table_that_names_every_code(run, segment: str) -> None:
    result = run("lint", "-f", segment)

    assert result.stdout.splitlines()[0].split() == ["SEVERITY", "CODE", "OBJECT", "PATH", "FINDING"]
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("style", ["mermaid", "dot", "svg", "json"])
def test_graph_draws_in_every_language(run, segment: str, style: str) -> None:
    result = run("graph", "-f", segment, "-o", style)

    assert result.exit_code == 0
    if style == "svg":
        assert ET.fromstring(result.stdout).tag.endswith("svg")
    elif style == "json":
        assert [b["label"] for b in json.loads(result.stdout)["boxes"] if b["kind"] == "stage"] == ["build", "cache"]
    else:
        assert "TCP/8080" in result.stdout


def test_graph_takes_one_of_several_segments(run, segment: str, tmp_path: Path) -> None:
    text = (tmp_path / segment).read_text()
    (tmp_path / segment).write_text(f"{text}---\n{text.replace('name: shop', 'name: pay')}")

    assert json.loads(run("graph", "-f", segment, "-o", "json", "ci/pay").stdout)["segment"] == "ci/pay"
    assert json.loads(run("graph", "-f", segment, "-o", "json").stdout)["segment"] == "ci/pay, ci/shop"
    assert run("graph", "-f", segment, "nobody").exit_code == 2


def test_graph_of_a_refused_segment_is_1(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("8080", "0"))

    result = run("graph", "-f", segment)

    assert (result.exit_code, result.stdout) == (1, "")


def test_wire_prints_and_its_check_accepts_what_was_printed(run, segment: str, tmp_path: Path) -> None:
    printed = run("wire", "-f", segment)
    (tmp_path / "pods.yaml").write_text(printed.stdout)

    assert printed.exit_code == 0
    assert [d["template"]["spec"]["serviceAccountName"] for d in yaml.safe_load_all(printed.stdout)] == [
        "shop-build",
        "shop-cache",
    ]
    assert run("wire", "-f", segment, "--check", "pods.yaml").exit_code == 0


def test_wire_check_tells_what_a_file_lacks(run, segment: str, tmp_path: Path) -> None:
    text = run("wire", "-f", segment).stdout.replace("serviceAccountName: shop-build", "serviceAccountName: default")
    (tmp_path / "pods.yaml").write_text(text)

    as_text = run("wire", "-f", segment, "--check", "pods.yaml")
    as_json = run("wire", "-f", segment, "--check", "-", "-o", "json", stdin=text)

    assert as_text.exit_code == as_json.exit_code == 1
    assert as_text.stdout.startswith("pods.yaml: [0].template.spec.serviceAccountName: ")
    assert [lack["target"] for lack in json.loads(as_json.stdout)["lacks"]] == ["stage build"]


def test_wire_as_json_holds_the_pieces(run, segment: str) -> None:
    (made,) = json.loads(run("wire", "-f", segment, "-o", "json").stdout)["wirings"]

    assert (made["segment"], made["engine"]) == ("ci/shop", "None")
    assert all(yaml.safe_load(piece["text"]) for piece in made["pieces"])


def test_wire_check_of_a_text_in_no_language_is_1_with_its_name(run, segment: str) -> None:
    result = run("wire", "-f", segment, "--check", "-", stdin="a: [")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("stdin: it is not YAML: ")


def test_crd_prints_every_kind(run) -> None:
    found = list(yaml.safe_load_all(run("crd").stdout))

    assert [c["spec"]["names"]["kind"] for c in found] == [*names.KINDS]
    assert json.loads(run("crd", "-o", "json").stdout)["items"] == found


def test_run_starts_the_operator_with_settings_from_flags_and_environment(run, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Settings] = []
    serving = ModuleType("pipesegment.serving")
    serving.main = started.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pipesegment.serving", serving)
    monkeypatch.setattr(pipesegment, "serving", serving, raising=False)
    monkeypatch.setenv("PIPESEGMENT_WORKERS", "3")
    monkeypatch.setenv("PIPESEGMENT_ADMIN_PORT", "9")

    result = run("run", "--admin-port", "0", "--log-format", "text")

    assert result.exit_code == 0, result.output
    assert [(s.workers, s.admin_port, s.log_format) for s in started] == [(3, 0, "text")]


def test_run_refuses_wrong_settings_as_bad_usage(run) -> None:
    assert run("run", "--workers", "0").exit_code == 2
    assert run("run", "--log-format", "xml").exit_code == 2
