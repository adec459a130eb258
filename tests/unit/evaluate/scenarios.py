"""Reads networkpolicy_scenarios.yaml, for the tests of our evaluator and for those of the judge."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import yaml
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port
from pipesegment.facts.snapshot import ContainerPort

FILE = Path(__file__).with_name("networkpolicy_scenarios.yaml")
SERVED = tuple(
    ContainerPort(f"serve-{number}-{protocol.lower()}", number, protocol)
    for number in (80, 81)
    for protocol in ("TCP", "UDP", "SCTP")
)


@dataclass(frozen=True)
class Scenario:
    """One matrix of one scenario: `expected` maps (source, destination), by their names, to whether it is open."""

    title: str
    policies: list[dict[str, Any]]
    ends: list[End]
    port: Port
    cidr_matches_pods: bool
    expected: dict[tuple[str, str], bool]


def _scenarios() -> Iterator[Scenario]:
    """Read every matrix of every scenario."""
    for raw in yaml.safe_load(FILE.read_text()):
        for key, text in raw.items():
            if "/" in key:
                rows = [line.split() for line in text.splitlines()]
                names = rows[0][1:]
                assert [row[0] for row in rows[1:]] == names, raw["title"]
                expected = {
                    (row[0], name): sign == "+"
                    for row in rows[1:]
                    for name, sign in zip(names, row[1:], strict=True)
                    if row[0] != name
                }
                yield Scenario(
                    raw["title"],
                    [_policy(index, policy) for index, policy in enumerate(raw["policies"])],
                    [_end(name, raw) for name in names],
                    Port.parse(key),
                    raw.get("cidrMatchesPods", False),
                    expected,
                )


def _policy(index: int, raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": raw["in"], "name": f"policy-{index}"},
        "spec": raw["spec"],
    }


def _end(name: str, raw: dict[str, Any]) -> End:
    namespace, _, pod = name.partition("/")
    if not pod:
        return AddressEnd(name)
    return PodEnd(
        namespace,
        pod,
        {"pod": pod, **raw.get("labels", {}).get(name, {})},
        raw.get("namespaces", {}).get(namespace, {}),
        ips=(f"10.{'xyz'.index(namespace) + 1}.0.{'abc'.index(pod) + 1}",),
        ports=SERVED,
    )


SCENARIOS = tuple(_scenarios())
