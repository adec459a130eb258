"""The written list: every way in which a judge is known to differ from our evaluator, and nothing else may.

Each has a test of its own that shows it on the smallest world (tests/contract/test_oracle_differences.py). How ipBlock
and the addresses of pods go together is left to engines by Kubernetes, so that our evaluator is asked in each judge's
reading: there the two judges contradict one another, and an operator must not rely on either.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from lab.oracle import readings
from lab.oracle.judges import CILIUM, CYCLONUS, PROGRAMS
from lab.oracle.readings import Case, Question


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


_EVERYBODY: Final = frozenset(program.name for program in PROGRAMS)
_CYCLONUS: Final = frozenset({CYCLONUS.name})
_CILIUM: Final = frozenset({CILIUM.name})

DIFFERENCES: Final = (
    Difference(
        "loopback",
        _EVERYBODY,
        "engines hold a pod's connections to itself to its policies; in a cluster they never leave the pod",
        "Kubernetes' concept page on NetworkPolicies: a pod cannot block access to itself",
        readings.is_loopback,
    ),
    Difference(
        "NotIn without the key",
        _CYCLONUS,
        "NotIn fails where the label is absent; in Kubernetes it holds",
        "cyclonus pkg/kube/labelselector.go",
        readings.has_not_in,
        reading=readings.rewritten(readings.not_in_with_exists),
    ),
    Difference(
        "empty label values",
        _CYCLONUS,
        "a matchLabels value '' matches an absent label; as an In expression it is read as Kubernetes does",
        "cyclonus pkg/kube/labelselector.go",
        readings.has_empty_values,
        bridge=lambda case: case.rewritten(readings.empty_values_as_in),
    ),
    Difference(
        "pods without an address",
        _CYCLONUS,
        "ways are asked by addresses, and a pod that has none yet has no way; it gets one from 198.18.0.0/15",
        "the judge's main.go; our evaluator goes by labels alone",
        readings.has_no_address,
        bridge=lambda case: replace(case, ends=tuple(readings.placed(case.ends))),
    ),
    Difference(
        "rules of a type that is not named",
        _CILIUM,
        "a policy's egress rules isolate although its policyTypes name Ingress alone, and the other way round",
        "Cilium pkg/k8s/network_policy.go, ParseNetworkPolicy: types count only for directions without rules",
        readings.has_unnamed_types,
        reading=readings.rewritten(readings.every_type_with_rules),
    ),
    Difference(
        "one name for several ports",
        _CILIUM,
        "of the ports to which a pod gives one name, the name stands for the last",
        "Cilium pkg/k8s/labels.go, GetPodMetadata: a map from names to ports",
        readings.repeats_a_name,
        reading=readings.one_port_a_name,
    ),
    Difference(
        "labels outside of identities",
        _CILIUM,
        "pods are not known by labels such as pod-template-hash: no selector matches them, and pods that policies select by "
        "them are open (our compiler says so: LabelNotSeen)",
        "Cilium pkg/labelsfilter, defaultLabelPrefixCfg",
        readings.has_unseen_labels,
        reading=readings.seen_labels,
    ),
    Difference(
        "host network",
        _CILIUM,
        "a pod on the host network is known as its node, and no block of addresses holds nodes",
        "Cilium pkg/identity: reserved identities; policy-cidr-match-mode is empty unless set",
        readings.has_node,
        reading=readings.nodes_without_addresses,
    ),
)
