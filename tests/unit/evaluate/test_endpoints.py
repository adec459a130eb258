"""Ends and ports: what they are read from, and pods that are made up."""

import pytest

from pipesegment.errors import Refused
from pipesegment.evaluate.endpoints import PodEnd, Port, example_labels, live, representative
from pipesegment.facts.parse import snapshot
from pipesegment.facts.selectors import Requirement, Selector


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("TCP/443", Port("TCP", 443)),
        ("443", Port("TCP", 443)),
        ("udp/53", Port("UDP", 53)),
        ("SCTP/3868", Port("SCTP", 3868)),
    ],
)
def test_ports_are_read(text: str, port: Port) -> None:
    """TCP may be left out."""
    assert Port.parse(text) == port


@pytest.mark.parametrize("text", ["", "TCP/", "https", "ICMP/8", "TCP/0", "TCP/65536", "TCP/-1", "TCP/٣", "/80x"])
def test_what_is_no_port_is_refused(text: str) -> None:
    """The refusal quotes the value and says how to write it."""
    with pytest.raises(Refused) as refused:
        Port.parse(text)
    assert refused.value.refusals[0].value == text


def test_every_namespace_has_its_name_as_label() -> None:
    """Nobody can take it away or forge it."""
    pod = PodEnd("x", "a", namespace_labels={"kubernetes.io/metadata.name": "y", "team": "red"})
    assert pod.namespace_labels == {"kubernetes.io/metadata.name": "x", "team": "red"}


def test_live_pods_of_the_facts() -> None:
    """Pods that have ended reach nothing; the sidecar's container tells the mesh."""
    found = list(
        live(
            snapshot(
                [
                    {"kind": "Namespace", "metadata": {"name": "x", "labels": {"team": "red"}}},
                    {
                        "kind": "Pod",
                        "metadata": {"name": "b", "namespace": "x", "labels": {"app": "b"}},
                        "spec": {
                            "serviceAccountName": "builder",
                            "hostNetwork": True,
                            "containers": [
                                {"name": "main", "ports": [{"name": "web", "containerPort": 80}]},
                                {"name": "istio-proxy"},
                            ],
                        },
                        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
                    },
                    {"kind": "Pod", "metadata": {"name": "a", "namespace": "x"}, "status": {"phase": "Succeeded"}},
                    {"kind": "Pod", "metadata": {"name": "c", "namespace": "w"}, "status": {"phase": "Pending"}},
                ]
            )
        )
    )
    assert [str(pod) for pod in found] == ["w/c", "x/b"]
    pod = found[1]
    assert pod.labels == {"app": "b"}
    assert pod.namespace_labels["team"] == "red"
    assert (pod.ips, pod.host_network, pod.service_account, pod.meshed) == (
        ("10.0.0.1", "fd00::1"),
        True,
        "builder",
        True,
    )
    assert [(p.name, p.port, p.protocol) for p in pod.ports] == [("web", 80, "TCP")]
    assert not found[0].meshed


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        (Selector.of(), {}),
        (Selector.of({"a": "1"}), {"a": "1"}),
        (Selector.of({}, Requirement("a", "In", ("1", "2"))), {"a": "1"}),
        (Selector.of({}, Requirement("a", "In", ("1", "2")), Requirement("a", "NotIn", ("1",))), {"a": "2"}),
        (Selector.of({}, Requirement("a", "Exists")), {"a": "example0"}),
        (Selector.of({}, Requirement("a", "Exists"), Requirement("a", "NotIn", ("example0",))), {"a": "example1"}),
        (Selector.of({}, Requirement("a", "NotIn", ("1",)), Requirement("b", "DoesNotExist")), {}),
        (Selector.of({"a": "1"}, Requirement("a", "In", ("2",))), None),
        (Selector.of({"a": "1"}, Requirement("a", "DoesNotExist")), None),
    ],
)
def test_a_selector_has_an_example_or_contradicts_itself(selector: Selector, labels: dict[str, str] | None) -> None:
    """The labels found are selected."""
    assert example_labels(selector) == labels
    pod = representative("x", "made-up", selector)
    assert (pod.labels if pod else None) == labels
