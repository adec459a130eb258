"""Odd and hostile input: one line that says where, the exit code of the contract, and nothing that acts on a terminal."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab import yaml
from pipesegment.cli import inputs

VERBS = [["compile"], ["lint"], ["reach"], ["graph"], ["wire"], ["plan", "--live", "empty.yaml"]]


@pytest.fixture(autouse=True)
def empty(tmp_path: Path) -> None:
    """A file that holds nothing."""
    (tmp_path / "empty.yaml").write_text("")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n---\n", "null", "\ufeff"], ids=["empty", "comment", "nulls", "null", "mark"]
)
def test_a_file_without_documents_is_no_failure(run, tmp_path: Path, verb: list[str], text: str) -> None:
    (tmp_path / "nothing.yaml").write_text(text)

    result = run(*verb, "-f", "nothing.yaml")

    assert (result.exit_code, result.stdout) == (0, "")
    assert ": the input holds no " in result.stderr


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_without_a_segment_a_program_gets_an_empty_answer(run, verb: list[str]) -> None:
    """An empty List for the objects of `compile`."""
    result = run(*verb, "-f", "empty.yaml", "-o", "json")

    assert result.exit_code == 0
    assert [value for value in json.loads(result.stdout).values() if isinstance(value, list) and value] == []


def test_a_file_is_not_said_to_lack_nothing_where_nothing_is_asked_of_it(run) -> None:
    result = run("wire", "-f", "empty.yaml", "--check", "empty.yaml")

    assert (result.exit_code, result.stderr) == (0, "nothing to check: the input holds no PipelineSegment\n")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
@pytest.mark.parametrize("option", ["-f", "--facts"])
@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "3",
        "{}",
        "kind: [a]",
        "{apiVersion: v1, kind: List, items: {a: b}}",
        "{apiVersion: v1, kind: List, items: [3]}",
        "{apiVersion: pipesegment.dev/v1alpha1, kind: PipelineSegment, metadata: [a]}",
        "{apiVersion: pipesegment.dev/v1alpha1, kind: PipelineSegment, metadata: {name: [a]}, spec: 3, status: x}",
        "{apiVersion: pipesegment.dev/v1alpha1, kind: SegmentClass, metadata: {name: a, generation: x}}",
        "\ta: b",
        "a: \x1b[2J",
        '{"a": "\\ud800"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_document_is_refused_by_every_verb(run, segment, tmp_path: Path, verb, option, text) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    given = ["-f", segment, "--facts", "odd.yaml"] if option == "--facts" else ["-f", "odd.yaml"]

    result = run(*verb, *given)

    assert result.exit_code == 1
    # `lint` tells everything object by object; the others name the file as well.
    assert verb[0] == "lint" or "odd.yaml:1: " in result.stderr or "odd.yaml: " in result.stderr
    assert "\x1b" not in result.output


@pytest.mark.parametrize("kind", ["PipelineSegment", "SegmentGrant", "SegmentClass"])
def test_other_versions_of_our_group_are_refused(run, tmp_path: Path, kind: str) -> None:
    (tmp_path / "beta.yaml").write_text(f"{{apiVersion: pipesegment.dev/v1beta1, kind: {kind}, metadata: {{name: a}}}}")

    result = run("compile", "-f", "beta.yaml")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "apiVersion: is not known for this kind 'pipesegment.dev/v1beta1': write pipesegment.dev/v1alpha1" in (
        result.stderr
    )


def test_kinds_of_the_same_names_in_other_groups_are_no_facts(run, segment: str, tmp_path: Path) -> None:
    others = [
        {"apiVersion": "serving.example.com/v1", "kind": "Service", "metadata": {"name": "kube-dns"}, "spec": 3},
        {"apiVersion": "cni.example.com/v1", "kind": "NetworkPolicy", "metadata": {"name": "shop-build"}, "spec": []},
        {"apiVersion": "example.com/v1", "kind": "SegmentClass", "metadata": {"name": "default"}, "spec": {"a": "b"}},
    ]
    (tmp_path / "others.yaml").write_text(yaml.safe_dump_all(others))

    result = run("compile", "-f", segment, "--facts", "others.yaml")

    assert (result.exit_code, result.stdout) == (0, run("compile", "-f", segment).stdout)


def test_a_fact_without_its_group_counts_by_its_kind(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "namespace.yaml").write_text(
        "{kind: Namespace, metadata: {name: ci, labels: {istio-injection: enabled}}}"
    )

    assert "PeerAuthentication" in run("compile", "-f", segment, "--facts", "namespace.yaml").stdout


NASTY = "\x1b[31mred\nforged: line\u202e\x9b"


def test_nothing_that_acts_reaches_the_terminal(run, tmp_path: Path) -> None:
    name = f"{NASTY}.yaml"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NASTY, "namespace": NASTY}, "spec": NASTY}
    odd = {"apiVersion": NASTY, "kind": NASTY, "metadata": {"name": NASTY, "labels": NASTY}, NASTY: NASTY}
    wrong = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegment", "metadata": {"name": NASTY}}
    (tmp_path / name).write_text(json.dumps({"kind": "List", "items": [odd, {**wrong, "spec": {NASTY: NASTY}}]}))
    (tmp_path / "pod.json").write_text(json.dumps(pod))

    for verb in VERBS:
        for args in (["-f", name], ["-f", name, "--facts", "pod.json"], ["-f", "empty.yaml", NASTY], [f"--{NASTY}"]):
            result = run(*verb, *args)
            assert result.exit_code in {1, 2}
            assert not set(result.output) & set("\x1b\x9b\u202e")
            assert "\nforged" not in result.output
    assert "\\x1b[31mred\\nforged: line\\u202e\\x9b.yaml:1: " in run("compile", "-f", name).stderr


def test_names_among_the_facts_are_escaped_in_every_format(run, segment: str, tmp_path: Path) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NASTY, "namespace": "ci"}, "spec": {}}
    (tmp_path / "pod.json").write_text(json.dumps(pod))
    policy = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    opens = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": NASTY}, "spec": policy}
    (tmp_path / "policy.json").write_text(json.dumps(opens | {"metadata": {"name": NASTY, "namespace": "ci"}}))
    given = ("-f", segment, "--facts", "pod.json", "--facts", "policy.json")

    as_text = run("reach", *given)
    as_json = run("reach", *given, "-o", "json")
    one = run("reach", *given, "--from", f"ci/{NASTY}", "--to", "ci/shop-cache", "--port", "80")

    for result in (as_text, as_json, one):
        assert not set(result.output) & set("\x1b\x9b\u202e")
        assert "\nforged" not in result.output
    assert f"ci/{NASTY}" in {v["from"] for v in json.loads(as_json.stdout)["verdicts"]}


def test_a_wall_of_mistakes_is_cut(run, tmp_path: Path) -> None:
    stages = "".join(f"  - {{name: s{i}, nonsense: 1}}\n" for i in range(5000))
    head = "apiVersion: pipesegment.dev/v1alpha1\nkind: PipelineSegment\nmetadata: {name: a, namespace: ci}\n"
    (tmp_path / "wall.yaml").write_text(f"{head}spec:\n  stages:\n{stages}")

    lines = [line for line in run("compile", "-f", "wall.yaml").stderr.splitlines() if not line.startswith("reading")]

    # A hundred mistakes, each below its line in the file, and how many are left out.
    assert len(lines) == 2 * 100 + 1
    assert (lines[0], lines[198]) == tuple(f"wall.yaml:{n}: PipelineSegment ci/a is refused:" for n in (6, 105))
    assert lines[-1].endswith(" more")


@pytest.mark.parametrize(("option", "most"), [("-f", "MOST_DECLARED"), ("--facts", "MOST_FACTS")])
def test_a_text_that_is_too_large_is_refused_unread(run, segment, tmp_path, monkeypatch, option, most) -> None:
    monkeypatch.setattr(inputs, most, 2**20)
    (tmp_path / "large.yaml").write_bytes(b"#" * (2**20 + 1))
    (tmp_path / "fits.yaml").write_bytes(b"#" * 2**20)
    given = ["-f", segment] if option == "--facts" else []

    large, fits = run("compile", *given, option, "large.yaml"), run("compile", *given, option, "fits.yaml")

    assert (large.exit_code, large.stdout) == (1, "")
    assert "large.yaml: is larger than '1 MiB': " in large.stderr
    assert fits.exit_code == 0


def test_a_device_without_end_is_refused(run) -> None:
    assert "/dev/zero: is larger than '16 MiB': " in run("compile", "-f", "/dev/zero").stderr


def test_a_pipe_is_read(run, segment: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes((tmp_path / segment).read_bytes()))
    writer.start()

    result = run("compile", "-f", "pipe")

    writer.join()
    assert (result.exit_code, result.stdout) == (0, run("compile", "-f", segment).stdout)


def test_a_folder_may_hold_pipes_and_links_that_lead_back(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / segment).rename(tmp_path / "folder" / segment)
    os.mkfifo(tmp_path / "folder" / "pipe.yaml")
    for link in ("a", "b", "c"):
        (tmp_path / "folder" / link).symlink_to(".")

    assert run("compile", "-f", "folder").exit_code == 0
    (tmp_path / "folder" / "broken.yaml").symlink_to("nowhere")
    assert run("compile", "-f", "folder").exit_code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_bad_usage(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / segment).write_text("")
    (tmp_path / "closed").chmod(0)

    assert run("compile", "-f", "closed").exit_code == 2


@pytest.mark.parametrize(
    "args",
    [
        ["compile", "-f", "-", "-f", "-"],
        ["compile", "-f", "-", "--facts", "-"],
        ["plan", "-f", "-", "--live", "-"],
        ["plan", "-f", "shop.yaml", "--live", "-", "--live", "-"],
        ["wire", "-f", "-", "--check", "-"],
        ["compile", "-f", "shop.yaml", "-n", "Bad"],
        ["compile", "-f", "shop.yaml", "-n", "../x"],
        ["compile", "-f", "shop.yaml", "-n", "a" * 64],
        ["plan", "-f", "shop.yaml", "--live", "empty.yaml", "-n", " "],
        ["compile", "-f", ""],
        ["compile", "-f", "/proc/self/mem"],
        ["wire", "-f", "shop.yaml", "--check", "."],
        ["graph", "-f", "shop.yaml", "pay"],
        ["crd", "shop.yaml"],
    ],
)
def test_bad_usage_is_2_and_one_error(run, segment: str, args: list[str]) -> None:
    result = run(*args)

    assert (result.exit_code, result.stdout) == (2, "")
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error: ")]) == 1


@pytest.mark.parametrize(
    "port", ["TCP/0", "TCP/65536", "9" * 40, "TCP/-1", "TCP/", "http", "ICMP/1", "TCP/443/1", "٤٤"]
)
def test_what_is_no_port_is_bad_usage(run, segment: str, port: str) -> None:
    result = run("reach", "-f", segment, "--from", "ci/shop-build", "--to", "ci/shop-cache", "--port", port)

    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    "end", ["999.1.1.1", "fe80::1%eth0", "10.0.0.0/8", "010.0.0.1", "127.1", "[::1]", "1.1.1.1:80", "ci/", "/x", "1"]
)
def test_what_is_no_pod_and_no_address_is_bad_usage(run, segment: str, end: str) -> None:
    for args in (["--from", end, "--to", "ci/shop-cache"], ["--from", "ci/shop-build", "--to", end]):
        result = run("reach", "-f", segment, *args, "--port", "443")

        assert (result.exit_code, result.stdout) == (2, "")
        assert f"there is no pod or address '{end}'" in result.stderr


def test_output_is_utf8_whatever_the_locale_says(segment: str, tmp_path: Path) -> None:
    ask = ["reach", "-f", segment, "--from", "ci/shop-build", "--to", "192.0.2.1", "--port", "443"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONPATH": os.pathsep.join(sys.path)}

    done = subprocess.run(
        [sys.executable, "-m", "pipesegment", *ask], capture_output=True, check=True, cwd=tmp_path, env=environment
    )

    assert done.stdout.decode().startswith("ci/shop-build → 192.0.2.1 at TCP/443\n")


@pytest.mark.parametrize(
    "verb", [["compile"], ["lint"], ["reach"], ["plan", "--live", "empty.yaml"]], ids=lambda v: v[0]
)
def test_facts_that_cannot_be_read_are_not_told_as_if_they_were_missing(run, tmp_path: Path, verb: list[str]) -> None:
    aws = {"permissions": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::bucket/*"]}]}
    segment = {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": {"name": "shop", "namespace": "ci"},
        "spec": {"stages": [{"name": "build", "aws": aws}]},
    }
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(segment))
    (tmp_path / "class.yaml").write_text("kind: SegmentClass\nkind: SegmentClass\n")

    result = run(*verb, "-f", "shop.yaml", "--facts", "class.yaml")

    told = result.stdout + result.stderr
    assert result.exit_code == 1
    assert "duplicate key 'kind'" in told
    assert "SegmentClass governs" not in told
    assert "PipelineSegment ci/shop is refused" not in told
