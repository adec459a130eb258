"""Every known difference between our evaluator and cyclonus, shown on the smallest world that has it.

`ask` hands cyclonus the world as it stands; `comparison.judge` hands it what makes the difference vanish, and must then
find nothing.
"""

from typing import Any

import pytest

from lab.errors import LabError
from lab.oracle import comparison
from lab.oracle.cyclonus import Judge
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.facts.snapshot import ContainerPort

pytest_plugins = ["lab.oracle.fixtures"]
pytestmark = pytest.mark.oracle

PORT = Port("TCP", 8080)
SHOWN = {
    "loopback",
    "host network",
    "ipBlock and pods",
    "named ports",
    "NotIn without the key",
    "empty label values",
    "pods without an address",
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


def ask(judge: Judge, spec: dict[str, Any], source: PodEnd, *rest: End, **more: Any) -> bool:
    """Ask about the way from the first end to the last one, pods given as they are."""
    ends = [source, *rest]
    answers = judge.ask(
        {
            "policies": [policy(spec)],
            "namespaces": {"x": {"kubernetes.io/metadata.name": "x"}},
            "pods": [
                {"namespace": "x", "labels": e.labels, "ips": e.ips, "ports": more.get("ports", [])}
                for e in ends
                if isinstance(e, PodEnd)
            ],
            "external": [e.ips for e in ends if isinstance(e, AddressEnd)],
            "ports": [{"port": PORT.number, "protocol": PORT.protocol}],
        }
    )
    return answers[len(ends) - 1]


def ours(spec: dict[str, Any], source: End, destination: End, *, cidr_matches_pods: bool = False) -> bool:
    judged = NetworkPolicies([policy(spec)], cidr_matches_pods=cidr_matches_pods)
    return judged.verdict(source, destination, PORT).allowed


def vanishes(judge: Judge, spec: dict[str, Any], *ends: End) -> bool:
    return comparison.judge(judge, [policy(spec)], ends, [PORT]) == []


def test_each_known_difference_is_shown_here() -> None:
    """The written list and this file name the same differences."""
    assert set(comparison.KNOWN_DIFFERENCES) == SHOWN


def test_loopback(judge: Judge) -> None:
    """A closed pod still reaches itself; cyclonus denies it."""
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    one = pod("one")
    assert ours(closed, one, one)
    assert not ask(judge, closed, one)
    assert vanishes(judge, closed, one)


def test_host_network(judge: Judge) -> None:
    """A host-network pod is not selected; cyclonus, told of it as of any pod, would select it."""
    closed = {"podSelector": {}, "policyTypes": ["Egress"]}
    host, other = pod("host", "192.0.2.1", host_network=True), pod("other", "10.0.0.2")
    assert ours(closed, host, other)
    assert not ask(judge, closed, host, other)
    assert vanishes(judge, closed, host, other)


def test_ip_block_and_pods(judge: Judge) -> None:
    """A block of everything: cyclonus takes pods to be in it, our evaluator takes either side when told to."""
    block = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert not ours(block, one, other)
    assert ours(block, one, other, cidr_matches_pods=True)
    assert ask(judge, block, one, other)
    assert vanishes(judge, block, one, other, AddressEnd("192.0.2.1"))


def test_named_ports(judge: Judge) -> None:
    """A name is found in the destination's ports; cyclonus itself knows none, and matches nothing when it gets none."""
    named = {"podSelector": {}, "ingress": [{"ports": [{"port": "web"}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2", ports=(ContainerPort("web", 8080, "TCP"),))
    assert ours(named, one, other)
    assert not ask(judge, named, one, other)
    assert ask(judge, named, one, other, ports=[{"name": "web", "port": 8080, "protocol": "TCP"}])
    assert vanishes(judge, named, one, other)


def test_not_in_without_the_key(judge: Judge) -> None:
    """NotIn holds for a pod that lacks the label; cyclonus says that it does not."""
    peer = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}
    spec = {"podSelector": {}, "ingress": [{"from": [peer]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert ours(spec, one, other)
    assert not ask(judge, spec, one, other)
    assert vanishes(judge, spec, one, other)


def test_empty_label_values(judge: Judge) -> None:
    """An empty value is a value; cyclonus takes it for no label at all."""
    peer = {"podSelector": {"matchLabels": {"app": ""}}}
    spec = {"podSelector": {}, "ingress": [{"from": [peer]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    assert not ours(spec, one, other)
    assert ask(judge, spec, one, other)
    assert vanishes(judge, spec, one, other)


def test_pods_without_an_address(judge: Judge) -> None:
    """A pod that has no address yet is judged by its labels; the judge, which asks by addresses, finds no way."""
    free = {"podSelector": {}, "ingress": [{}]}
    one, other = pod("one", None), pod("other", "10.0.0.2")
    assert ours(free, one, other)
    assert not ask(judge, free, one, other)
    assert vanishes(judge, free, one, other)


def test_a_disagreement_is_reported(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """When our evaluator is wrong, the comparison says where."""
    monkeypatch.setattr("pipesegment.evaluate.networkpolicy._covers", lambda *_: True)
    spec = {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}
    one, other = pod("one"), pod("other", "10.0.0.2")
    found = comparison.judge(judge, [policy(spec)], [one, other], [PORT])
    assert [(d.source, d.destination, d.port, d.ours, d.theirs) for d in found] == [
        ("x/one", "x/other", "TCP/8080", True, False),
        ("x/other", "x/one", "TCP/8080", True, False),
    ]


def test_an_unknown_field_is_an_error(judge: Judge) -> None:
    """A misspelt field in a policy is refused, not passed over: rendered objects are checked strictly."""
    spec = {"podSelector": {}, "ingres": []}
    with pytest.raises(LabError, match="ingres"):
        ask(judge, spec, pod("one"))


def test_a_policy_that_cannot_be_judged_is_an_error(judge: Judge) -> None:
    """The judge survives a malformed policy and answers the next question."""
    with pytest.raises(LabError, match="end port < start port"):
        ask(judge, {"podSelector": {}, "ingress": [{"ports": [{"port": 80, "endPort": 79}]}]}, pod("one"))
    assert ask(judge, {"podSelector": {}, "ingress": [{}]}, pod("one"))
