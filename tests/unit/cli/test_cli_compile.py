"""`compile`: what is printed where, and what is refused how."""

import json
from pathlib import Path

import pytest

from lab import yaml


def names(text: str) -> set[str]:
    return {f"{o['kind']} {o['metadata']['namespace']}/{o['metadata']['name']}" for o in yaml.safe_load_all(text) if o}


STAGES = {
    "NetworkPolicy ci/shop-build",
    "NetworkPolicy ci/shop-cache",
    "ServiceAccount ci/shop-build",
    "ServiceAccount ci/shop-cache",
}


def test_a_segment_becomes_policies_and_accounts(run, segment: str, facts: str) -> None:
    result = run("compile", "-f", segment, "--facts", facts)

    assert (result.exit_code, result.stderr) == (0, "")
    assert names(result.stdout) == STAGES


def test_json_is_a_list_of_the_same_objects(run, segment: str) -> None:
    as_json = json.loads(run("compile", "-f", segment, "-o", "json").stdout)
    as_yaml = list(yaml.safe_load_all(run("compile", "-f", segment).stdout))

    assert (as_json["kind"], as_json["items"]) == ("List", as_yaml)


def test_twice_is_byte_equal(run, segment: str, facts: str) -> None:
    args = ("compile", "-f", segment, "--facts", facts)

    assert run(*args).stdout_bytes == run(*args).stdout_bytes


def test_stdin_and_a_file_give_the_same(run, segment: str, tmp_path: Path) -> None:
    text = (tmp_path / segment).read_text()

    assert run("compile", "-f", "-", stdin=text).stdout == run("compile", "-f", segment).stdout


def test_stdin_may_be_json(run, segment: str, tmp_path: Path) -> None:
    text = json.dumps(yaml.safe_load((tmp_path / segment).read_text()))

    assert names(run("compile", "-f", "-", stdin=text).stdout) == STAGES


def test_a_folder_is_read_at_every_depth_without_hidden_files(run, segment: str, tmp_path: Path) -> None:
    text = (tmp_path / segment).read_text()
    (tmp_path / "team" / "deep").mkdir(parents=True)
    (tmp_path / "team" / "deep" / "a.yml").write_text(text)
    (tmp_path / "team" / "b.json").write_text(json.dumps(yaml.safe_load(text.replace("name: shop", "name: pay"))))
    (tmp_path / "team" / ".hidden.yaml").write_text("nonsense: [")
    (tmp_path / "team" / "README.md").write_text("nonsense: [")

    assert names(run("compile", "-f", "team").stdout) == STAGES | {s.replace("shop", "pay") for s in STAGES}


def test_an_empty_folder_is_bad_usage(run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert run("compile", "-f", "empty").exit_code == 2


@pytest.mark.parametrize("text", ["", "# nothing but words\n", "---\n---\n"])
@pytest.mark.parametrize("verb", ["compile", "lint", "reach", "wire"])
def test_stdin_without_a_document_is_bad_usage(run, segment: str, verb: str, text: str) -> None:
    """Somebody's pipe is broken: to print nothing and say that all is well would hide it."""
    for more in ((), ("-f", segment)):
        result = run(verb, "-f", "-", *more, stdin=text)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "stdin holds no document" in result.stderr


def test_an_empty_list_is_a_document_and_nothing_to_print(run) -> None:
    """`kubectl get` prints one where there are no segments."""
    result = run("compile", "-f", "-", stdin="apiVersion: v1\nkind: List\nitems: []\n")

    assert (result.exit_code, result.stdout) == (0, "")


def test_stdin_twice_is_bad_usage(run) -> None:
    assert run("compile", "-f", "-", "--facts", "-").exit_code == 2


@pytest.mark.parametrize(("args", "expected"), [([], "default"), (["-n", "team"], "team")])
def test_a_document_without_namespace_is_in_the_given_one(run, segment: str, tmp_path: Path, args, expected) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace(", namespace: ci", ""))

    objects = yaml.safe_load_all(run("compile", "-f", segment, *args).stdout)

    assert {o["metadata"]["namespace"] for o in objects} == {expected}


def test_findings_go_to_stderr_and_exit_is_0(run, segment: str, tmp_path: Path) -> None:
    text = (
        (tmp_path / segment)
        .read_text()
        .replace("- name: cache\n", "- name: cache\n      reaches: [{service: {name: gone}}]\n")
    )
    (tmp_path / segment).write_text(text)

    result = run("compile", "-f", segment)

    assert result.exit_code == 0
    assert names(result.stdout) == STAGES
    assert "ci/shop spec.stages[1].reaches[0]: Unresolved: Service ci/gone does not exist" in result.stderr


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("port: 8080", "prot: 8080"), "spec.stages[0].reaches[0].ports[0].prot: "),
        (("name: cache}, ports", "name: nobody}, ports"), "spec.stages[0].reaches[0].stage.name: "),
        (("- name: cache", "- name: ca.che"), "spec.stages[1].name: "),
        (("- name: cache", "- name: build"), "spec.stages[1].name: "),
        (("port: 8080", "port: 8080, endPort: 80"), "spec.stages[0].reaches[0].ports[0].endPort: "),
        (("v1alpha1", "v9"), "apiVersion: "),
        (("kind: PipelineSegment", "kind: PipelineSegmnt"), "kind: "),
        (
            ("- name: cache", "- name: cache\n      gates: [{name: ok, imageDigests: {required: true}}]"),
            "spec.stages[1].gates: ",
        ),
        (("spec:", "spec: ["), "shop.yaml:6: "),
        (("- name: cache", "- name: cache\n      name: cache"), "shop.yaml:9: "),
    ],
)
def test_wrong_input_is_one_line_with_path_value_and_fix_and_prints_nothing(
    run, segment: str, tmp_path: Path, change: tuple[str, str], line: str
) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace(*change))

    result = run("compile", "-f", segment)

    assert (result.exit_code, result.stdout) == (1, "")
    told = [each for each in result.stderr.splitlines() if each.startswith(line)]
    assert told, result.stderr
    assert told[0].count("'") >= 2
    assert len(told[0].split(": ")) >= 3


def test_one_refused_document_prints_nothing_of_the_others(run, segment: str, tmp_path: Path) -> None:
    good = (tmp_path / segment).read_text()
    (tmp_path / segment).write_text(f"{good}---\n{good.replace('name: shop', 'name: pay').replace('8080', '0')}")

    result = run("compile", "-f", segment)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "shop.yaml:16: PipelineSegment ci/pay is refused:" in result.stderr
    assert "ci/shop is refused" not in result.stderr


def test_foreign_kinds_belong_into_the_facts(run, facts: str) -> None:
    result = run("compile", "-f", facts)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "kind: is not a kind of pipesegment.dev 'Namespace': give it with --facts" in result.stderr


def test_a_segment_among_the_facts_is_not_compiled(run, segment: str, tmp_path: Path) -> None:
    other = (tmp_path / segment).read_text().replace("name: shop", "name: pay")
    (tmp_path / "other.yaml").write_text(other)

    assert names(run("compile", "-f", segment, "--facts", "other.yaml").stdout) == STAGES


def test_a_name_that_another_segment_needs_is_refused(run, segment: str, tmp_path: Path) -> None:
    text = (tmp_path / segment).read_text()
    other = (
        text.replace("name: shop", "name: shop-a").replace("name: build", "name: b").replace("name: cache", "name: c")
    )
    mine = text.replace("name: build", "name: a-b")
    (tmp_path / segment).write_text(mine)
    (tmp_path / "other.yaml").write_text(other)

    for args in (["-f", segment, "-f", "other.yaml"], ["-f", segment, "--facts", "other.yaml"]):
        result = run("compile", *args)

        assert (result.exit_code, result.stdout) == (1, ""), args
        told = [line for line in result.stderr.splitlines() if line.startswith("spec.stages[0].name: ")]
        meant = "needs objects (NetworkPolicy, ServiceAccount) whose name another segment (ci/shop-a) needs too"
        assert len([line for line in told if meant in line]) == 1


def test_one_segment_given_twice_is_refused(run, segment: str) -> None:
    result = run("compile", "-f", segment, "-f", segment)

    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        "metadata.name: is the name of two documents of the kind PipelineSegment 'ci/shop': keep one" in result.stderr
    )


FOREIGN = """\
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop-build, namespace: ci, labels: {%s}}
"""


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ("app: other", 1),
        ("app.kubernetes.io/managed-by: pipesegment, pipesegment.dev/segment: other", 1),
        ("app.kubernetes.io/managed-by: pipesegment, pipesegment.dev/segment: shop", 0),
    ],
)
def test_a_name_that_an_object_of_somebody_else_has_is_refused(
    run, segment, tmp_path: Path, labels: str, code: int
) -> None:
    (tmp_path / "live.yaml").write_text(FOREIGN % labels)

    result = run("compile", "-f", segment, "--facts", "live.yaml")

    assert result.exit_code == code
    assert (result.stdout == "") is (code == 1)
    if code:
        assert "spec.stages[0].name: needs a name that is not free: 'ServiceAccount ci/shop-build'" in result.stderr


def test_what_the_class_does_not_allow_is_refused(run, segment: str, tmp_path: Path) -> None:
    text = (
        (tmp_path / segment)
        .read_text()
        .replace("- name: cache\n", "- name: cache\n      reaches: [{internet: {}, ports: [{port: 443}]}]\n")
    )
    (tmp_path / segment).write_text(text)
    (tmp_path / "class.yaml").write_text(
        "apiVersion: pipesegment.dev/v1alpha1\nkind: SegmentClass\nmetadata: {name: default}\nspec: {network: {allowInternet: false}}\n"
    )

    for way in ("-f", "--facts"):
        result = run("compile", "-f", segment, way, "class.yaml")

        assert (result.exit_code, result.stdout) == (1, "")
        assert "spec.stages[1].reaches[0].internet: " in result.stderr


def test_metadata_addresses_are_refused(run, segment: str, tmp_path: Path) -> None:
    reaches = "reaches: [{cidr: {block: 169.254.0.0/16}, ports: [{port: 80}]}]"
    text = (tmp_path / segment).read_text().replace("- name: cache\n", f"- name: cache\n      {reaches}\n")
    (tmp_path / segment).write_text(text)

    result = run("compile", "-f", segment)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "spec.stages[1].reaches[0].cidr.block: " in result.stderr
    assert "'169.254.0.0/16'" in result.stderr


ISOLATING = """\
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: default}
spec: {network: {isolation: {mode: Namespace}}}
"""


def test_a_class_that_is_given_isolates_every_namespace_that_is_known(
    run, segment: str, facts: str, tmp_path: Path
) -> None:
    (tmp_path / "class.yaml").write_text(ISOLATING)

    given = names(run("compile", "-f", segment, "-f", "class.yaml", "--facts", facts).stdout)
    among_the_facts = names(run("compile", "-f", segment, "--facts", "class.yaml", "--facts", facts).stdout)

    assert given - STAGES == {f"NetworkPolicy {ns}/pipesegment-default-deny" for ns in ("ci", "prod")}
    assert among_the_facts == STAGES


def test_a_refused_class_among_the_facts_is_told_and_counts_for_nothing(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text(ISOLATING.replace("Namespace", "Everything"))

    result = run("compile", "-f", segment, "--facts", "class.yaml")

    assert result.exit_code == 0
    assert "class.yaml:1: SegmentClass default is refused, and counts for nothing" in result.stderr
    assert "ClassLost" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "kind: Pod",
        "{kind: Pod, metadata: 3}",
        "{kind: Service, metadata: {name: a}, spec: {ports: [3]}}",
        "spec: {}",
    ],
)
def test_facts_that_are_none_are_refused_with_their_place(run, segment: str, text: str) -> None:
    result = run("compile", "-f", segment, "--facts", "-", stdin=text)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("stdin:1: ")
    assert "kubectl get -o yaml" in result.stderr


def test_text_that_is_not_utf8_is_refused(run) -> None:
    result = run("compile", "-f", "-", stdin=b"\xff\xfe\x00")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "stdin: is not UTF-8 text" in result.stderr


def test_typed_lists_are_unfolded(run, segment: str, tmp_path: Path) -> None:
    item = yaml.safe_load((tmp_path / segment).read_text())
    del item["kind"], item["apiVersion"]
    text = json.dumps({"kind": "PipelineSegmentList", "apiVersion": "pipesegment.dev/v1alpha1", "items": [item]})

    assert names(run("compile", "-f", "-", stdin=text).stdout) == STAGES


def test_no_segment_prints_nothing_and_says_so(run, tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text(ISOLATING.replace("Namespace", "None"))

    result = run("compile", "-f", "class.yaml")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no PipelineSegment" in result.stderr


def test_managed_roles_are_none_yet(run, segment: str) -> None:
    assert run("compile", "-f", segment, "--aws").stdout == run("compile", "-f", segment).stdout


def test_a_segment_that_the_cluster_knows_owns_its_objects(run, segment: str, tmp_path: Path) -> None:
    known = yaml.safe_load((tmp_path / segment).read_text())
    known["metadata"] |= {"uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    (tmp_path / "known.yaml").write_text(json.dumps(known))

    objects = list(yaml.safe_load_all(run("compile", "-f", segment, "--facts", "known.yaml").stdout))

    assert {o["metadata"]["ownerReferences"][0]["uid"] for o in objects} == {"u-1"}


def test_what_only_a_cluster_can_say_of_a_document_is_not_taken_from_its_file(
    run, segment: str, tmp_path: Path
) -> None:
    plain = run("compile", "-f", segment).stdout
    claims = yaml.safe_load((tmp_path / segment).read_text())
    claims["metadata"] |= {"uid": "u-mine", "creationTimestamp": "2000-01-01T00:00:00Z", "generation": 7}
    claims["metadata"] |= {"deletionTimestamp": "2000-01-01T00:00:00Z", "resourceVersion": "1"}
    (tmp_path / segment).write_text(json.dumps(claims))
    known = {**claims, "metadata": {"name": "shop", "namespace": "ci", "uid": "u-1"}}
    (tmp_path / "known.json").write_text(json.dumps(known))

    alone = run("compile", "-f", segment)
    beside = run("compile", "-f", segment, "--facts", "known.json")

    assert (alone.exit_code, alone.stdout) == (0, plain)
    assert {o["metadata"]["ownerReferences"][0]["uid"] for o in yaml.safe_load_all(beside.stdout)} == {"u-1"}


@pytest.mark.parametrize("verb", [["lint"], ["plan"]])
def test_an_age_in_a_file_makes_nobody_older_than_what_the_cluster_has(
    run, segment, tmp_path, monkeypatch, verb
) -> None:
    live = yaml.safe_load((tmp_path / segment).read_text())
    live["metadata"] |= {"uid": "u-1", "creationTimestamp": "2030-01-01T00:00:00Z"}
    labels = {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "build"}
    evil = {**live, "metadata": {"name": "evil", "namespace": "ci", "creationTimestamp": "2000-01-01T00:00:00Z"}}
    evil["metadata"]["uid"] = "a-0"
    evil["spec"] = {"stages": [{"name": "any", "podSelector": {"matchLabels": labels}}]}
    (tmp_path / "evil.json").write_text(json.dumps(evil))
    monkeypatch.setattr("pipesegment.cli.gather.gather", lambda _: [live])

    result = run(*verb, "-f", segment, "-f", "evil.json", "--cluster")

    told = [line for line in result.output.splitlines() if "selected by stage" in line]
    assert len(told) == 1
    assert "ci/evil" in told[0]


def test_a_class_that_says_of_itself_that_it_is_going_governs_all_the_same(run, segment, facts, tmp_path: Path) -> None:
    going = ISOLATING.replace("name: default", "name: default, deletionTimestamp: '2000-01-01T00:00:00Z'")
    (tmp_path / "class.yaml").write_text(going)

    found = names(run("compile", "-f", segment, "-f", "class.yaml", "--facts", facts).stdout)

    assert "NetworkPolicy ci/pipesegment-default-deny" in found
