"""The independent judge and our evaluator agree on the objects of every golden case, but for the known differences.

Whom to ask about is read off the policies themselves: the pods of the facts, one made-up pod for every selector, an address
inside and outside of every block and of its exceptions, and every port that is named, with its neighbours.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.oracle import comparison
from lab.oracle.cyclonus import Judge
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port, live, representative
from pipesegment.facts.parse import snapshot
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import ContainerPort

pytest_plugins = ["lab.oracle.fixtures"]

Raw = Mapping[str, Any]
CASES = sorted((Path(__file__).parents[1] / "golden" / "cases").glob("*.out.yaml"))
NAME_LABEL = "kubernetes.io/metadata.name"
#: What the names of ports stand for at made-up pods.
NAMED = {"http": 8080, "https": 8443, "sql": 5432, "web": 8888, "metrics": 9090, "dns-tcp": 5353}
#: Everybody reaches these, or nobody: they keep each question honest.
STRANGERS: tuple[End, ...] = (PodEnd("strangers", "stranger", {"app": "stranger"}), AddressEnd("9.9.9.9"))


def policies(case: Path) -> list[Raw]:
    """Give the policies of a case: ours as compiled, and the foreign ones of its facts; none where the case is refused."""
    if yaml.safe_load(case.read_text())["exit"]:
        return []
    given = yaml.safe_load(case.with_name(case.name.replace(".out.", ".in.")).read_text())
    objects = [*yaml.safe_load(case.read_text())["objects"], *(given.get("facts") or ())]
    return [obj for obj in objects if obj["kind"] == comparison.KIND]


def pods_of_facts(case: Path) -> list[PodEnd]:
    """Give the pods that a case brings along."""
    given = yaml.safe_load(case.with_name(case.name.replace(".out.", ".in.")).read_text())
    return list(live(snapshot(given.get("facts") or ())))


def rules(found: Iterable[Raw]) -> Iterator[tuple[str, Raw, list[Raw]]]:
    """Give each rule with its policy's namespace and its peers."""
    for policy in found:
        for direction, peers in (("egress", "to"), ("ingress", "from")):
            for rule in policy["spec"].get(direction) or ():
                yield policy["metadata"]["namespace"], rule, rule.get(peers) or []


def ends(found: list[Raw], pods: Iterable[PodEnd]) -> list[End]:
    """Give whom to ask about."""
    wanted = {(p["metadata"]["namespace"], Selector.parse(p["spec"].get("podSelector"))) for p in found}
    blocks = set()
    for namespace, _, peers in rules(found):
        for peer in peers:
            if "ipBlock" in peer:
                blocks |= {peer["ipBlock"]["cidr"], *peer["ipBlock"].get("except", ())}
            else:
                there = (peer.get("namespaceSelector") or {}).get("matchLabels", {}).get(NAME_LABEL, namespace)
                wanted.add((there, Selector.parse(peer.get("podSelector"))))
    declared = [ContainerPort(name, number, "TCP") for name, number in NAMED.items()]
    made = (
        representative(namespace, f"made-{number}", selector, ports=declared)
        for number, (namespace, selector) in enumerate(sorted(wanted))
    )
    addresses = sorted(
        {str(network[place]) for block in blocks for network in [ip_network(block)] for place in (0, -1)}
    )
    return [*pods, *(pod for pod in made if pod is not None), *STRANGERS, *map(AddressEnd, addresses[:24])]


def ports(found: list[Raw]) -> list[Port]:
    """Give the ports to ask about."""
    asked = {Port("TCP", 80), Port("UDP", 53)}
    for _, rule, _ in rules(found):
        for port in rule.get("ports", ()):
            first = port["port"] if isinstance(port["port"], int) else NAMED[port["port"]]
            numbers = {first, first + 1, port.get("endPort", first), port.get("endPort", first) + 1}
            asked |= {Port(protocol, n) for n in numbers for protocol in {port["protocol"], "TCP"}}
    return sorted(asked)


@pytest.mark.oracle
@pytest.mark.parametrize("case", [c for c in CASES if policies(c)], ids=lambda p: p.name.removesuffix(".out.yaml"))
def test_cyclonus_agrees_on_the_golden_cases(judge: Judge, case: Path) -> None:
    """It finds no difference to our evaluator but the known ones."""
    found = policies(case)
    assert comparison.judge(judge, found, ends(found, pods_of_facts(case)), ports(found)) == []
