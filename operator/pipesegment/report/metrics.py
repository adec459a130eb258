"""Metrics, under the prefix `pipesegment_`. Labels are kinds, verbs, codes and reasons: never an object's name."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_PREFIX: Final = "pipesegment"
#: From a cached no-op to a reconcile that waited for a slow API server, in seconds.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Every metric of one operator, in its own registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._calls: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._writes: dict[tuple[str, bool], Counter] = {}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=_PREFIX, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace=_PREFIX, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, namespace=_PREFIX, registry=registry, buckets=_SECONDS)

        self.queue_depth = gauge("workqueue_depth", "Keys that wait for a worker.")
        self.queue_adds = counter("workqueue_adds_total", "Keys that became due.")
        self.queue_retries = counter("workqueue_retries_total", "Keys that are tried again after a failure.")
        self.queue_latency = histogram("workqueue_latency_seconds", "From due to begun.")
        self.reconcile_seconds = histogram("reconcile_seconds", "One look at one key.", "result")
        self.applied = counter("applied_total", "Objects created or configured.", "kind")
        self.pruned = counter("pruned_total", "Objects deleted.", "kind")
        self.drift = counter("drift_total", "Objects that somebody else had changed or deleted.", "kind")
        self.api_requests = counter(
            "api_requests_total", "Calls of the API server; code 0: no answer.", "verb", "kind", "code"
        )
        self.api_seconds = histogram("api_seconds", "How long the API server took.", "verb")
        self.revocations = counter("sessions_revoked_total", "Times that a role's earlier sessions were cut.")
        self.aws_requests = counter(
            "aws_requests_total", "Calls of AWS; code 0: no answer.", "service", "action", "code"
        )
        self.aws_seconds = histogram("aws_seconds", "How long AWS took, its own pauses included.", "service")
        self.aws_queue_depth = gauge("aws_workqueue_depth", "Segments whose roles wait to be looked at.")
        self.aws_failing = gauge("aws_failing", "Segments whose roles could not be looked after at the last attempt.")
        self.informer_age = gauge("informer_last_event_age_seconds", "Since a watch last gave a sign of life.", "kind")
        self.informer_relists = counter("informer_relists_total", "Lists that had to be made anew.", "kind")
        self.loop_lag = gauge("event_loop_lag_seconds", "How late the event loop runs what is due.")
        self.leader = gauge("leader", "1 on the replica that writes.")
        self.exceptions = gauge("exceptions", "SegmentExceptions by phase; Open and Sealed are in force.", "phase")
        self.exceptions_overdue = gauge(
            "exceptions_overdue", "SegmentExceptions whose time is over and that are still in force: look at once."
        )
        self.segments = gauge("segments", "Segments by Ready's status and reason.", "ready", "reason")
        self.not_conforming = gauge("not_conforming", "Segments that something around them undoes, by why.", "reason")

    def api_called(self, verb: str, kind: str, code: int, seconds: float) -> None:
        """Count one exchange with the API server."""
        known = self._calls.get((verb, kind, code))
        if known is None:
            # Finding a metric by its labels costs more than counting.
            known = (self.api_requests.labels(verb, kind, code), self.api_seconds.labels(verb))
            self._calls[verb, kind, code] = known
        known[0].inc()
        known[1].observe(seconds)

    def wrote(self, kind: str, *, deleted: bool) -> None:
        """Count one object that was created or configured, or deleted."""
        known = self._writes.get((kind, deleted))
        if known is None:
            known = self._writes[kind, deleted] = (self.pruned if deleted else self.applied).labels(kind)
        known.inc()

    def aws_called(self, service: str, action: str, code: int, seconds: float) -> None:
        """Count one call of AWS; from any thread."""
        self.aws_requests.labels(service, action, code).inc()
        self.aws_seconds.labels(service).observe(seconds)

    def count_segments(self, verdict: tuple[str, str], number: int) -> None:
        """Set how many segments have this (status, reason) of Ready; one that nobody has any more is dropped."""
        if number:
            self.segments.labels(*verdict).set(number)
        else:
            self.segments.remove(*verdict)

    def count_not_conforming(self, reason: str, number: int) -> None:
        """Set how many segments something undoes for this reason."""
        if number:
            self.not_conforming.labels(reason).set(number)
        else:
            self.not_conforming.remove(reason)

    def render(self) -> bytes:
        """Give the exposition format."""
        return generate_latest(self.registry)
