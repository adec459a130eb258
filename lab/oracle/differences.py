"""The written list: every way in which a judge is known to differ from our evaluator, and nothing else may.

Each has a test of its own that shows it on the smallest world (tests/contract/test_oracle_differences.py). How ipBlock
and the addresses of pods go together is left to engines by Kubernetes, so that our evaluator is asked in each judge's
reading: there the two judges contradict one another, and an operator must not rely on either.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from ipaddress import ip_address
from itertools import combinations
from typing import Any, Final

from lab.oracle.judges import CILIUM, CYCLONUS, NETWORK_POLICY, PROGRAMS, Raw
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


@dataclass(frozen=True, eq=False)
class Difference:
    """One way in which judges differ.

    Some are excused by their `predicate`. A `reading` puts a question to our evaluator the way in which the judge reads
    it: its answer must then be the judge's. Before a `bridge` the judge is asked another case, so that nothing else hides
    behind the difference; ends that it gives are ours as well.
    """

    name: str
    judges: frozenset[str]
    why: str
    source: str
    predicate: Callable[[Question], bool]
    reading: Callable[[Question], Question] | None = None
    bridge: Callable[[Case], Case] | None = None


def bridged(case: Case, judge: str) -> Case:
    """Give the case as a judge is asked about it."""
    for difference in _known(judge):
        if difference.bridge:
            case = difference.bridge(case)
    return case


def explaining(question: Question, judge: str) -> tuple[str, ...]:
    """Name the differences that together explain an answer of a judge that is not ours; none when there are none.

    Only differences that concern the question count; of those with a reading, as few as will do.
    """
    concerned = [d for d in _known(judge) if d.predicate(question)]
    for difference in concerned:
        if difference.reading is None and difference.bridge is None:
            return (difference.name,)
    readings = [d for d in concerned if d.reading]
    for number in range(1, len(readings) + 1):
        for chosen in combinations(readings, number):
            read = question
            for difference in chosen:
                assert difference.reading is not None
                read = difference.reading(read)
            if read.agreed:
                return tuple(d.name for d in chosen)
    return ()


def _known(judge: str) -> Iterator[Difference]:
    return (difference for difference in DIFFERENCES if judge in difference.judges)


def _is_loopback(question: Question) -> bool:
    return bool(question.pods) and is_same(question.source, question.destination)


def _has_not_in(question: Question) -> bool:
    return question.case.rewritten(_not_in_with_exists).policies != question.case.policies


def _not_in_with_exists(value: Any) -> Any:
    """Write NotIn, wherever it stands, together with Exists."""
    if isinstance(value, list):
        return [_not_in_with_exists(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _not_in_with_exists(item) for key, item in value.items()}
    expressions = out.get("matchExpressions") or []
    present = [{"key": e["key"], "operator": "Exists"} for e in expressions if e["operator"] == "NotIn"]
    return {**out, "matchExpressions": [*expressions, *present]} if present else out


def _has_empty_values(question: Question) -> bool:
    return question.case.rewritten(_empty_values_as_in).policies != question.case.policies


def _empty_values_as_in(value: Any) -> Any:
    """Write empty values of matchLabels as In expressions."""
    if isinstance(value, list):
        return [_empty_values_as_in(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _empty_values_as_in(item) for key, item in value.items()}
    labels = out.get("matchLabels") or {}
    empty = [{"key": k, "operator": "In", "values": [""]} for k, v in labels.items() if v == ""]
    if empty:
        out["matchLabels"] = {k: v for k, v in labels.items() if v != ""}
        out["matchExpressions"] = [*(out.get("matchExpressions") or []), *empty]
    return out


def _has_unnamed_types(question: Question) -> bool:
    return any(
        direction.title() not in policy["spec"]["policyTypes"] and policy["spec"].get(direction)
        for policy in question.case.policies
        if policy["spec"].get("policyTypes")
        for direction in ("ingress", "egress")
    )


def _every_type_with_rules(policy: Raw) -> Raw:
    """Name every type of which a policy has rules."""
    if policy["kind"] != NETWORK_POLICY:
        return policy
    spec = policy["spec"]
    with_rules = {direction.title() for direction in ("ingress", "egress") if spec.get(direction)}
    return {**policy, "spec": {**spec, "policyTypes": sorted({*(spec.get("policyTypes") or ["Ingress"]), *with_rules})}}


def _has_node(question: Question) -> bool:
    return any(pod.host_network for pod in question.pods)


def _nodes_without_addresses(question: Question) -> Question:
    """Take the addresses of pods on the host network away, so that no block holds them."""
    source, destination = (
        replace(end, ips=()) if isinstance(end, PodEnd) and end.host_network else end
        for end in (question.source, question.destination)
    )
    return replace(question, source=source, destination=destination)


def _has_unseen_labels(question: Question) -> bool:
    return any(not is_seen(key) for pod in question.pods for key in pod.labels)


def _seen_labels(question: Question) -> Question:
    """Leave the labels of pods that Cilium knows them by."""
    source, destination = (
        replace(end, labels={k: v for k, v in end.labels.items() if is_seen(k)}) if isinstance(end, PodEnd) else end
        for end in (question.source, question.destination)
    )
    return replace(question, source=source, destination=destination)


def _repeats_a_name(question: Question) -> bool:
    end = question.destination
    named = [port.name for port in end.ports if port.name] if isinstance(end, PodEnd) else []
    return len(named) > len(set(named))


def _one_port_a_name(question: Question) -> Question:
    """Leave the last port of each name that the destination declares."""
    end = question.destination
    assert isinstance(end, PodEnd)
    last = {port.name: port for port in end.ports}
    return replace(question, destination=replace(end, ports=tuple(last.values())))


def _has_no_address(question: Question) -> bool:
    return any(not pod.ips for pod in question.pods)


def _placed(ends: Iterable[End]) -> Iterator[End]:
    """Give every pod an address."""
    first = int(ip_address("198.18.0.1"))
    for index, end in enumerate(ends):
        if isinstance(end, PodEnd) and not end.ips:
            yield replace(end, ips=(str(ip_address(first + index)),))
        else:
            yield end


def _reading(rewrite: Callable[[Raw], Raw]) -> Callable[[Question], Question]:
    return lambda question: replace(question, case=question.case.rewritten(rewrite))


_EVERYBODY: Final = frozenset(program.name for program in PROGRAMS)
_CYCLONUS: Final = frozenset({CYCLONUS.name})
_CILIUM: Final = frozenset({CILIUM.name})

DIFFERENCES: Final = (
    Difference(
        "loopback",
        _EVERYBODY,
        "engines hold a pod's connections to itself to its policies; in a cluster they never leave the pod",
        "Kubernetes' concept page on NetworkPolicies: a pod cannot block access to itself",
        _is_loopback,
    ),
    Difference(
        "NotIn without the key",
        _CYCLONUS,
        "NotIn fails where the label is absent; in Kubernetes it holds",
        "cyclonus pkg/kube/labelselector.go",
        _has_not_in,
        reading=_reading(_not_in_with_exists),
    ),
    Difference(
        "empty label values",
        _CYCLONUS,
        "a matchLabels value '' matches an absent label; as an In expression it is read as Kubernetes does",
        "cyclonus pkg/kube/labelselector.go",
        _has_empty_values,
        bridge=lambda case: case.rewritten(_empty_values_as_in),
    ),
    Difference(
        "pods without an address",
        _CYCLONUS,
        "ways are asked by addresses, and a pod that has none yet has no way; it gets one from 198.18.0.0/15",
        "the judge's main.go; our evaluator goes by labels alone",
        _has_no_address,
        bridge=lambda case: replace(case, ends=tuple(_placed(case.ends))),
    ),
    Difference(
        "rules of a type that is not named",
        _CILIUM,
        "a policy's egress rules isolate although its policyTypes name Ingress alone, and the other way round",
        "Cilium pkg/k8s/network_policy.go, ParseNetworkPolicy: types count only for directions without rules",
        _has_unnamed_types,
        reading=_reading(_every_type_with_rules),
    ),
    Difference(
        "one name for several ports",
        _CILIUM,
        "of the ports to which a pod gives one name, the name stands for the last",
        "Cilium pkg/k8s/labels.go, GetPodMetadata: a map from names to ports",
        _repeats_a_name,
        reading=_one_port_a_name,
    ),
    Difference(
        "labels outside of identities",
        _CILIUM,
        "pods are not known by labels such as pod-template-hash: no selector matches them, and pods that policies select by "
        "them are open (our compiler says so: LabelNotSeen)",
        "Cilium pkg/labelsfilter, defaultLabelPrefixCfg",
        _has_unseen_labels,
        reading=_seen_labels,
    ),
    Difference(
        "host network",
        _CILIUM,
        "a pod on the host network is known as its node, and no block of addresses holds nodes",
        "Cilium pkg/identity: reserved identities; policy-cidr-match-mode is empty unless set",
        _has_node,
        reading=_nodes_without_addresses,
    ),
)
