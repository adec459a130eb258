"""Every known difference between our evaluator and a judge, shown on the smallest world that has it.

`judge.matrix` is asked about the world as it stands; `comparison.judge` bridges or explains the difference, and must then
find nothing.
"""

from typing import Any

import pytest

from lab.errors import LabError
from lab.oracle import comparison, differences
from lab.oracle.judges import CILIUM, CYCLONUS, Engine
from lab.oracle.readings import Case, Question
from lab.oracle.world import Way, World
from pipesegment.compile.network_rules import is_seen
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.facts.snapshot import ContainerPort

pytest_plugins = ["lab.oracle.fixtures"]
pytestmark = pytest.mark.oracle

PORT = Port("TCP", 8080)
#: The names of the differences that tests here show, with the judges concerned.
SHOWN = {
    "loopback": {CYCLONUS.name, CILIUM.name},
    "NotIn without the key": {CYCLONUS.name},
    "empty label values": {CYCLONUS.name},
    "rules of a type that is not named": {CILIUM.name},
    "pods without an address": {CYCLONUS.name},
    "host network": {CILIUM.name},
    "labels outside of identities": {CILIUM.name},
    "one name for several ports": {CILIUM.name},
}


def policy(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "x", "name": "one"},
        "spec": spec,
    }


def pod(name: str, ip: str | None = "10.0.0.1", labels: dict[str, str] | None = None, **more: Any) -> PodEnd:
    return PodEnd("x", name, labels or {}, ips=(ip,) if ip else (), **more)


def theirs(judge: Engine, spec: dict[str, Any], source: End, destination: End, port: Port = PORT) -> bool:
    """Ask a judge about the way between two ends, as they stand."""
    ends = [source] if source is destination else [source, destination]
    found = judge.matrix([policy(spec)], World.of(ends), [port], thorough=True)
    return Way(str(source), str(destination), str(port)) in found


def ours(spec: dict[str, Any], source: End, destination: End, port: Port = PORT, **reading: bool) -> bool:
    return NetworkPolicies([policy(spec)], **reading).verdict(source, destination, port).allowed


def vanishes(judge: Engine, spec: dict[str, Any], *ends: End) -> bool:
    return comparison.judge(judge, [policy(spec)], ends, [PORT]) == []


def concerned(judge: Engine, spec: dict[str, Any], source: End, destination: End) -> set[str]:
    """Name the differences that concern the question as it stands, and whether they explain the judge's answer."""
    case = Case((policy(spec),), (source, destination), block_holds_pods=judge.program.block_holds_pods)
    question = Question(case, source, destination, PORT, theirs(judge, spec, source, destination))
    assert not question.agreed
    known = [d for d in differences.DIFFERENCES if judge.name in d.judges and d.predicate(question)]
    assert all(d.bridge or d.name in differences.explaining(question, judge.name) for d in known)
    return {d.name for d in known}


def test_each_known_difference_is_shown_here() -> None:
    """The written list and this file name the same differences."""
    assert {d.name: set(d.judges) for d in differences.DIFFERENCES} == SHOWN


def test_ip_block_and_pods(cyclonus: Engine, cilium: Engine) -> None:
    """A block of everything: cyclonus takes pods to be in it, Cilium does not; our evaluator reads it either way."""
    block = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert theirs(cyclonus, block, one, other)
    assert ours(block, one, other, cidr_matches_pods=True)
    assert not theirs(cilium, block, one, other)
    assert not ours(block, one, other)
    for judge in (cyclonus, cilium):
        assert theirs(judge, block, one, AddressEnd("192.0.2.1"))
        assert vanishes(judge, block, one, other, AddressEnd("192.0.2.1"))


def test_loopback(judge: Engine) -> None:
    """A closed pod still reaches itself; engines deny it."""
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    one = pod("one")
    assert ours(closed, one, one)
    assert not theirs(judge, closed, one, one)
    assert concerned(judge, closed, one, one) == {"loopback"}
    assert vanishes(judge, closed, one)


def test_not_in_without_the_key(cyclonus: Engine, cilium: Engine) -> None:
    """NotIn holds for a pod that lacks the label; cyclonus says that it does not."""
    peer = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}
    spec = {"podSelector": {}, "ingress": [{"from": [peer]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert ours(spec, one, other)
    assert theirs(cilium, spec, one, other)
    assert not theirs(cyclonus, spec, one, other)
    assert concerned(cyclonus, spec, one, other) == {"NotIn without the key"}
    assert vanishes(cyclonus, spec, one, other)


def test_empty_label_values(cyclonus: Engine, cilium: Engine) -> None:
    """An empty value is a value; cyclonus takes it for no label at all."""
    peer = {"podSelector": {"matchLabels": {"app": ""}}}
    spec = {"podSelector": {}, "ingress": [{"from": [peer]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert not ours(spec, one, other)
    assert not theirs(cilium, spec, one, other)
    assert theirs(cyclonus, spec, one, other)
    assert concerned(cyclonus, spec, one, other) == {"empty label values"}
    assert vanishes(cyclonus, spec, one, other)


def test_rules_of_a_type_that_is_not_named(cyclonus: Engine, cilium: Engine) -> None:
    """Egress rules beside the type Ingress alone mean nothing; Cilium isolates all the same."""
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}], "egress": [{"ports": [{"port": 80}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert ours(spec, one, other)
    assert theirs(cyclonus, spec, one, other)
    assert not theirs(cilium, spec, one, other)
    assert concerned(cilium, spec, one, other) == {"rules of a type that is not named"}
    assert vanishes(cilium, spec, one, other)


def test_pods_without_an_address(cyclonus: Engine, cilium: Engine) -> None:
    """A pod that has no address yet is judged by its labels; cyclonus, asked by addresses, finds no way."""
    free = {"podSelector": {}, "ingress": [{}]}
    one, other = pod("one", None), pod("other", "10.0.0.2")
    assert ours(free, one, other)
    assert theirs(cilium, free, one, other)
    assert not theirs(cyclonus, free, one, other)
    assert concerned(cyclonus, free, one, other) == {"pods without an address"}
    assert vanishes(cyclonus, free, one, other)


def test_one_name_for_several_ports(cyclonus: Engine, cilium: Engine) -> None:
    """A name stands for every port that the pod gives it; to Cilium for one of them."""
    twice = (ContainerPort("web", 8080, "TCP"), ContainerPort("web", 8081, "TCP"))
    named = {"podSelector": {}, "ingress": [{"ports": [{"port": "web"}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2", ports=twice)
    assert ours(named, one, other)
    assert theirs(cyclonus, named, one, other)
    assert not theirs(cilium, named, one, other)
    assert concerned(cilium, named, one, other) == {"one name for several ports"}
    assert vanishes(cilium, named, one, other)


def test_labels_outside_of_identities(cyclonus: Engine, cilium: Engine) -> None:
    """A policy for pods by a label that Cilium does not know them by closes nobody there."""
    label = {"pod-template-hash": "abc"}
    closed = {"podSelector": {"matchLabels": label}, "policyTypes": ["Ingress"]}
    one, other = pod("one"), pod("other", "10.0.0.2", label)
    assert not ours(closed, one, other)
    assert not theirs(cyclonus, closed, one, other)
    assert theirs(cilium, closed, one, other)
    assert concerned(cilium, closed, one, other) == {"labels outside of identities"}
    assert vanishes(cilium, closed, one, other)


@pytest.mark.parametrize(
    "key",
    [
        *("app", "app.kubernetes.io/name", "tekton.dev/pipelineTask", "batch.kubernetes.io/job-name", "k8s-app"),
        *("kubernetes.io/x", "io.kubernetes.x", "k8s.io/x", "topology.kubernetes.io/zone", "node.beta.kubernetes.io/x"),
        *("batch.kubernetes.io/job-completion-index", "batch.kubernetes.io/controller-uid", "controller-uid"),
        *("statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "controller-revision-hash"),
        *("pod-template-hash", "pod-template-generation", "annotation.x", "etcd_node", "pipesegment.dev/stage"),
    ],
)
def test_what_the_compiler_says_of_labels_is_what_cilium_does(cilium: Engine, key: str) -> None:
    """The list of labels that Cilium leaves out is its own, of this version."""
    closed = {"podSelector": {"matchLabels": {key: "abc"}}, "policyTypes": ["Ingress"]}
    assert theirs(cilium, closed, pod("one"), pod("other", "10.0.0.2", {key: "abc"})) is not is_seen(key)


def test_host_network(cyclonus: Engine, cilium: Engine) -> None:
    """A pod on the host network is its node, with the node's address; to Cilium nodes are no addresses."""
    block = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]}
    one, host = pod("one"), pod("host", "192.0.2.1", host_network=True)
    assert ours(block, one, host)
    assert theirs(cyclonus, block, one, host)
    assert not theirs(cilium, block, one, host)
    assert concerned(cilium, block, one, host) == {"host network"}
    for judge in (cyclonus, cilium):
        assert theirs(judge, {"podSelector": {}, "policyTypes": ["Egress"]}, host, one)
        assert vanishes(judge, block, one, host)


def test_names_of_ports_are_the_destinations(judge: Engine) -> None:
    """A name is found in the destination's ports, for ingress and for egress."""
    web = (ContainerPort("web", 8080, "TCP"),)
    one, other, without = pod("one"), pod("other", "10.0.0.2", ports=web), pod("without", "10.0.0.3")
    for direction in ("ingress", "egress"):
        named = {"podSelector": {}, "policyTypes": [direction.title()], direction: [{"ports": [{"port": "web"}]}]}
        assert ours(named, one, other)
        assert theirs(judge, named, one, other)
        assert not theirs(judge, named, one, without)


def test_a_disagreement_is_reported(judge: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """When our evaluator is wrong, the comparison says where."""
    monkeypatch.setattr("pipesegment.evaluate.networkpolicy._covers", lambda *_: True)
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    found = comparison.judge(judge, [policy(spec)], [one, other], [PORT])
    assert [(*d.way, d.ours, d.theirs) for d in found] == [
        ("x/one", "x/other", "TCP/8080", True, False),
        ("x/other", "x/one", "TCP/8080", True, False),
    ]


def test_an_unknown_field_is_an_error(judge: Engine) -> None:
    """A misspelt field in a policy is refused, not passed over: rendered objects are checked strictly."""
    with pytest.raises(LabError, match="ingres"):
        judge.matrix([policy({"podSelector": {}, "ingres": []})], World((pod("one"),)), [PORT])


def test_a_judge_survives_what_it_cannot_judge(cyclonus: Engine) -> None:
    """A malformed policy is an error, and the next question is answered."""
    malformed = {"podSelector": {}, "ingress": [{"ports": [{"port": 80, "endPort": 79}]}]}
    with pytest.raises(LabError, match="end port < start port"):
        theirs(cyclonus, malformed, pod("one"), pod("other", "10.0.0.2"))
    assert theirs(cyclonus, {"podSelector": {}, "ingress": [{}]}, pod("one"), pod("other", "10.0.0.2"))


def test_cyclonus_is_not_asked_about_ciliums_policies(cyclonus: Engine) -> None:
    """Whoever does not know a kind of policy must not judge a world that has it."""
    with pytest.raises(LabError, match="cyclonus knows no CiliumNetworkPolicy"):
        cyclonus.matrix([replace_kind(policy({}))], World((pod("one"),)), [PORT])


def replace_kind(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy"}
