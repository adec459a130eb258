"""`verify` without probes: whatever is broken in a cluster is told, and a cluster that is as declared is told as such."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment.cli import program
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from pipesegment.lint.catalogue import CATALOGUE
from tests.unit.running.twin import leading, seeded, segment, segment_class, stage, surroundings
from tests.unit.verify.conftest import CALICO, PAY, POLICY, allow_all, enforced
from tests.unit.world.names import MemoryLookups

DENY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "pipesegment-default-deny")
SEGMENT = ObjectID("pipesegment.dev/v1alpha1", "PipelineSegment", "ci", "shop")
AGENT = ObjectID("apps/v1", "DaemonSet", "kube-system", "calico-node")
POD = ObjectID("v1", "Pod", "ci", "a")


def found(result) -> Counter:
    """The findings, as (reason, what it is about)."""
    reasons = {e.code: e.reason for e in CATALOGUE.values()}
    (one,) = json.loads(result.stdout)["segments"]
    return Counter((reasons[f["code"]], f["object"]) for f in one["findings"])


async def test_a_cluster_that_is_as_declared_is_0(verify):
    result = await verify(await enforced(), "-o", "json")

    assert json.loads(result.stdout) == {
        "segments": [{"object": "ci/shop", "findings": [], "edges": []}],
        "differences": 0,
    }
    assert result.exit_code == 0
    text = await verify(await enforced())
    assert (text.stdout, text.exit_code) == ("", 0)
    assert "1 segment verified: everything is as declared" in text.stderr


def edited(obj):
    obj["spec"]["egress"] = [{}]


def on_the_host(obj):
    obj["spec"]["hostNetwork"] = True


def somebody_else(obj):
    obj["spec"]["serviceAccountName"] = "default"


def not_ready(obj):
    obj["status"]["numberReady"] = 1


def flannel(obj):
    obj["spec"]["template"]["spec"]["containers"] = [{"name": "kube-flannel"}]


def left_over(cluster):
    made = cluster.peek(POLICY)
    made["metadata"] = {k: v for k, v in made["metadata"].items() if k in {"namespace", "labels", "ownerReferences"}}
    made["metadata"]["name"] = "shop-old"
    cluster.seed(made)


def taken(cluster):
    """The policy goes, and somebody else takes its name."""
    cluster.remove(POLICY)
    cluster.seed(allow_all("shop-a"))


def tiered(cluster):
    crd = {"name": "globalnetworkpolicies.crd.projectcalico.org"}
    cluster.seed({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": crd})
    policy = {"apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy", "metadata": {"name": "all"}}
    cluster.seed(policy)


WIDENED = {("Widened", "ci/allow-all"): 3}
BREAKS = [
    ("a policy is gone", lambda c: c.remove(POLICY), {("Missing", str(POLICY)): 1}),
    ("a policy was edited", lambda c: c.edit(POLICY, edited), {("Drifted", str(POLICY)): 1}),
    ("nothing declares an object any more", left_over, {("Leftover", "NetworkPolicy ci/shop-old"): 1}),
    ("the isolation is gone", lambda c: c.remove(DENY), {("Missing", str(DENY)): 1}),
    ("the isolation was edited", lambda c: c.edit(DENY, edited), {("Drifted", str(DENY)): 1}),
    ("a foreign policy widens", lambda c: c.seed(allow_all()), WIDENED),
    ("a pod is on the host's network", lambda c: c.edit(POD, on_the_host), {("HostNetwork", "a"): 1}),
    ("a pod runs as somebody else", lambda c: c.edit(POD, somebody_else), {("Unwired", "a"): 1}),
    ("the engine is gone", lambda c: c.remove(AGENT), {("EngineUnknown", "ci"): 1}),
    ("the engine enforces nothing", lambda c: c.edit(AGENT, flannel), {("NotEnforced", "ci"): 1}),
    (
        "an agent is not ready",
        lambda c: c.edit(AGENT, not_ready),
        {("AgentNotReady", "DaemonSet kube-system/calico-node"): 1},
    ),
    ("another tier has policies", tiered, {("NotJudged", "all"): 1}),
]


@pytest.mark.parametrize(("why", "broken", "expected"), BREAKS, ids=[case[0] for case in BREAKS])
async def test_each_break_is_told_and_nothing_else(verify, why, broken, expected):
    cluster = await enforced()
    broken(cluster)

    result = await verify(cluster, "-o", "json")

    assert found(result) == expected
    assert json.loads(result.stdout)["differences"] == sum(expected.values())
    assert result.exit_code == 1


async def test_a_name_that_somebody_else_took_is_a_conflict_and_widens(verify):
    cluster = await enforced()
    taken(cluster)

    assert found(await verify(cluster, "-o", "json")) == {
        ("Conflict", str(POLICY)): 1,
        ("Widened", "ci/shop-a"): 3,
    }


async def test_while_classes_tie_what_exists_is_no_difference(verify):
    cluster = await enforced()
    cluster.seed(segment_class("other"))

    result = await verify(cluster, "-o", "json")

    assert found(result) == {("AmbiguousClass", "ci"): 1}
    assert result.exit_code == 1


async def test_what_may_not_be_read_is_neither_absent_nor_fine(verify):
    cluster = await enforced()
    for kind in ("DaemonSet", "NetworkPolicy"):
        no = Rejected(403, "Forbidden", f"{kind} is forbidden")
        cluster.fail(no, verbs=frozenset({"list"}), matches=lambda t, kind=kind: t.kind == kind)

    result = await verify(cluster, "-o", "json")

    assert found(result) == {("NotRead", "DaemonSet"): 1, ("NotRead", "NetworkPolicy"): 1}
    assert "DaemonSet is forbidden" in result.stdout
    assert result.exit_code == 1


async def test_a_kind_that_no_crd_brings_is_not_asked_for(verify):
    """Whoever may not list a kind that does not exist is told 403, not 404."""
    cluster = await enforced()
    no = Rejected(403, "Forbidden", "no")
    cluster.fail(no, verbs=frozenset({"list"}), matches=lambda t: "istio.io" in t.api_version, times=9)

    assert (await verify(cluster)).exit_code == 0


async def test_policies_of_a_tier_in_another_namespace_do_not_matter(verify):
    cluster = await enforced()
    crd = {"name": "networkpolicies.crd.projectcalico.org"}
    cluster.seed({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": crd})
    policy = {"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "spec": {"egress": [{}]}}
    cluster.seed({**policy, "metadata": {"name": "theirs", "namespace": "prod"}})

    assert (await verify(cluster)).exit_code == 0


async def test_the_isolation_of_another_namespace_does_not_matter(verify):
    cluster = await enforced()
    cluster.remove(DENY._replace(namespace="prod"))

    assert (await verify(cluster)).exit_code == 0


async def test_an_edge_that_is_not_open_as_declared_is_a_difference(verify):
    cluster = await enforced()
    cluster.edit(SEGMENT, lambda obj: obj["spec"]["stages"][2].update(reaches=[{"service": {"name": "no"}}]))

    result = await verify(cluster, "-o", "json")

    assert found(result)["Unresolved", "service ci/no"] == 1


async def test_a_declaration_that_nobody_acted_on_yet_is_told(verify):
    cluster = await enforced()
    cluster.edit(SEGMENT, lambda obj: obj["spec"]["stages"][0]["reaches"][0].update(ports=[{"port": 81}]))

    assert {reason for reason, _ in found(await verify(cluster, "-o", "json"))} == {"Drifted"}


async def test_names_and_namespaces_narrow_and_the_others_stay_neighbours(verify):
    cluster = await enforced(PAY)
    cluster.remove(ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "pay-x"))

    assert (await verify(cluster)).exit_code == 1
    assert (await verify(cluster, "shop")).exit_code == 0
    assert (await verify(cluster, "pay", "shop", "-n", "ci")).exit_code == 1
    assert (await verify(cluster, "-n", "prod")).exit_code == 0
    absent = await verify(cluster, "pya")
    assert absent.exit_code == 2
    assert "there is no segment 'pya': there are pay, shop" in absent.stderr


async def test_a_file_may_say_what_should_be(verify, tmp_path):
    """As `plan` does: what the cluster has is compared with the file's declaration."""
    cluster = await enforced()
    changed = cluster.peek(SEGMENT)
    changed["spec"]["stages"][0].pop("reaches")
    given = {key: changed[key] for key in ("apiVersion", "kind", "spec")}
    given["metadata"] = {"name": "shop", "namespace": "ci"}
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(given))

    result = await verify(cluster, "-f", str(tmp_path / "shop.yaml"), "-o", "json")

    assert {reason for reason, _ in found(result)} == {"Drifted"}


async def test_a_refused_segment_is_told_and_hides_nobody_else(verify):
    cluster = await enforced(PAY)
    cluster.edit(SEGMENT, lambda obj: obj["spec"]["stages"][0].update(podSelector={}))
    cluster.remove(ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "pay-x"))

    result = await verify(cluster, "-o", "json")

    told = {one["object"]: one["findings"] for one in json.loads(result.stdout)["segments"]}
    assert [(f["code"], f["path"]) for f in told["ci/shop"]] == [("PS101", "spec.stages[0].podSelector")]
    assert [f["code"] for f in told["ci/pay"]] == ["PS621"]
    assert result.exit_code == 1
    shop = json.loads((await verify(cluster, "shop", "-o", "json")).stdout)
    assert [one["object"] for one in shop["segments"]] == ["ci/shop"]
    pay = json.loads((await verify(cluster, "pay", "-o", "json")).stdout)
    assert [one["object"] for one in pay["segments"]] == ["ci/pay"]


async def test_a_refused_file_is_1_and_prints_nothing(verify, tmp_path):
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(segment(stage("a", podSelector={}))))

    result = await verify(await enforced(), "-f", str(tmp_path / "shop.yaml"))

    assert (result.exit_code, result.stdout) == (1, "")
    assert "PipelineSegment ci/shop is refused" in result.stderr


def test_without_a_cluster_it_is_3(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)

    assert CliRunner().invoke(program, ["verify"]).exit_code == 3


async def test_the_operator_mends_what_verify_told(verify):
    cluster = await enforced()
    cluster.remove(POLICY)
    assert (await verify(cluster)).exit_code == 1

    async with leading(cluster):
        pass

    assert (await verify(cluster)).exit_code == 0


async def test_what_the_operator_looked_up_is_what_is_compared_with(verify):
    """Nobody else looks names up: the segment's status tells."""
    resolving = segment_class(network={"isolation": {"mode": "Namespace"}, "inexact": {"fqdn": "Resolve"}})
    shop = segment(stage("a", {"fqdn": {"names": ["git.example.com"]}}, app="a", dns="None"))
    cluster = seeded([*surroundings(), resolving, shop, CALICO])
    async with leading(cluster, lookups=MemoryLookups({"git.example.com": ["11.0.0.1"]})):
        pass
    policy = cluster.existing(POLICY)
    assert policy["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "11.0.0.1/32"}}]

    result = await verify(cluster)

    assert (result.exit_code, "FqdnResolved" in result.stdout) == (0, True)
