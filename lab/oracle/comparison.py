"""Our NetworkPolicy evaluator beside cyclonus: where they differ, and which differences are known.

Unlike the rest of the lab this module knows the operator's package: comparing the two is its purpose.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import product
from typing import Any, Final

from lab.oracle.cyclonus import Judge
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port, is_same
from pipesegment.evaluate.networkpolicy import KIND, NetworkPolicies

Raw = Mapping[str, Any]

#: Every way in which the two are known to differ, and what is done so that nothing else can hide behind it. Each has a
#: test of its own that shows the difference (tests/contract/test_oracle_differences.py).
KNOWN_DIFFERENCES: Final = {
    "loopback": "cyclonus holds a pod's connections to itself to its policies; in a cluster they never leave the pod. "
    "Such pairs are not compared.",
    "host network": "cyclonus has no notion of it and would let policies select the pod. It is given the node's addresses "
    "instead of the pod.",
    "ipBlock and pods": "cyclonus lets ipBlock match the addresses of pods; Kubernetes leaves that to the engine. Our "
    "evaluator is asked for the same reading.",
    "named ports": "cyclonus leaves it to the caller to resolve names. The judge tries every name that the destination "
    "declares for the number, for each direction apart.",
    "NotIn without the key": "cyclonus takes NotIn to fail where the label is absent; in Kubernetes it holds. A "
    "difference counts as known only if it vanishes when our evaluator is given NotIn together with Exists.",
    "empty label values": "cyclonus takes a matchLabels value '' to match an absent label. It is given the same as an "
    "In expression, which it reads as Kubernetes does.",
    "pods without an address": "the judge asks cyclonus by addresses, and finds no way to a pod that has none "
    "yet. Such a pod gets one from 198.18.0.0/15, for both engines.",
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One answer that differs for no known reason."""

    source: str
    destination: str
    port: str
    ours: bool
    because: str
    theirs: bool


def judge(oracle: Judge, objects: Iterable[Raw], ends: Sequence[End], ports: Sequence[Port]) -> list[Disagreement]:
    """Ask cyclonus and our evaluator about every pair of ends at every port; the list is empty when they agree.

    Of the objects only NetworkPolicies count.
    """
    policies = [_plain(obj) for obj in objects if obj.get("kind") == KIND]
    ours = NetworkPolicies(policies, cidr_matches_pods=True)
    theirs_way = NetworkPolicies((_not_in_as_theirs(p) for p in policies), cidr_matches_pods=True)
    found = []
    for source, destination, port, answer in _answers(oracle, policies, ends, ports):
        verdict = ours.verdict(source, destination, port)
        if verdict.allowed == answer or is_same(source, destination):
            continue
        if theirs_way.verdict(source, destination, port).allowed != answer:
            because = verdict.because
            found.append(Disagreement(str(source), str(destination), str(port), verdict.allowed, because, answer))
    return found


def opened(
    oracle: Judge, objects: Iterable[Raw], ends: Sequence[End], ports: Sequence[Port]
) -> set[tuple[str, str, str]]:
    """Ask cyclonus alone: the (source, destination, port) that it finds open."""
    policies = [_plain(obj) for obj in objects if obj.get("kind") == KIND]
    return {(str(a), str(b), str(port)) for a, b, port, is_open in _answers(oracle, policies, ends, ports) if is_open}


def _answers(
    oracle: Judge, policies: Sequence[Raw], ends: Iterable[End], ports: Sequence[Port]
) -> Iterator[tuple[End, End, Port, bool]]:
    placed = list(_placed(ends))
    # The judge lists pods before addresses.
    pods = [end for end in placed if isinstance(end, PodEnd) and not end.host_network]
    ordered: list[End] = [*pods, *(end for end in placed if end not in pods)]
    answers = oracle.ask(_case(policies, ordered, ports))
    for way, answer in zip(product(ordered, ordered, ports), answers, strict=True):
        yield *way, answer


def _placed(ends: Iterable[End]) -> Iterator[End]:
    """Give every pod an address."""
    first = int(ip_address("198.18.0.1"))
    for index, end in enumerate(ends):
        if isinstance(end, PodEnd) and not end.ips:
            yield replace(end, ips=(str(ip_address(first + index)),))
        else:
            yield end


def _case(policies: Sequence[Raw], ends: Sequence[End], ports: Sequence[Port]) -> dict[str, Any]:
    pods = [end for end in ends if isinstance(end, PodEnd) and not end.host_network]
    return {
        "policies": [_empty_values_as_ours(p) for p in policies],
        "namespaces": {pod.namespace: dict(pod.namespace_labels) for pod in pods},
        "pods": [
            {
                "namespace": pod.namespace,
                "labels": dict(pod.labels),
                "ips": list(pod.ips),
                "ports": [{"name": p.name, "port": p.port, "protocol": p.protocol} for p in pod.ports],
            }
            for pod in pods
        ],
        "external": [list(end.ips) for end in ends if isinstance(end, AddressEnd) or end.host_network],
        "ports": [{"port": port.number, "protocol": port.protocol} for port in ports],
    }


def _plain(policy: Raw) -> dict[str, Any]:
    """Leave out what does not bear on traffic."""
    meta = policy["metadata"]
    return {
        "apiVersion": policy["apiVersion"],
        "kind": KIND,
        "metadata": {"namespace": meta.get("namespace") or "default", "name": meta["name"]},
        "spec": policy["spec"],
    }


def _not_in_as_theirs(value: Any) -> Any:
    """Write NotIn, wherever it stands, as cyclonus reads it: together with Exists."""
    if isinstance(value, list):
        return [_not_in_as_theirs(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    out = {key: _not_in_as_theirs(item) for key, item in value.items()}
    expressions = out.get("matchExpressions") or []
    out_of = [{"key": e["key"], "operator": "Exists"} for e in expressions if e["operator"] == "NotIn"]
    return {**out, "matchExpressions": [*expressions, *out_of]} if out_of else out


def _empty_values_as_ours(value: Any) -> Any:
    """Write empty values of matchLabels as In expressions."""
    if isinstance(value, list):
        return [_empty_values_as_ours(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    out = {key: _empty_values_as_ours(item) for key, item in value.items()}
    labels = out.get("matchLabels") or {}
    empty = [{"key": k, "operator": "In", "values": [""]} for k, v in labels.items() if v == ""]
    if empty:
        out["matchLabels"] = {k: v for k, v in labels.items() if v != ""}
        out["matchExpressions"] = [*(out.get("matchExpressions") or []), *empty]
    return out
