"""The audit log is read as it was written, filtered by what was asked for."""

import json
import threading

import pytest

from lab.controlplane import AuditLog
from lab.errors import LabError


def line(user="ada", verb="get", resource="pods", group="", namespace="shop", decision="allow", code=200, **other):
    event = {
        "user": {"username": user},
        "verb": verb,
        "objectRef": {"resource": resource, "apiGroup": group, "namespace": namespace, "name": "one"},
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/decision": decision},
    }
    return json.dumps(event | other) + "\n"


@pytest.fixture
def log(tmp_path):
    return AuditLog(tmp_path / "audit.log")


def test_a_log_that_is_not_there_yet_is_empty(log):
    assert log.position() == 0
    assert log.events() == []


@pytest.mark.parametrize(
    ("filters", "users"),
    [
        ({}, ["ada", "bob", "eve"]),
        ({"user": "bob"}, ["bob"]),
        ({"verbs": {"patch", "delete"}}, ["bob"]),
        ({"resource": "networkpolicies.networking.k8s.io"}, ["bob"]),
        ({"namespace": "other"}, ["eve"]),
        ({"denied": True}, ["eve"]),
        ({"denied": False, "namespace": "shop"}, ["ada", "bob"]),
    ],
)
def test_every_filter_that_is_given_must_match(log, filters, users):
    log.path.write_text(
        line()
        + line(user="bob", verb="patch", resource="networkpolicies", group="networking.k8s.io")
        + line(user="eve", namespace="other", decision="forbid", code=403)
    )

    assert [event.user for event in log.events(**filters)] == users


def test_only_the_authorizers_refusal_counts_as_denied(log):
    log.path.write_text(line(verb="create", decision="allow", code=403))

    (event,) = log.events()

    assert (event.denied, event.write, event.code) == (False, True, 403)


def test_what_came_before_the_position_and_what_is_half_written_is_left_out(log):
    log.path.write_text(line(user="early"))
    position = log.position()
    with log.path.open("a") as file:
        file.write(line(user="late") + line(user="half")[:-10])

    assert [event.user for event in log.events(since=position)] == ["late"]


def test_requests_for_other_paths_have_no_resource(log):
    log.path.write_text(json.dumps({"user": {"username": "ada"}, "verb": "get", "requestURI": "/version"}) + "\n")

    (event,) = log.events()

    assert (event.resource, event.namespace, event.code, event.denied) == ("", "", 0, False)


def test_a_request_is_awaited_until_it_is_in_the_log(log):
    def append():
        with log.path.open("a") as file:
            file.write(line(requestURI="/version?settle=1"))

    log.path.write_text(line(requestURI="/version?settle=0"))
    writer = threading.Timer(0.1, append)
    writer.start()
    log.await_path("/version?settle=1", since=0)
    writer.join()

    assert len(log.events()) == 2


def test_a_request_that_never_comes_is_an_error(log):
    with pytest.raises(LabError, match="did not log a request for /version"):
        log.await_path("/version", since=0, timeout=0.05)
