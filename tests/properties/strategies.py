"""Hypothesis strategies for worlds: pods and addresses, and the NetworkPolicies between them.

Vocabularies are tiny on purpose, so that selectors select, blocks contain, and names meet often.
"""

from typing import Any

from hypothesis import strategies as st

from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port
from pipesegment.facts.snapshot import ContainerPort

NAMESPACES = {"x": {"team": "red"}, "y": {"tier": ""}}
KEYS = ("app", "tier")
VALUES = ("web", "db", "")
PORTS = (
    Port("TCP", 80),
    Port("TCP", 81),
    Port("TCP", 8080),
    Port("UDP", 80),
    Port("UDP", 53),
    Port("SCTP", 80),
)
NAMES = ("http", "dns")
BLOCKS = (
    ("0.0.0.0/0", ("10.0.0.0/8", "10.0.0.0/30", "192.0.2.0/24", "192.0.2.1/32")),
    ("10.0.0.0/29", ("10.0.0.2/31", "10.0.0.5/32")),
    ("192.0.2.0/24", ("192.0.2.1/32",)),
    ("::/0", ("fd00::/8", "2001:db8::/64")),
    ("fd00::/64", ("fd00::4/126",)),
    ("2001:db8::1/128", ()),
)
ADDRESSES = ("192.0.2.1", "192.0.2.7", "2001:db8::1", "10.0.0.6")


def labels(values: tuple[str, ...] = VALUES) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(KEYS), st.sampled_from(values), max_size=2)


@st.composite
def expressions(draw: st.DrawFn, keys: tuple[str, ...]) -> dict[str, Any]:
    operator = draw(st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")))
    found: dict[str, Any] = {"key": draw(st.sampled_from(keys)), "operator": operator}
    if operator in {"In", "NotIn"}:
        found["values"] = draw(st.lists(st.sampled_from((*VALUES, "red")), min_size=1, max_size=2, unique=True))
    return found


@st.composite
def selectors(draw: st.DrawFn, keys: tuple[str, ...] = KEYS) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["matchLabels"] = draw(
            st.dictionaries(st.sampled_from(keys), st.sampled_from((*VALUES, "red")), max_size=2)
        )
    if draw(st.integers(0, 2)) == 0:
        found["matchExpressions"] = draw(st.lists(expressions(keys), max_size=2))
    return found


@st.composite
def peers(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.integers(0, 2)) == 0:
        block, holes = draw(st.sampled_from(BLOCKS))
        found = {"cidr": block}
        if holes and draw(st.booleans()):
            found["except"] = draw(st.lists(st.sampled_from(holes), min_size=1, max_size=2, unique=True))
        return {"ipBlock": found}
    found = {}
    which = draw(st.sampled_from(("pod", "namespace", "both")))
    if which != "namespace":
        found["podSelector"] = draw(selectors())
    if which != "pod":
        found["namespaceSelector"] = draw(selectors(("team", "tier", "kubernetes.io/metadata.name")))
    return found


@st.composite
def policy_ports(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["protocol"] = draw(st.sampled_from(("TCP", "UDP", "SCTP")))
    kind = draw(st.sampled_from(("number", "range", "name", "all")))
    if kind == "name":
        found["port"] = draw(st.sampled_from(NAMES))
    elif kind != "all":
        found["port"] = draw(st.sampled_from((53, 80, 81)))
        if kind == "range":
            found["endPort"] = draw(st.sampled_from((81, 8080, 65535)))
    return found


@st.composite
def rules(draw: st.DrawFn, field: str) -> dict[str, Any]:
    found = {}
    if draw(st.integers(0, 4)):
        found[field] = draw(st.lists(peers(), min_size=draw(st.integers(0, 1)), max_size=3))
    if draw(st.integers(0, 2)):
        found["ports"] = draw(st.lists(policy_ports(), max_size=3))
    return found


@st.composite
def network_policies(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a policy; half of them select every pod of their namespace, so that most pods are isolated."""
    spec: dict[str, Any] = {"podSelector": draw(st.one_of(st.just({}), selectors()))}
    types = draw(st.sampled_from((None, [], ["Ingress"], ["Egress"], ["Ingress", "Egress"], ["Ingress", "Egress"])))
    if types is not None:
        spec["policyTypes"] = types
    for direction, field in (("ingress", "from"), ("egress", "to")):
        if draw(st.integers(0, 3)):
            spec[direction] = draw(st.lists(rules(field), max_size=3))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": draw(st.sampled_from(sorted(NAMESPACES))), "name": "drawn"},
        "spec": spec,
    }


@st.composite
def pod_ends(draw: st.DrawFn, number: int) -> PodEnd:
    """Draw a pod; its number makes its name and addresses its own."""
    namespace = draw(st.sampled_from(sorted(NAMESPACES)))
    host = draw(st.integers(0, 9)) == 0
    four, six = (
        (f"10.0.0.{number}", f"fd00::{number:x}") if not host else (f"203.0.113.{number}", f"2001:db8:1::{number:x}")
    )
    ips = draw(st.sampled_from(((four,), (six,), (four, six), ())))
    chosen = draw(st.lists(st.sampled_from(PORTS), max_size=3))
    ports = tuple(ContainerPort(draw(st.sampled_from((*NAMES, ""))), p.number, p.protocol) for p in chosen)
    return PodEnd(
        namespace,
        f"pod-{number}",
        draw(labels()),
        NAMESPACES[namespace],
        ips=ips if not host else ips or (four,),
        ports=ports,
        host_network=host,
    )


@st.composite
def ends(draw: st.DrawFn, most: int = 5) -> list[End]:
    """Draw some pods and some addresses that are no pod's."""
    pods: list[End] = [draw(pod_ends(number)) for number in range(1, 1 + draw(st.integers(2, most)))]
    addresses = draw(st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True))
    return [*pods, *(AddressEnd(a) for a in addresses)]
