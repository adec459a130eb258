"""A question to a judge, and the ways in which judges read one otherwise than our evaluator does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from lab.oracle.judges import NETWORK_POLICY, Raw
from pipesegment.compile.network_rules import is_seen
from pipesegment.evaluate.endpoints import End, PodEnd, Port, is_same
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.evaluate.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Case:
    """Policies and the ends that are asked about, in a judge's reading of ipBlock."""

    policies: tuple[Raw, ...]
    ends: tuple[End, ...]
    block_holds_pods: bool = False
    _others: dict[Any, "Case"] = field(init=False, default_factory=dict)

    @cached_property
    def evaluator(self) -> NetworkPolicies:
        """Our evaluator of these policies."""
        return NetworkPolicies(self.policies, cidr_matches_pods=self.block_holds_pods)

    def rewritten(self, rewrite: Callable[[Raw], Raw]) -> "Case":
        """Give the case with every policy written another way."""
        if rewrite not in self._others:
            self._others[rewrite] = replace(self, policies=tuple(map(rewrite, self.policies)))
        return self._others[rewrite]


@dataclass(frozen=True, slots=True)
class Question:
    """One way of a case, and the judge's answer to it."""

    case: Case
    source: End
    destination: End
    port: Port
    answer: bool

    @property
    def pods(self) -> tuple[PodEnd, ...]:
        """The ends that are pods."""
        return tuple(end for end in (self.source, self.destination) if isinstance(end, PodEnd))

    @property
    def ours(self) -> Verdict:
        """Our evaluator's answer."""
        return self.case.evaluator.verdict(self.source, self.destination, self.port)

    @property
    def agreed(self) -> bool:
        """Tell whether both answers are the same."""
        return self.ours.allowed == self.answer


def is_loopback(question: Question) -> bool:
    """Tell whether a pod calls itself."""
    return bool(question.pods) and is_same(question.source, question.destination)


def has_not_in(question: Question) -> bool:
    """Tell whether any selector says NotIn."""
    return question.case.rewritten(not_in_with_exists).policies != question.case.policies


def not_in_with_exists(value: Any) -> Any:
    """Write NotIn, wherever it stands, together with Exists."""
    if isinstance(value, list):
        return [not_in_with_exists(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: not_in_with_exists(item) for key, item in value.items()}
    expressions = out.get("matchExpressions") or []
    present = [{"key": e["key"], "operator": "Exists"} for e in expressions if e["operator"] == "NotIn"]
    return {**out, "matchExpressions": [*expressions, *present]} if present else out


def has_empty_values(question: Question) -> bool:
    """Tell whether any matchLabels value is ''."""
    return question.case.rewritten(empty_values_as_in).policies != question.case.policies


def empty_values_as_in(value: Any) -> Any:
    """Write empty values of matchLabels as In expressions."""
    if isinstance(value, list):
        return [empty_values_as_in(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: empty_values_as_in(item) for key, item in value.items()}
    labels = out.get("matchLabels") or {}
    empty = [{"key": k, "operator": "In", "values": [""]} for k, v in labels.items() if v == ""]
    if empty:
        out["matchLabels"] = {k: v for k, v in labels.items() if v != ""}
        out["matchExpressions"] = [*(out.get("matchExpressions") or []), *empty]
    return out


def has_unnamed_types(question: Question) -> bool:
    """Tell whether any policy has rules of a type that it does not name."""
    return any(
        direction.title() not in policy["spec"]["policyTypes"] and policy["spec"].get(direction)
        for policy in question.case.policies
        if policy["spec"].get("policyTypes")
        for direction in ("ingress", "egress")
    )


def every_type_with_rules(policy: Raw) -> Raw:
    """Name every type of which a policy has rules."""
    if policy["kind"] != NETWORK_POLICY:
        return policy
    spec = policy["spec"]
    with_rules = {direction.title() for direction in ("ingress", "egress") if spec.get(direction)}
    return {**policy, "spec": {**spec, "policyTypes": sorted({*(spec.get("policyTypes") or ["Ingress"]), *with_rules})}}


def has_node(question: Question) -> bool:
    """Tell whether an end is on the host network."""
    return any(pod.host_network for pod in question.pods)


def nodes_without_addresses(question: Question) -> Question:
    """Take the addresses of pods on the host network away, so that no block holds them."""
    source, destination = (
        replace(end, ips=()) if isinstance(end, PodEnd) and end.host_network else end
        for end in (question.source, question.destination)
    )
    return replace(question, source=source, destination=destination)


def has_unseen_labels(question: Question) -> bool:
    """Tell whether a pod has labels that Cilium does not know it by."""
    return any(not is_seen(key) for pod in question.pods for key in pod.labels)


def seen_labels(question: Question) -> Question:
    """Leave the labels of pods that Cilium knows them by."""
    source, destination = (
        replace(end, labels={k: v for k, v in end.labels.items() if is_seen(k)}) if isinstance(end, PodEnd) else end
        for end in (question.source, question.destination)
    )
    return replace(question, source=source, destination=destination)


def repeats_a_name(question: Question) -> bool:
    """Tell whether the destination gives one name to several ports."""
    end = question.destination
    named = [port.name for port in end.ports if port.name] if isinstance(end, PodEnd) else []
    return len(named) > len(set(named))


def one_port_a_name(question: Question) -> Question:
    """Leave the last port of each name that the destination declares."""
    end = question.destination
    assert isinstance(end, PodEnd)
    last = {port.name: port for port in end.ports}
    return replace(question, destination=replace(end, ports=tuple(last.values())))


def has_no_address(question: Question) -> bool:
    """Tell whether a pod has no address yet."""
    return any(not pod.ips for pod in question.pods)


def placed(ends: Iterable[End]) -> Iterator[End]:
    """Give every pod an address."""
    first = int(ip_address("198.18.0.1"))
    for index, end in enumerate(ends):
        if isinstance(end, PodEnd) and not end.ips:
            yield replace(end, ips=(str(ip_address(first + index)),))
        else:
            yield end


def rewritten(rewrite: Callable[[Raw], Raw]) -> Callable[[Question], Question]:
    """Read the policies of a question as they are rewritten."""
    return lambda question: replace(question, case=question.case.rewritten(rewrite))
