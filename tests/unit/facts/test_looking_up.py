"""Pods by their labels: what is looked up is what a walk over all of them finds."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pipesegment.facts.bylabel import ByLabel
from pipesegment.facts.selectors import Requirement, Selector
from tests.unit.facts.selecting import LABELS, SELECTORS


@dataclass(frozen=True)
class Pod:
    labels: dict[str, str] = field(default_factory=dict)
    live: bool = True


PODS = st.builds(Pod, LABELS, st.booleans())
#: What happens to a pod of a name: it comes or changes, or (None) it goes.
NEWS = st.lists(st.tuples(st.sampled_from("pqrs"), st.none() | PODS), max_size=12)


class Namespace:
    """Pods as an informer keeps them, and their index beside."""

    def __init__(self):
        self.pods = {}
        self.index = ByLabel()

    def hear(self, name, pod):
        if name in self.pods:
            self.index.drop("ci", name, self.pods.pop(name))
        if pod is not None:
            self.pods[name] = pod
            self.index.put("ci", name, pod)

    def selected(self, *selectors):
        among = self.index.among("ci", self.pods, selectors)
        return [pod for pod in among if pod.live and all(s.matches(pod.labels) for s in selectors)]

    def scanned(self, *selectors):
        return [pod for pod in self.pods.values() if pod.live and all(s.matches(pod.labels) for s in selectors)]


def told(pods):
    return sorted(sorted(pod.labels.items()) for pod in pods)


@given(NEWS, NEWS, SELECTORS, SELECTORS)
def test_pods_are_found_as_they_come_and_go(first, then, one, other):
    """What was asked about is kept by value from then on, and must follow."""
    there = Namespace()
    for news in (first, then):
        for name, pod in news:
            there.hear(name, pod)
        for asked in ((one,), (other,), (one, other)):
            assert told(there.selected(*asked)) == told(there.scanned(*asked))


def test_pods_are_looked_up_by_the_label_that_fewest_have():
    there = Namespace()
    for number in range(50):
        there.hear(f"pod-{number}", Pod({"app": "web", "run": f"r{number}"}))
    asked = Selector.of({"app": "web"}, Requirement("run", "In", ("r7", "r8")))
    assert len(list(there.index.among("ci", there.pods, [asked]))) == 2
    assert list(there.index.among("ci", there.pods, [asked, Selector.of({"tier": "x"})])) == []
    assert list(there.index.among("elsewhere", {}, [asked])) == []


def test_nothing_is_kept_of_pods_that_are_gone():
    there = Namespace()
    there.hear("p", Pod({"app": "web"}))
    assert there.selected(Selector.of({"app": "web"}))
    there.hear("p", None)
    assert not there.index._by
    assert not there.index._with
