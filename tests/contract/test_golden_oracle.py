"""Each independent judge and our evaluator agree on the objects of every golden case, but for the known differences.

Whom to ask about is read off the policies themselves: the pods of the facts, one made-up pod for every selector, an address
inside and outside of every block and of its exceptions, and every port that is named, with its neighbours.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from lab import yaml
from lab.oracle import comparison
from lab.oracle.judges import CILIUM_POLICY, NETWORK_POLICY, POLICY_KINDS, Engine
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port, live, representative
from pipesegment.facts.parse import snapshot
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import ContainerPort

pytest_plugins = ["lab.oracle.fixtures"]

Raw = Mapping[str, Any]
CASES = sorted((Path(__file__).parents[1] / "golden" / "cases").glob("*.out.yaml"))
NAME_LABEL = "kubernetes.io/metadata.name"
#: What the names of ports stand for at made-up pods.
NAMED = {"http": 8080, "https": 8443, "sql": 5432, "web": 8888, "metrics": 9090, "dns-tcp": 5353, "admin": 9901}
#: Everybody reaches these, or nobody: they keep each question honest.
STRANGERS: tuple[End, ...] = (PodEnd("strangers", "stranger", {"app": "stranger"}), AddressEnd("9.9.9.9"))


def policies(case: Path) -> list[Raw]:
    """Give the policies of a case: ours as compiled, and the foreign NetworkPolicies of its facts; none of a refused one.

    Our evaluator does not judge other people's policies of Cilium's.
    """
    told = yaml.safe_load(case.read_text())
    if told["exit"]:
        return []
    given = yaml.safe_load(case.with_name(case.name.replace(".out.", ".in.")).read_text())
    foreign = [obj for obj in given.get("facts") or () if obj.get("kind") == NETWORK_POLICY]
    return [*(obj for obj in told["objects"] if obj["kind"] in POLICY_KINDS), *foreign]


def pods_of_facts(case: Path) -> list[PodEnd]:
    """Give the pods that a case brings along."""
    given = yaml.safe_load(case.with_name(case.name.replace(".out.", ".in.")).read_text())
    return list(live(snapshot(given.get("facts") or ())))


def rules(found: Iterable[Raw]) -> Iterator[tuple[str, Raw, list[Raw]]]:
    """Give each rule with its policy's namespace and its peers, those of Cilium's policies in the words of Kubernetes."""
    for policy in found:
        for direction, side in (("egress", "to"), ("ingress", "from")):
            for rule in policy["spec"].get(direction) or ():
                if policy["kind"] == NETWORK_POLICY:
                    yield policy["metadata"]["namespace"], rule, rule.get(side) or []
                else:
                    yield policy["metadata"]["namespace"], plain_ports(rule), list(plain_peers(rule, side))


def plain_peers(rule: Raw, side: str) -> Iterator[Raw]:
    """Write the peers of a rule of Cilium's as a NetworkPolicy would; names and entities as they are."""
    for raw in rule.get(f"{side}Endpoints", ()):
        labels = dict(raw.get("matchLabels", {}))
        there = labels.pop("k8s:io.kubernetes.pod.namespace")
        yield {
            "namespaceSelector": {"matchLabels": {NAME_LABEL: there}},
            "podSelector": plain({**raw, "matchLabels": labels}),
        }
    yield from ({"ipBlock": raw} for raw in rule.get(f"{side}CIDRSet", ()))
    yield from ({"name": next(iter(raw.values()))} for raw in rule.get(f"{side}FQDNs", ()))
    yield from ({"entity": raw} for raw in rule.get(f"{side}Entities", ()))


def plain(selector: Raw) -> Raw:
    """Write a selector of Cilium's without the source of its labels."""
    labels = {key.removeprefix("k8s:"): value for key, value in selector.get("matchLabels", {}).items()}
    expressions = [{**e, "key": e["key"].removeprefix("k8s:")} for e in selector.get("matchExpressions", ())]
    return {"matchLabels": labels, "matchExpressions": expressions}


def plain_ports(rule: Raw) -> Raw:
    """Write the ports of a rule of Cilium's as a NetworkPolicy would."""
    listed = [port for item in rule.get("toPorts", ()) for port in item["ports"]]
    return {"ports": [{**p, "port": int(p["port"]) if p["port"].isdigit() else p["port"]} for p in listed]}


def ends(found: list[Raw], pods: Iterable[PodEnd]) -> list[End]:
    """Give whom to ask about."""
    wanted = {
        (
            p["metadata"]["namespace"],
            Selector.parse(p["spec"].get("podSelector") or plain(p["spec"]["endpointSelector"])),
        )
        if p["kind"] == CILIUM_POLICY
        else (p["metadata"]["namespace"], Selector.parse(p["spec"].get("podSelector")))
        for p in found
    }
    blocks, others = set(), []
    for namespace, _, peers in rules(found):
        for peer in peers:
            if "ipBlock" in peer:
                blocks |= {peer["ipBlock"]["cidr"], *peer["ipBlock"].get("except", ())}
            elif "name" in peer:
                others.append(AddressEnd(f"203.0.113.{len(others) + 1}", (peer["name"].replace("**.", "a.b."),)))
            elif "entity" in peer:
                others.append(AddressEnd("192.0.2.10", entities=("kube-apiserver",)))
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
    named = {str(end): end for end in (*map(AddressEnd, addresses[:24]), *STRANGERS[1:], *others)}
    return [*pods, *(pod for pod in made if pod is not None), STRANGERS[0], *named.values()]


def ports(found: list[Raw]) -> list[Port]:
    """Give the ports to ask about."""
    asked = {Port("TCP", 80), Port("UDP", 53)}
    for _, rule, _ in rules(found):
        for port in rule.get("ports", ()):
            first = port["port"] if isinstance(port["port"], int) else NAMED[port["port"]]
            numbers = {first, first + 1, port.get("endPort", first), port.get("endPort", first) + 1}
            asked |= {Port(protocol, n) for n in numbers for protocol in {port.get("protocol", "TCP"), "TCP"}}
    return sorted(asked)


@pytest.mark.oracle
@pytest.mark.parametrize("case", [c for c in CASES if policies(c)], ids=lambda p: p.name.removesuffix(".out.yaml"))
def test_each_judge_agrees_on_the_golden_cases(judge: Engine, case: Path) -> None:
    """It finds no difference to our evaluator but the known ones. Cilium's policies only Cilium judges."""
    found = policies(case)
    if not {policy["kind"] for policy in found} <= judge.program.kinds:
        pytest.skip(f"{judge.name} does not know all kinds of these policies")
    assert comparison.judge(judge, found, ends(found, pods_of_facts(case)), ports(found)) == []
