"""NetworkPolicy where the conformance scenarios are silent: families, host network, defaults, and what is refused."""

from typing import Any

import pytest

from pipesegment.errors import Refused
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.facts.snapshot import ContainerPort

PORT = Port("TCP", 80)
CLOSED = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def policy(spec: dict[str, Any], name: str = "one", namespace: str | None = "x") -> dict[str, Any]:
    meta = {"name": name} if namespace is None else {"name": name, "namespace": namespace}
    return {"kind": "NetworkPolicy", "metadata": meta, "spec": spec}


def allowed(spec: dict[str, Any], source: End, destination: End, **options: bool) -> bool:
    return NetworkPolicies([policy(spec)], **options).verdict(source, destination, PORT).allowed


def to(cidr: str, *holes: str) -> dict[str, Any]:
    block = {"cidr": cidr, "except": list(holes)}
    return {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": block}]}]}


def test_a_verdict_names_the_rules_that_let_it_through() -> None:
    """The reason of an open verdict holds both halves."""
    policies = NetworkPolicies(
        [
            policy({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 81}]}, {}]}, "out"),
            policy({"podSelector": {}, "ingress": [{}]}, "in", "y"),
        ]
    )
    verdict = policies.verdict(PodEnd("x", "a"), PodEnd("y", "b"), PORT)
    assert verdict == (True, "allowed by NetworkPolicy x/out egress[1]; allowed by NetworkPolicy y/in ingress[0]")


def test_a_verdict_names_the_policies_that_lack_a_rule() -> None:
    """The reason of a closed verdict holds every policy that isolates the pod."""
    policies = NetworkPolicies([policy(CLOSED, "one"), policy(CLOSED, "two")])
    verdict = policies.verdict(PodEnd("y", "b"), PodEnd("x", "a"), PORT)
    assert verdict == (False, "no ingress rule of NetworkPolicy x/one, x/two allows it")


def test_a_pod_is_isolated_by_any_policy_that_selects_it() -> None:
    """Direction by direction; never on the host network."""
    policies = NetworkPolicies(
        [policy({"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Egress"], "egress": [{}]})]
    )
    one, other = PodEnd("x", "a", {"app": "a"}), PodEnd("x", "b")
    host = PodEnd("x", "host", {"app": "a"}, host_network=True)
    assert [policies.isolated(pod, "egress") for pod in (one, other, host)] == [True, False, False]
    assert not policies.isolated(one, "ingress")


def test_two_addresses_are_restricted_by_nobody() -> None:
    """Policies are about pods."""
    verdict = NetworkPolicies([policy(CLOSED)]).verdict(AddressEnd("192.0.2.1"), AddressEnd("192.0.2.2"), PORT)
    assert verdict.allowed


def test_a_pod_of_the_same_name_elsewhere_is_not_itself() -> None:
    """Loopback is namespace and name."""
    assert not allowed(CLOSED, PodEnd("y", "a"), PodEnd("x", "a"))
    assert allowed(CLOSED, PodEnd("x", "a"), PodEnd("x", "a"))


def test_a_policy_without_a_namespace_is_in_default() -> None:
    """As kubectl would put it there."""
    policies = NetworkPolicies([policy(CLOSED, namespace=None)])
    assert not policies.verdict(PodEnd("x", "a"), PodEnd("default", "a"), PORT).allowed
    assert policies.verdict(PodEnd("default", "b"), PodEnd("x", "a"), PORT).allowed is False
    assert policies.verdict(AddressEnd("192.0.2.1"), PodEnd("x", "a"), PORT).allowed


def test_other_kinds_are_passed_over() -> None:
    """A stream of all kinds may be given."""
    objects = [{"kind": "ServiceAccount", "metadata": {"name": "a"}}, policy(CLOSED)]
    assert not NetworkPolicies(objects).verdict(PodEnd("y", "b"), PodEnd("x", "a"), PORT).allowed


class TestHostNetwork:
    """Host-network pods are the node."""

    host = PodEnd(
        "x", "host", {"app": "a"}, ips=("10.9.0.1",), ports=(ContainerPort("web", 80, "TCP"),), host_network=True
    )
    pod = PodEnd("x", "pod", {"app": "a"}, ips=("10.0.0.1",))

    def test_no_policy_selects_them(self) -> None:
        """Neither direction is closed."""
        egress = {"podSelector": {}, "policyTypes": ["Egress"]}
        assert allowed(egress, self.host, AddressEnd("192.0.2.1"))
        assert allowed({"podSelector": {}, "policyTypes": ["Ingress"]}, AddressEnd("192.0.2.1"), self.host)

    def test_no_pod_selector_means_them(self) -> None:
        """Their labels open nothing."""
        assert not allowed({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}, self.host, self.pod)

    @pytest.mark.parametrize("cidr_matches_pods", [True, False])
    def test_their_address_is_matched_under_either_reading(self, cidr_matches_pods: bool) -> None:
        """They are addresses to every engine."""
        assert allowed(to("10.9.0.0/16"), self.pod, self.host, cidr_matches_pods=cidr_matches_pods)
        assert not allowed(to("10.9.0.0/16", "10.9.0.1/32"), self.pod, self.host, cidr_matches_pods=cidr_matches_pods)

    def test_the_names_of_their_ports_mean_nothing(self) -> None:
        """A named port of egress opens no node."""
        spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": "web"}]}]}
        assert not allowed(spec, self.pod, self.host)


class TestFamilies:
    """Connections use one family from end to end."""

    def test_both_halves_must_hold_in_the_same_family(self) -> None:
        """Egress open for IPv4 and ingress for IPv6 is no way."""
        one = PodEnd("x", "a", ips=("10.0.0.1", "fd00::1"))
        other = PodEnd("y", "b", ips=("10.0.0.2", "fd00::2"))
        four = policy(to("0.0.0.0/0"))
        six = policy({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "::/0"}}]}]}, namespace="y")
        either = policy({"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}, "4", "y")
        assert not NetworkPolicies([four, six], cidr_matches_pods=True).verdict(one, other, PORT).allowed
        assert NetworkPolicies([four, six, either], cidr_matches_pods=True).verdict(one, other, PORT).allowed

    def test_one_family_that_is_open_is_enough(self) -> None:
        """A dual-stack pod reaches what either of its addresses may reach."""
        one, other = PodEnd("x", "a", ips=("10.0.0.1", "fd00::1")), PodEnd("y", "b", ips=("10.0.0.2", "fd00::2"))
        assert allowed(to("fd00::/64"), one, other, cidr_matches_pods=True)

    def test_a_pod_without_the_family_is_judged_as_if_it_had_it(self) -> None:
        """What a policy opens does not depend on the addresses that a pod happens to have."""
        four = PodEnd("x", "a", ips=("10.0.0.1",))
        assert allowed(to("2001:db8::/32"), four, AddressEnd("2001:db8::1"))
        assert not allowed(to("0.0.0.0/0"), four, AddressEnd("2001:db8::1"))

    def test_a_pod_without_an_address_is_in_no_block(self) -> None:
        """A pod that waits for its address is judged by its labels alone."""
        assert not allowed(to("0.0.0.0/0"), PodEnd("x", "a"), PodEnd("y", "b"), cidr_matches_pods=True)

    def test_a_mapped_address_is_the_address_that_it_travels_as(self) -> None:
        """::ffff:192.0.2.1 is 192.0.2.1 on the wire."""
        pod = PodEnd("x", "a", ips=("10.0.0.1",))
        assert allowed(to("192.0.2.0/24"), pod, AddressEnd("::ffff:192.0.2.1"))
        assert not allowed(to("::/0"), pod, AddressEnd("::ffff:192.0.2.1"))


def test_a_name_that_two_containers_use_means_both_numbers() -> None:
    """What one name may mean counts as open."""
    ports = (ContainerPort("web", 80, "TCP"), ContainerPort("web", 8080, "TCP"))
    policies = NetworkPolicies([policy({"podSelector": {}, "ingress": [{"ports": [{"port": "web"}]}]})])
    found = {
        n: policies.verdict(PodEnd("y", "b"), PodEnd("x", "a", ports=ports), Port("TCP", n)).allowed
        for n in (80, 81, 8080)
    }
    assert found == {80: True, 81: False, 8080: True}


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (
            {"from": [{}]},
            "spec.ingress[0].from[0]: names no peer in '{}': give it a podSelector, a namespaceSelector or an ipBlock",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]},
            "spec.ingress[0].from[0]: mixes addresses and selectors in '{\\'ipBlock\\': {\\'cidr\\': \\'10.0.0.0/8\\'}, ",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]},
            "spec.ingress[0].from[0].ipBlock.cidr: is not a CIDR '10.0.0.0/33': write it as 10.0.0.0/8 or 2001:db8::/32",
        ),
        (
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["all"]}}]},
            "spec.ingress[0].from[0].ipBlock.except[0]: is not a CIDR 'all': write it as 10.0.0.0/8 or 2001:db8::/32",
        ),
        (
            {"ports": [{"port": 80, "endPort": 79}]},
            "spec.ingress[0].ports[0].endPort: needs a numeric port that is not above it, beside '79': give both numbers, or no endPort",
        ),
        (
            {"ports": [{"port": "web", "endPort": 79}]},
            "spec.ingress[0].ports[0].endPort: needs a numeric port that is not above it, beside '79': give both numbers, or no endPort",
        ),
    ],
)
def test_what_the_api_server_would_never_store_is_refused(rule: dict[str, Any], line: str) -> None:
    """An object that engines would read differently is refused with its path, never judged."""
    with pytest.raises(Refused) as refused:
        NetworkPolicies([policy({"podSelector": {}, "ingress": [rule]})])
    assert refused.value.refusals[0].object == "NetworkPolicy x/one"
    text = str(refused.value)
    assert text.startswith(line.replace("\\'", "'")), text
