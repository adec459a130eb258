"""`plan`, and facts from a cluster: what is compared with what, and how it ends."""

import json
import re
from pathlib import Path

import pytest

from lab import yaml
from pipesegment.cli.gather import listed
from pipesegment.errors import Rejected
from pipesegment.world.memory import MemoryCluster

NOWHERE = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
"""


@pytest.fixture
def live(run, segment: str, tmp_path: Path) -> str:
    """A file with the segment's objects as they should be."""
    (tmp_path / "live.yaml").write_text(run("compile", "-f", segment).stdout)
    return "live.yaml"


def actions(result) -> dict[str, str]:
    changes = json.loads(result.stdout)["changes"]
    return {f"{c['kind']} {c['name']}": c["action"] for c in changes if c["action"] != "unchanged"}


def test_nothing_to_do_is_0(run, segment: str, live: str) -> None:
    result = run("plan", "-f", segment, "--live", live)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "4 unchanged" in result.stderr


def test_everything_is_created_where_nothing_is(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")

    result = run("plan", "-f", segment, "--live", "empty.yaml", "-o", "json")

    assert result.exit_code == 1
    assert set(actions(result).values()) == {"created"}
    assert json.loads(result.stdout)["counts"]["created"] == 4


@pytest.fixture
def drifted(live: str, tmp_path: Path) -> str:
    """The same file, with another port in one policy."""
    (tmp_path / live).write_text((tmp_path / live).read_text().replace("port: 8080", "port: 8081", 1))
    return live


def test_what_differs_is_shown_as_a_diff(run, segment: str, drifted: str) -> None:
    result = run("plan", "-f", segment, "--live", drifted)

    assert result.exit_code == 1
    assert result.stdout.startswith("~ NetworkPolicy ci/shop-build: configured (somebody changed or deleted it)\n")
    changed = [line for line in result.stdout.splitlines() if line.startswith(("    +", "    -"))]
    assert changed == ["    -    - port: 8081", "    +    - port: 8080"]
    assert "\x1b" not in result.stdout
    assert "1 to change, 3 unchanged" in result.stderr


def test_what_differs_is_named_by_its_path_for_machines(run, segment: str, drifted: str) -> None:
    for style, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
        found = parse(run("plan", "-f", segment, "--live", drifted, "-o", style).stdout)

        assert found["counts"] == {"created": 0, "configured": 1, "unchanged": 3, "deleted": 0, "conflict": 0}
        assert [c for c in found["changes"] if c["action"] == "configured"] == [
            {
                "action": "configured",
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "namespace": "ci",
                "name": "shop-build",
                "stage": "build",
                "why": "drift",
                "differences": [{"path": "spec.egress[0].ports[0].port", "old": 8081, "new": 8080}],
            }
        ]


def test_a_terminal_gets_colours(run, segment: str, drifted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = run("plan", "-f", segment, "--live", drifted)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True, raising=False)

    painted = run("plan", "-f", segment, "--live", drifted)

    assert "\x1b[31m    -    - port: 8081\x1b[0m" in painted.stdout
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted.stdout) == plain.stdout


def test_what_nothing_declares_any_more_is_deleted(run, segment: str, live: str, tmp_path: Path) -> None:
    objects = list(yaml.safe_load_all((tmp_path / live).read_text()))
    old = {**objects[0], "metadata": {**objects[0]["metadata"], "name": "shop-old"}}
    (tmp_path / live).write_text(yaml.safe_dump_all([*objects, old]))

    assert actions(run("plan", "-f", segment, "--live", live, "-o", "json")) == {"NetworkPolicy shop-old": "deleted"}


def test_an_object_that_names_its_owner_needs_no_labels(run, segment: str, tmp_path: Path) -> None:
    ours = yaml.safe_load((tmp_path / segment).read_text())
    ours["metadata"] |= {"uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    ours["status"] = {"inventory": [{**policy, "namespace": "ci", "name": "bare", "uid": "o1"}]}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(ours))
    owner = {"apiVersion": ours["apiVersion"], "kind": ours["kind"], "name": "shop", "uid": "u1"}
    grant = {**owner, "kind": "SegmentGrant", "name": "g", "uid": "u2"}
    granted = {
        "name": "granted",
        "namespace": "prod",
        "uid": "o2",
        "labels": {"app.kubernetes.io/managed-by": "pipesegment"},
        "annotations": {"pipesegment.dev/segment-uid": "u1"},
        "ownerReferences": [grant],
    }
    bare = {"name": "bare", "namespace": "ci", "uid": "o1", "ownerReferences": [owner]}
    others = [{**policy, "spec": {"podSelector": {}}, "metadata": meta} for meta in (bare, granted)]
    compiled = run("compile", "-f", segment, "--facts", "facts.yaml").stdout
    (tmp_path / "live.yaml").write_text(f"{compiled}---\n{yaml.safe_dump_all(others)}")

    result = run("plan", "-f", segment, "--facts", "facts.yaml", "--live", "live.yaml", "-o", "json")

    assert actions(result) == {"NetworkPolicy bare": "deleted", "NetworkPolicy granted": "deleted"}


def test_what_is_not_ours_is_a_conflict_and_never_touched(run, segment: str, live: str, tmp_path: Path) -> None:
    text = (tmp_path / live).read_text().replace("app.kubernetes.io/managed-by: pipesegment", "app: x", 1)
    (tmp_path / live).write_text(text)

    result = run("plan", "-f", segment, "--live", live, "-o", "json")

    assert result.exit_code == 1
    assert set(actions(result).values()) == {"conflict"}


def test_objects_of_other_segments_are_left_alone(run, segment: str, live: str, tmp_path: Path) -> None:
    text = (tmp_path / live).read_text()
    (tmp_path / live).write_text(text + text.replace("shop", "other"))

    assert run("plan", "-f", segment, "--live", live).exit_code == 0


def test_a_suspended_segment_says_so(run, segment: str, live: str, tmp_path: Path) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("spec:", "spec:\n  suspend: true"))

    assert "ci/shop is suspended" in run("plan", "-f", segment, "--live", live).stderr


def test_a_refused_document_is_1(run, segment: str, live: str, tmp_path: Path) -> None:
    (tmp_path / segment).write_text((tmp_path / segment).read_text().replace("8080", "0"))

    result = run("plan", "-f", segment, "--live", live)

    assert (result.exit_code, result.stdout) == (1, "")


def test_without_a_cluster_it_is_3(run, segment: str, tmp_path: Path) -> None:
    assert run("plan", "-f", segment).exit_code == 3
    (tmp_path / "nowhere").write_text(NOWHERE)
    result = run("plan", "-f", segment, "--kubeconfig", "nowhere")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "127.0.0.1" in result.stderr
    fix = (
        ": see that http://127.0.0.1:9 is the right API server and answers, or give another --context or --kubeconfig\n"
    )
    assert result.stderr.endswith(fix)


def test_without_a_kubeconfig_it_is_3_unless_one_was_named(run, segment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag that names no file is a slip of the pen; no kubeconfig at all is a cluster that cannot be reached."""
    assert run("plan", "-f", segment, "--kubeconfig", "gone").exit_code == 2
    assert run("plan", "-f", segment, "--context", "x").exit_code == 3
    monkeypatch.setenv("KUBECONFIG", "gone")
    for flags in ((), ("--context", "x")):
        result = run("plan", "-f", segment, *flags)
        assert result.exit_code == 3
        assert "gone: there is no such kubeconfig" in result.stderr


def test_a_context_that_is_not_there_is_bad_usage(run, segment: str, tmp_path: Path) -> None:
    (tmp_path / "nowhere").write_text(NOWHERE)

    assert run("plan", "-f", segment, "--kubeconfig", "nowhere", "--context", "x").exit_code == 2


def test_offline_verbs_never_look_for_a_cluster(
    run, segment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nowhere").write_text(NOWHERE)
    monkeypatch.setenv("KUBECONFIG", "nowhere")

    assert run("compile", "-f", segment).exit_code == 0
    assert run("compile", "-f", segment, "--cluster").exit_code == 3


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ci"}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ci"}, "spec": {}}


@pytest.fixture
async def cluster() -> MemoryCluster:
    """A cluster with one pod, without Istio."""
    made = MemoryCluster()
    await made.create(NAMESPACE)
    await made.create(POD)
    made.absent |= {
        ("security.istio.io", "AuthorizationPolicy"),
        ("security.istio.io", "PeerAuthentication"),
        ("networking.istio.io", "Sidecar"),
        ("cilium.io", "CiliumNetworkPolicy"),
        ("vpcresources.k8s.aws", "SecurityGroupPolicy"),
    }
    return made


async def test_facts_are_what_the_cluster_has_and_kinds_may_be_absent(cluster: MemoryCluster) -> None:
    assert [(o["kind"], o["metadata"]["name"]) for o in await listed(cluster)] == [("Namespace", "ci"), ("Pod", "p")]


async def test_what_may_not_be_listed_is_told_and_left_out(
    cluster: MemoryCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.fail(Rejected(403, "Forbidden", "no"), verbs=frozenset({"list"}), matches=lambda i: i.kind == "Node")

    found = await listed(cluster)

    assert [o["kind"] for o in found] == ["Namespace", "Pod"]
    assert "nodes may not be listed" in capsys.readouterr().err


async def test_a_cluster_in_trouble_is_not_taken_for_an_empty_one(cluster: MemoryCluster) -> None:
    cluster.fail(Rejected(500, "Internal", "no"), verbs=frozenset({"list"}), matches=lambda i: i.kind == "Node")

    with pytest.raises(Rejected):
        await listed(cluster)


def test_segments_of_the_cluster_are_meant_when_no_file_is_given(
    run, segment: str, tmp_path: Path, monkeypatch
) -> None:
    objects = [yaml.safe_load((tmp_path / segment).read_text())]
    monkeypatch.setattr("pipesegment.cli.gather.gather", lambda _: objects)

    assert json.loads(run("graph", "--cluster", "-o", "json").stdout)["segment"] == "ci/shop"
    assert json.loads(run("graph", "--cluster", "-n", "ci", "-o", "json").stdout)["segment"] == "ci/shop"
    elsewhere = run("graph", "--cluster", "-n", "elsewhere")
    assert (elsewhere.exit_code, elsewhere.stdout) == (0, "")
    assert run("graph", "--cluster", "-n", "elsewhere", "shop").exit_code == 2


def test_a_refused_segment_of_the_cluster_is_told_as_one_of_a_file(
    run, segment: str, tmp_path: Path, monkeypatch
) -> None:
    wrong = yaml.safe_load((tmp_path / segment).read_text().replace("8080", "0"))
    monkeypatch.setattr("pipesegment.cli.gather.gather", lambda _: [wrong])

    result = run("lint", "--cluster", "-o", "json")

    assert result.exit_code == 1
    assert [f["path"] for f in json.loads(result.stdout)["findings"]] == ["spec.stages[0].reaches[0].ports[0].port"]
