"""What leaves for logs, audit and metrics: bounded, escaped, without names where they would multiply."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from pipesegment.plan.order import safe_sequence
from pipesegment.plan.sequence import Step
from pipesegment.report.audit import Trail
from pipesegment.report.logs import SafeJsonFormatter, SafeTextFormatter, set_up
from pipesegment.report.metrics import Metrics
from pipesegment.report.outcome import Failed
from pipesegment.report.text import clean, counted, fitted, listing
from tests.unit.report.outcomes import NOW, SEGMENT, obj, planned

TEXTS = [
    ("plain text stays", "build reaches 10.0.0.0/8", "build reaches 10.0.0.0/8"),
    ("letters of any script stay", "Zürich 東京", "Zürich 東京"),
    ("a line break would forge a line", "a\nb\r\u2028c", "a\\nb\\r\\u2028c"),
    ("an escape sequence would paint a terminal", "\x1b[31mred", "\\x1b[31mred"),
    ("a bidi mark would turn words around", "a\u202eb", "a\\u202eb"),
    ("an invisible character would hide", "a\u200bb", "a\\u200bb"),
    ("a lone surrogate cannot be encoded", "a\ud800", "a\\ud800"),
    ("anything is text", 7, "7"),
]


@pytest.mark.parametrize(("reason", "given", "expected"), TEXTS, ids=[case[0] for case in TEXTS])
def test_clean(reason: str, given: Any, expected: str) -> None:
    assert clean(given) == expected, reason


def test_clean_cuts_after_escaping() -> None:
    assert clean("\n" * 100, 10) == "\\n\\n\\n\\n\\…"
    assert len(clean("é" * 5000)) == 1024


@pytest.mark.parametrize("text", ["x" * 5000, "é" * 5000, "東" * 400, "x" * 1023 + "é"])
def test_an_events_note_is_measured_in_bytes(text: str) -> None:
    assert len(fitted(text).encode()) <= 1024
    assert fitted(text).endswith("…")


def test_listings_say_how_many_are_left_out_within_their_limit() -> None:
    assert listing(["a", "b"]) == "a; b"
    assert listing("abcde") == "a; b; c; and 2 more"
    long = listing(["x" * 500] * 5)
    assert len(long) == 1024
    assert long.endswith("; and 2 more")


def test_counted() -> None:
    assert [counted(1, "edge"), counted(2, "edge"), counted(2, "policy", "policies")] == [
        "1 edge",
        "2 edges",
        "2 policies",
    ]


class TestLogs:
    def written(self, style: str, log: Any, **kwargs: Any) -> str:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(SafeJsonFormatter() if style == "json" else SafeTextFormatter())
        logger = logging.getLogger("pipesegment.test")
        logger.addHandler(handler)
        logger.warning(log, **kwargs)
        logger.removeHandler(handler)
        return stream.getvalue()

    def test_a_line_is_one_json_object_with_time_level_logger_message_and_fields(self) -> None:
        line = self.written("json", "hello", extra={"segment": "ci/shop", "stages": ["a"], "generation": 3})
        found = json.loads(line)
        assert line.count("\n") == 1
        assert found.pop("time").endswith("Z")
        assert found == {
            "level": "WARNING",
            "logger": "pipesegment.test",
            "message": "hello",
            "segment": "ci/shop",
            "stages": ["a"],
            "generation": 3,
        }

    def test_no_input_forges_a_line_or_a_field_even_after_decoding(self) -> None:
        line = self.written("json", "a\n\x1b[2K\u202e", extra={"x": {"k\n": ["\r"]}})
        found = json.loads(line)
        assert found["message"] == "a\\n\\x1b[2K\\u202e"
        assert found["x"] == {"k\\n": ["\\r"]}
        assert line.isascii()

    def test_everything_is_cut(self) -> None:
        found = json.loads(self.written("json", "x" * 99999, extra={"l": ["y" * 99999] * 999}))
        assert len(found["message"]) == 4096
        assert (len(found["l"]), len(found["l"][0])) == (64, 1024)

    def test_a_traceback_keeps_its_lines_inside_the_json(self) -> None:
        def fail() -> None:
            raise ValueError("evil\x1b[31m")

        with pytest.raises(ValueError, match="evil") as caught:
            fail()
        line = self.written("json", "failed", exc_info=caught.value)
        trace = json.loads(line)["exc_info"]
        assert trace.splitlines()[0] == "Traceback (most recent call last):"
        assert trace.splitlines()[-1] == "ValueError: evil\\x1b[31m"
        assert line.count("\n") == 1

    def test_audit_lines_are_logged_as_their_fields(self) -> None:
        found = json.loads(self.written("json", {"audit": True, "action": "apply"}))
        assert (found["audit"], found["action"]) == (True, "apply")

    def test_kopfs_own_luggage_is_left_out(self) -> None:
        found = json.loads(
            self.written("json", "x", extra={"settings": object(), "k8s_skip": True, "k8s_ref": {"name": "shop"}})
        )
        assert "settings" not in found
        assert "k8s_skip" not in found
        assert found["k8s_ref"] == {"name": "shop"}

    def test_text_is_one_line_too(self) -> None:
        line = self.written("text", "a\nb")
        assert line.endswith("WARNING pipesegment.test: a\\nb\n")

    @pytest.fixture
    def restored(self) -> Iterator[None]:
        root, kopf = logging.getLogger(), logging.getLogger("kopf.objects")
        before = root.handlers[:], root.level, kopf.level
        yield
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        kopf.setLevel(before[2])

    @pytest.mark.usefixtures("restored")
    def test_set_up_sends_everything_to_one_stream_at_its_level(self) -> None:
        stream = io.StringIO()
        set_up(stream, level="INFO", style="json")
        logging.getLogger("anything").debug("no")
        logging.getLogger("anything").info("yes")
        logging.getLogger("kopf.objects").info("no")
        assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["yes"]


class TestAudit:
    def line(self, failed: Failed | None = None, **fields: Any) -> dict[str, Any]:
        (step,) = safe_sequence(planned(obj("ServiceAccount")), {}).steps
        assert isinstance(step, Step)
        made: dict[str, Any] = {
            "segment": SEGMENT,
            "generation": 3,
            "because": ["spec.stages[0].reaches[0]"],
            "user": "system:serviceaccount:ops:pipesegment",
            **fields,
        }
        made["because"] = {"build": made["because"]}
        return Trail(**made).line(step, failed, NOW)

    def test_it_says_who_did_what_to_which_object_for_whom_and_why(self) -> None:
        assert self.line() == {
            "audit": True,
            "time": NOW,
            "action": "create",
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "namespace": "ci",
            "name": "shop-build",
            "segment": "ci/shop",
            "stage": "build",
            "generation": 3,
            "because": ["spec.stages[0].reaches[0]"],
            "why": "new",
            "final": True,
            "result": "done",
            "user": "system:serviceaccount:ops:pipesegment",
        }

    def test_a_failure_says_what_the_api_server_said(self) -> None:
        (step,) = safe_sequence(planned(obj("ServiceAccount")), {}).steps
        line = self.line(Failed(step.id, "create", 403, "no\n"))
        assert (line["result"], line["status"], line["error"]) == ("failed", 403, "no\\n")

    def test_many_declarations_are_cut_and_counted(self) -> None:
        line = self.line(because=[f"spec.stages[0].reaches[{n:03}]" for n in range(100)] * 2)
        assert len(line["because"]) == 32
        assert line["becauseLeftOut"] == 68

    def test_it_is_json(self) -> None:
        assert json.loads(json.dumps(self.line())) == self.line()


class TestMetrics:
    def sample(self, metrics: Metrics, name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    def test_every_metric_has_the_prefix_and_a_help_text(self) -> None:
        metrics = Metrics(CollectorRegistry())
        families = list(text_string_to_metric_families(metrics.render().decode()))
        assert {f.name for f in families if not f.name.endswith("_created")} == {
            "pipesegment_workqueue_depth",
            "pipesegment_workqueue_adds",
            "pipesegment_workqueue_retries",
            "pipesegment_workqueue_latency_seconds",
            "pipesegment_reconcile_seconds",
            "pipesegment_applied",
            "pipesegment_pruned",
            "pipesegment_drift",
            "pipesegment_api_requests",
            "pipesegment_api_seconds",
            "pipesegment_sessions_revoked",
            "pipesegment_aws_requests",
            "pipesegment_aws_seconds",
            "pipesegment_aws_workqueue_depth",
            "pipesegment_aws_failing",
            "pipesegment_exceptions",
            "pipesegment_exceptions_overdue",
            "pipesegment_informer_last_event_age_seconds",
            "pipesegment_informer_relists",
            "pipesegment_event_loop_lag_seconds",
            "pipesegment_leader",
            "pipesegment_segments",
            "pipesegment_not_conforming",
        }
        assert all(f.documentation.endswith(".") for f in families if not f.name.endswith("_created"))

    def test_no_label_names_an_object(self) -> None:
        metrics = Metrics(CollectorRegistry())
        labels = {label for metric in vars(metrics).values() for label in getattr(metric, "_labelnames", ())}
        assert labels == {"result", "kind", "verb", "code", "ready", "reason", "service", "action", "phase"}

    def test_segments_are_counted_by_readiness_and_forgotten_when_nobody_has_it(self) -> None:
        metrics = Metrics(CollectorRegistry())
        metrics.count_segments(("True", "Enforced"), 2)
        metrics.count_segments(("False", "Gap"), 1)
        metrics.count_segments(("True", "Enforced"), 3)
        metrics.count_segments(("False", "Gap"), 0)
        assert self.sample(metrics, "pipesegment_segments", ready="True", reason="Enforced") == 3
        assert self.sample(metrics, "pipesegment_segments", ready="False", reason="Gap") is None

    def test_two_operators_in_one_process_do_not_share_a_registry(self) -> None:
        one, two = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
        one.applied.labels("NetworkPolicy").inc()
        assert self.sample(one, "pipesegment_applied_total", kind="NetworkPolicy") == 1
        assert self.sample(two, "pipesegment_applied_total", kind="NetworkPolicy") is None
