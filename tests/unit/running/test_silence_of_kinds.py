"""What is told of watches: two of them may follow one kind."""

from prometheus_client import CollectorRegistry

from pipesegment.report.metrics import Metrics
from pipesegment.serving import _tell_silence
from pipesegment.world import kinds


class Follows:
    def __init__(self, age: float, relists: int) -> None:
        self.kind, self.age, self.relists = kinds.NETWORK_POLICY, age, relists


def test_of_two_that_follow_one_kind_the_longest_silence_is_told_and_every_list_counted():
    metrics = Metrics(CollectorRegistry())
    first, second = Follows(7.0, 2), Follows(3.0, 1)
    told = {}

    _tell_silence((first, second), metrics, told)
    second.relists = 2
    _tell_silence((first, second), metrics, told)

    sample = metrics.registry.get_sample_value
    assert sample("pipesegment_informer_last_event_age_seconds", {"kind": "NetworkPolicy"}) == 7.0
    assert sample("pipesegment_informer_relists_total", {"kind": "NetworkPolicy"}) == 4
