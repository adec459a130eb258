"""`reach`: the matrix, one question, and how they end."""

import json
from pathlib import Path

import pytest

from lab import yaml

CASES = Path(__file__).parents[2] / "golden" / "cases"


def verdicts(result) -> dict[tuple[str, str, str], tuple[bool, bool]]:
    found = json.loads(result.stdout)["verdicts"]
    return {(v["from"], v["to"], v["port"]): (v["declared"], v["enforced"]) for v in found}


def opened(result) -> set[tuple[str, str, str]]:
    return {question for question, (declared, enforced) in verdicts(result).items() if declared and enforced}


def test_only_what_is_declared_is_open(run, segment: str, facts: str) -> None:
    result = run("reach", "-f", segment, "--facts", facts, "-o", "json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["mismatches"] == 0
    assert opened(result) == {
        ("ci/shop-build", "ci/shop-cache", "TCP/8080"),
        ("ci/shop-build", "kube-system/dns", "TCP/53"),
        ("ci/shop-build", "kube-system/dns", "UDP/53"),
    }
    assert ("ci/shop-build", "169.254.169.254", "TCP/8080") in verdicts(result)


def test_a_difference_is_not_made_up_with_a_pod(run, tmp_path: Path) -> None:
    """An entry may mean a stage's pods or not, by what its selector does not say: nobody is there to tell."""
    entry = "{pods: {podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [x]}]}}, ports: [{port: 80}]}"
    stages = f"{{stages: [{{name: s0}}, {{name: s1, reaches: [{entry}]}}]}}"
    kind = "{apiVersion: pipesegment.dev/v1alpha1, kind: PipelineSegment, metadata: {name: shop, namespace: ci}"
    (tmp_path / "chance.yaml").write_text(f"{kind}, spec: {stages}}}")

    result = run("reach", "-f", "chance.yaml", "-o", "json")

    assert result.exit_code == 0
    assert opened(result) == {("ci/shop-s1", "ci/pods", "TCP/80")}


def test_the_json_is_the_contracts(run, segment: str) -> None:
    data = json.loads(run("reach", "-f", segment, "-o", "json").stdout)

    assert set(data) == {"verdicts", "mismatches"}
    assert {tuple(v) for v in data["verdicts"]} == {("from", "to", "port", "declared", "enforced", "because")}


def test_because_names_the_entry_once_and_the_rules(run, segment: str) -> None:
    result = run("reach", "-f", segment, "-o", "json")

    (found,) = [v for v in json.loads(result.stdout)["verdicts"] if v["declared"]]
    assert found["because"].split("; ") == [
        "ci/shop spec.stages[0].reaches[0]",
        "allowed by NetworkPolicy ci/shop-build egress[0]",
        "allowed by NetworkPolicy ci/shop-cache ingress[0]",
    ]


def test_a_wide_matrix_is_a_list_of_its_cells(run, segment: str, tmp_path: Path) -> None:
    stages = "".join(f"    - {{name: s{i}}}\n" for i in range(8))
    reaches = "".join(f"        - {{stage: {{name: s{i}}}, ports: [{{port: 80}}]}}\n" for i in range(8))
    text = (tmp_path / segment).read_text().partition("    - name: build")[0]
    (tmp_path / segment).write_text(f"{text}    - name: build\n      reaches:\n{reaches}{stages}")

    lines = run("reach", "-f", segment).stdout.splitlines()

    assert lines[0].split() == ["FROM", "TO", "OPEN"]
    assert len(lines) == 9


def test_text_is_a_matrix_without_colours_when_piped(run, segment: str) -> None:
    result = run("reach", "-f", segment)

    assert result.stdout == "FROM \\ TO       ci/shop-cache\nci/shop-build   TCP/8080\n"
    assert "0 mismatches" in result.stderr


POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-all, namespace: ci}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
"""


def test_a_foreign_policy_that_widens_is_a_mismatch_and_exit_1(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)

    result = run("reach", "-f", segment, "--facts", "policy.yaml", "-o", "json")

    assert result.exit_code == 1
    assert verdicts(result)["ci/shop-cache", "ci/shop-build", "TCP/8080"] == (False, True)
    assert json.loads(result.stdout)["mismatches"] > 0
    as_text = run("reach", "-f", segment, "--facts", "policy.yaml")
    assert as_text.exit_code == 1
    assert "TCP/8080!" in as_text.stdout
    assert "NetworkPolicy ci/allow-all" in as_text.stdout


def test_our_own_old_objects_among_the_facts_do_not_count(run, segment: str, tmp_path: Path) -> None:
    labels = "labels: {app.kubernetes.io/managed-by: pipesegment, pipesegment.dev/segment: gone}"
    (tmp_path / "policy.yaml").write_text(POLICY.replace("namespace: ci", f"namespace: ci, {labels}"))

    assert run("reach", "-f", segment, "--facts", "policy.yaml").exit_code == 0


def reaching_api(tmp_path: Path, segment: str) -> None:
    text = (tmp_path / segment).read_text()
    api = "- name: cache\n      reaches: [{service: {name: api, namespace: prod}}]\n"
    (tmp_path / segment).write_text(text.replace("- name: cache\n", api))


CLOSED = POLICY.replace("allow-all, namespace: ci", "closed, namespace: prod").replace(
    "[Ingress, Egress], ingress: [{}], egress: [{}]", "[Ingress]"
)


def test_an_ungranted_way_is_declared_and_differs_where_the_other_side_is_closed(
    run, segment, facts, tmp_path: Path
) -> None:
    reaching_api(tmp_path, segment)
    (tmp_path / "closed.yaml").write_text(CLOSED)

    open_side = run("reach", "-f", segment, "--facts", facts, "-o", "json")
    closed_side = run("reach", "-f", segment, "--facts", facts, "--facts", "closed.yaml", "-o", "json")

    question = ("ci/shop-cache", "prod/api", "TCP/8080")
    assert (open_side.exit_code, verdicts(open_side)[question]) == (0, (True, True))
    assert (closed_side.exit_code, verdicts(closed_side)[question]) == (1, (True, False))


GRANT = """\
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentGrant
metadata: {name: ci, namespace: prod}
spec: {from: [{namespace: ci}], to: {service: {name: api}}}
"""


@pytest.mark.parametrize("way", ["-f", "--facts"])
def test_a_grant_opens_the_closed_side(run, segment: str, facts: str, tmp_path: Path, way: str) -> None:
    reaching_api(tmp_path, segment)
    (tmp_path / "closed.yaml").write_text(CLOSED)
    (tmp_path / "grant.yaml").write_text(GRANT)

    result = run("reach", "-f", segment, "--facts", facts, "--facts", "closed.yaml", way, "grant.yaml", "-o", "json")

    assert (result.exit_code, verdicts(result)["ci/shop-cache", "prod/api", "TCP/8080"]) == (0, (True, True))


def ask(run, segment: str, source: str, destination: str, port: str, *more: str):
    return run("reach", "-f", segment, "--from", source, "--to", destination, "--port", port, *more)


def test_one_question_is_answered_with_its_path_and_rule(run, segment: str) -> None:
    result = ask(run, segment, "ci/shop-build", "ci/shop-cache", "TCP/8080")

    assert result.exit_code == 0
    assert "declared: yes: " in result.stdout
    assert "spec.stages[0].reaches[0]" in result.stdout
    assert "enforced: yes: allowed by NetworkPolicy ci/shop-build egress[0]" in result.stdout
    assert "add to" not in result.stdout


def test_one_question_about_a_closed_way_is_answered_with_what_to_add(run, segment: str) -> None:
    result = ask(run, segment, "ci/shop-cache", "ci/shop-build", "80")

    assert result.exit_code == 0
    assert "declared: no: " in result.stdout
    assert "add to spec.stages[1].reaches of PipelineSegment ci/shop:\n  - stage: {name: build}" in result.stdout


def test_one_question_may_ask_about_an_address(run, segment: str) -> None:
    result = ask(run, segment, "ci/shop-build", "169.254.169.254", "TCP/80")

    assert result.exit_code == 0
    assert f"\nthe built-in defaults do not {LEAVE}\n" in result.stdout


def test_one_question_as_json_is_a_matrix_of_one(run, segment: str) -> None:
    result = ask(run, segment, "ci/shop-build", "ci/shop-cache", "TCP/8080", "-o", "json")

    assert verdicts(result) == {("ci/shop-build", "ci/shop-cache", "TCP/8080"): (True, True)}


def test_a_declared_way_that_stays_closed_is_answered_with_the_finding(
    run, segment: str, facts: str, tmp_path: Path
) -> None:
    reaching_api(tmp_path, segment)
    (tmp_path / "closed.yaml").write_text(CLOSED)

    result = ask(run, segment, "ci/shop-cache", "prod/api", "TCP/8080", "--facts", facts, "--facts", "closed.yaml")

    assert result.exit_code == 1
    assert "enforced: no: " in result.stdout
    assert "Ungranted: " in result.stdout
    assert "create a SegmentGrant" in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["--from", "ci/shop-build"],
        ["--from", "ci/shop-build", "--to", "ci/shop-cache"],
        ["--from", "ci/nobody", "--to", "ci/shop-cache", "--port", "80"],
        ["--from", "ci/shop-build", "--to", "somewhere", "--port", "80"],
        ["--from", "ci/shop-build", "--to", "ci/shop-cache", "--port", "TCP/x"],
        ["--from", "ci/shop-build", "--to", "ci/shop-cache", "--port", "TCP/70000"],
    ],
)
def test_half_a_question_is_bad_usage(run, segment: str, args: list[str]) -> None:
    result = run("reach", "-f", segment, *args)

    assert (result.exit_code, result.stdout) == (2, "")


def test_a_refused_document_is_1(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("8080", "0"))

    result = run("reach", "-f", segment, "-o", "json")

    assert (result.exit_code, result.stdout) == (1, "")


ISOLATING = """\
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: default}
spec: {network: {isolation: {mode: Namespace}}}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: ci, labels: {app: stranger}}
"""


def test_an_isolating_class_closes_pods_that_no_stage_names(run, segment: str, tmp_path: Path) -> None:
    accepts = (
        "- name: cache\n      accepts: [{pods: {podSelector: {matchLabels: {app: stranger}}}, ports: [{port: 9}]}]"
    )
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("- name: cache", accepts))
    (tmp_path / "class.yaml").write_text(ISOLATING)

    result = run("reach", "-f", segment, "--facts", "class.yaml", "-o", "json")

    assert result.exit_code == 0
    assert verdicts(result)["ci/stranger", "ci/shop-cache", "TCP/9"] == (False, False)


MESHED = """\
apiVersion: v1
kind: Namespace
metadata: {name: ci, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: cache, namespace: ci}
spec: {selector: {pipesegment.dev/segment: shop, pipesegment.dev/stage: cache}, ports: [{port: 80, targetPort: 8080}]}
"""


def test_stages_in_the_mesh_are_represented_with_a_sidecar(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(MESHED)
    accepts = "- name: cache\n      accepts: [{stage: {name: build}, ports: [{port: 8080}]}]"
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("- name: cache", accepts))

    result = run("reach", "-f", segment, "--facts", "mesh.yaml", "-o", "json")

    assert result.exit_code == 0, result.output
    assert ("ci/shop-build", "ci/shop-cache", "TCP/8080") in opened(result)
    asked = ask(run, segment, "ci/shop-build", "ci/shop-cache", "TCP/8080", "--facts", "mesh.yaml")
    assert "AuthorizationPolicy" in asked.stdout


@pytest.mark.parametrize(
    ("namespace", "says"),
    [
        ("labels: {istio-injection: enabled}", "AuthorizationPolicy ci/"),
        ("labels: {istio.io/dataplane-mode: ambient}", "AuthorizationPolicy ci/"),
        (
            "annotations: {linkerd.io/inject: enabled, config.linkerd.io/default-inbound-policy: deny}",
            "authorized at Server ci/",
        ),
    ],
)
def test_each_mesh_lets_through_what_is_declared_in_the_classs_trust_domain(
    run, segment: str, tmp_path: Path, namespace: str, says: str
) -> None:
    klass = "---\napiVersion: pipesegment.dev/v1alpha1\nkind: SegmentClass\nmetadata: {name: default}\nspec: {mesh: {trustDomain: example.org}}\n"
    (tmp_path / "mesh.yaml").write_text(MESHED.replace("labels: {istio-injection: enabled}", namespace) + klass)

    asked = ask(run, segment, "ci/shop-build", "ci/shop-cache", "TCP/8080", "--facts", "mesh.yaml")

    assert asked.exit_code == 0, asked.output
    assert says in asked.stdout
    assert run("reach", "-f", segment, "--facts", "mesh.yaml").exit_code == 0


def replicas(count: int) -> list[dict]:
    """Give pods of both stages, every third of them behind an address that a foreign policy opens."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{stage}-{n}",
                "namespace": "ci",
                "labels": {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": stage, "run": f"r{n}"},
            },
            "spec": {"serviceAccountName": f"shop-{stage}"},
            "status": {"podIP": f"10.{1 + n % 3}.0.{n}"},
        }
        for stage in ("build", "cache")
        for n in range(1, count + 1)
    ]


WIDENING = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "wide", "namespace": "ci"},
    "spec": {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]}],
    },
}


def test_text_tells_what_json_tells_however_many_pods_are_alike(run, segment: str, facts: str, tmp_path: Path) -> None:
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "List", "items": [*replicas(7), WIDENING]}))
    given = ("-f", segment, "--facts", facts, "--facts", "pods.json")

    as_text = run("reach", *given)
    as_json = json.loads(run("reach", *given, "-o", "json").stdout)

    every = as_json["verdicts"]
    differing = [v for v in every if v["declared"] != v["enforced"]]
    counts = f"{len(every)} questions, {sum(v['enforced'] for v in every)} open, {len(differing)} mismatches\n"
    assert as_text.stderr.endswith(counts)
    assert as_json["mismatches"] == len(differing) > 0
    told = as_text.stdout.partition("DECLARED")[2].splitlines()[1:]
    assert [line.split()[:3] for line in told] == [[v["from"], v["to"], v["port"]] for v in differing]
    assert all(v["because"] in line for v, line in zip(differing, told, strict=True))


@pytest.mark.parametrize("pods", [0, 12])
def test_json_and_yaml_are_what_a_library_would_write(run, segment: str, facts: str, tmp_path: Path, pods: int) -> None:
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "List", "items": replicas(pods)}))
    (tmp_path / "empty.yaml").write_text("{kind: List, items: []}")
    given = ("-f", segment, "--facts", facts, "--facts", "pods.json")

    for args in (given, ("-f", "empty.yaml")):
        text = run("reach", *args, "-o", "json").stdout
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
        as_yaml = run("reach", *args, "-o", "yaml").stdout
        assert yaml.safe_load(as_yaml) == json.loads(text)


def test_a_namespace_that_only_its_objects_tell_of_is_isolated_alike(run, segment: str, tmp_path: Path) -> None:
    """Facts without Namespaces: what a class declares of them is what is compiled for them."""
    (tmp_path / "class.yaml").write_text(
        "apiVersion: pipesegment.dev/v1alpha1\nkind: SegmentClass\nmetadata: {name: fenced}\n"
        "spec: {network: {isolation: {mode: Namespace}}}\n"
    )
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": space, "labels": {"app": space}}}
        for space in ("kube-system", "shop")
    ]
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump_all(pods))

    result = run("reach", "-f", segment, "-f", "class.yaml", "--facts", "pods.yaml", "-o", "json")

    assert json.loads(result.stdout)["mismatches"] == 0
    assert result.exit_code == 0
    one = run(
        *("reach", "-f", segment, "-f", "class.yaml", "--facts", "pods.yaml"),
        *("--from", "kube-system/one", "--to", "shop/one", "--port", "TCP/80"),
    )
    assert "SegmentClass/fenced, which isolates namespace shop" in one.stdout
    assert "shop/pipesegment-default-deny" in one.stdout


LEAVE = "allow metadata and link-local addresses (network.allowIMDS)"


@pytest.mark.parametrize(
    ("to", "allowed", "told"),
    [
        ("169.254.169.254", True, "only the target `imds` opens this way, and gives the node's own credentials"),
        ("fd00:ec2::254", True, "only the target `imds` opens this way"),
        ("169.254.169.254", False, f"\nits SegmentClass does not {LEAVE}\n"),
        ("100.100.100.200", False, f"\nits SegmentClass does not {LEAVE}\n"),
        ("100.100.100.200", True, "  - cidr: {block: 100.100.100.200/32}"),
    ],
)
def test_the_metadata_service_is_not_advised_and_why(
    run, segment: str, tmp_path: Path, to: str, allowed: bool, told: str
) -> None:
    (tmp_path / "class.yaml").write_text(
        "apiVersion: pipesegment.dev/v1alpha1\nkind: SegmentClass\nmetadata: {name: all}\n"
        f"spec: {{network: {{allowIMDS: {str(allowed).lower()}}}}}\n"
    )

    given = ("reach", "-f", segment, "-f", "class.yaml")
    result = run(*given, "--from", "ci/shop-build", "--to", to, "--port", "TCP/80")

    assert told in result.stdout
    assert ("add to" in result.stdout) is told.startswith("  - ")


@pytest.mark.parametrize(
    ("case", "opened_ways"),
    [
        ("what-is-added-to-every-stage-narrows-nothing-inside-a-segment", {"cache TCP/8080", "database TCP/5432,9000"}),
        ("an-accepts-narrows-what-a-stage-of-the-same-segment-reaches", {"cache TCP/8080"}),
    ],
)
def test_who_narrows_inside_a_segment_is_declared_as_it_is_compiled(
    run, tmp_path: Path, case: str, opened_ways: set[str]
) -> None:
    given = yaml.safe_load((CASES / f"{case}.in.yaml").read_text())
    (tmp_path / "given.yaml").write_text(yaml.safe_dump_all(given["given"]))
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump_all(given["facts"]))

    result = run("reach", "-f", "given.yaml", "--facts", "facts.yaml", "-o", "json")

    assert json.loads(result.stdout)["mismatches"] == 0
    found: dict[str, list[str]] = {}
    for source, to, port in opened(result):
        if source == "ci/shop-build" and to.startswith("ci/"):
            found.setdefault(to.removeprefix("ci/shop-"), []).append(port.removeprefix("TCP/"))
    assert {f"{to} TCP/{','.join(sorted(ports))}" for to, ports in found.items()} == opened_ways


def pods(**labels_by_name: str) -> str:
    """Write pods of the namespace ci: each by its name and the stage whose labels it carries ('' for none)."""
    found = []
    for name, stage in labels_by_name.items():
        labels = {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": stage} if stage else {"app": "other"}
        meta = {"name": name.replace("_", "-"), "namespace": "ci", "labels": labels}
        found.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "c"}]}})
    return yaml.safe_dump_all(found)


ONE = ("--to", "ci/shop-cache", "--port", "8080")


def test_a_stage_is_asked_by_its_name_also_where_the_facts_hold_its_pods(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "pods.yaml").write_text(pods(run_1="build", run_2="build", run_3="cache"))

    result = run("reach", "-f", segment, "--facts", "pods.yaml", "--from", "ci/shop-build", *ONE)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "ci/run-1 → ci/run-3 at TCP/8080"
    assert result.stderr.splitlines() == [
        "'ci/shop-build' is a stage: asked is ci/run-1, to which the others of its 2 pods are alike",
        "'ci/shop-cache' is a stage: asked is ci/run-3",
    ]


def test_pods_of_a_stage_that_are_judged_differently_are_all_asked(run, segment: str, tmp_path: Path) -> None:
    host = yaml.safe_load(pods(run_2="build"))
    host["spec"]["hostNetwork"] = True
    (tmp_path / "pods.yaml").write_text(f"{pods(run_1='build')}---\n{yaml.safe_dump(host)}")
    ask = (
        "reach",
        "-f",
        segment,
        "--facts",
        "pods.yaml",
        "--from",
        "ci/shop-build",
        "--to",
        "192.0.2.1",
        "--port",
        "9",
    )

    result = run(*ask, "-o", "json")

    assert opened(result) == set()
    assert {source: enforced for (source, _, _), (_, enforced) in verdicts(result).items()} == {
        "ci/run-1": False,
        "ci/run-2": True,
    }
    text = run(*ask)
    assert (result.exit_code, text.exit_code) == (1, 1)
    assert "asked are ci/run-1, ci/run-2" in text.stderr
    assert [line for line in text.stdout.splitlines() if "→" in line] == [
        "ci/run-1 → 192.0.2.1 at TCP/9",
        "ci/run-2 → 192.0.2.1 at TCP/9",
    ]


def test_a_pod_that_has_a_stages_name_is_that_pod_and_stays_in_the_matrix(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "pods.yaml").write_text(pods(shop_build=""))

    result = run("reach", "-f", segment, "--facts", "pods.yaml", "--from", "ci/shop-build", *ONE)
    matrix = run("reach", "-f", segment, "--facts", "pods.yaml", "-o", "json")

    assert result.stdout.splitlines()[:2] == [
        "ci/shop-build → ci/shop-cache at TCP/8080",
        "declared: no: ci/shop-cache is closed by stage cache of ci/shop, and nothing that it accepts means it",
    ]
    assert "asked as the pod of that name, not as the stage, whose pods are ci/shop-build-stage" in result.stderr
    assert verdicts(matrix)["ci/shop-build", "ci/shop-cache", "TCP/8080"] == (False, False)
    assert verdicts(matrix)["ci/shop-build-stage", "ci/shop-cache", "TCP/8080"] == (True, True)


def test_a_service_is_asked_by_its_name_also_where_the_facts_hold_its_pods(
    run, segment: str, facts: str, tmp_path: Path
) -> None:
    reaching_api(tmp_path, segment)
    pod = {"name": "api-1", "namespace": "prod", "labels": {"app": "api"}}
    (tmp_path / "pods.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": {}})
    )
    ask = ("--from", "ci/shop-cache", "--to", "prod/api", "--port", "8080")

    result = run("reach", "-f", segment, "--facts", facts, "--facts", "pods.yaml", *ask)

    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "ci/shop-cache → prod/api-1 at TCP/8080")


REGISTRY = """\
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: default}
spec:
  destinations:
    - {name: registry, cidrs: [203.0.113.8/29, 198.51.100.7/32], except: [203.0.113.8/31]}
    - {name: forge, fqdns: [git.example.com]}
    - {name: api, service: {name: api, namespace: prod}}
"""


@pytest.mark.parametrize(
    ("name", "ends"),
    [("registry", ["203.0.113.10", "198.51.100.7"]), ("forge", ["git.example.com"]), ("api", ["prod/api-1"])],
)
@pytest.mark.parametrize("is_reached", [True, False])
def test_a_destination_is_asked_by_its_name(
    run, segment: str, facts: str, tmp_path: Path, name: str, ends: list[str], is_reached: bool
) -> None:
    (tmp_path / "class.yaml").write_text(REGISTRY)
    pod = {"name": "api-1", "namespace": "prod", "labels": {"app": "api"}}
    (tmp_path / "pods.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": {}})
    )
    if is_reached:
        text = (tmp_path / segment).read_text()
        reaches = f"- name: cache\n      reaches: [{{destination: {{name: {name}}}}}]\n"
        (tmp_path / segment).write_text(text.replace("- name: cache\n", reaches))
    given = ("-f", segment, "-f", "class.yaml", "--facts", facts, "--facts", "pods.yaml")

    result = run("reach", *given, "--from", "ci/shop-cache", "--to", name, "--port", "443", "-o", "json")

    assert sorted({to for _, to, _ in verdicts(result)}) == sorted(ends)
    assert f"'{name}' is a destination: asked " in result.stderr
    if name == "registry":
        assert set(verdicts(result).values()) == {(is_reached, is_reached)}


def test_a_name_that_is_nothing_is_told_the_forms_and_the_stages(run, segment: str) -> None:
    result = run("reach", "-f", segment, "--from", "ci/shop-build", "--to", "registry", "--port", "443")

    assert result.exit_code == 2
    assert (
        "there is no pod or address 'registry': write NAMESPACE/POD, NAMESPACE/SEGMENT-STAGE, NAMESPACE/SERVICE, an address"
        " or a destination's name; the stages are ci/shop-build, ci/shop-cache"
    ) in result.stderr
