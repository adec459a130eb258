"""What two sides have in common: ports by number, range, name and protocol, and requests by method and path."""

import pytest

from pipesegment.reach.edges import HttpRule, PortRange
from pipesegment.reach.ports import http_rules, intersect_http, intersect_ports, ranges
from pipesegment.spec.segment import HttpMatch, Port


def tcp(port, end=None):
    return PortRange("TCP", port, end)


@pytest.mark.parametrize(
    ("ours", "theirs", "common"),
    [
        ([tcp(80)], [tcp(80)], [tcp(80)]),
        ([tcp(80)], [tcp(81)], []),
        ([tcp(80)], [PortRange("UDP", 80)], []),
        ([PortRange("SCTP", 80)], [PortRange("SCTP", 80)], [PortRange("SCTP", 80)]),
        ([tcp(80, 90)], [tcp(85, 100)], [tcp(85, 90)]),
        ([tcp(80, 90)], [tcp(90, 100)], [tcp(90)]),
        ([tcp(80, 90)], [tcp(91, 100)], []),
        ([tcp(80, 90)], [tcp(85)], [tcp(85)]),
        ([tcp(1, 65535)], [tcp(80), tcp(443)], [tcp(80), tcp(443)]),
        ([tcp("web")], [tcp("web")], [tcp("web")]),
        ([tcp("web")], [tcp("api")], []),
        # The number behind a name differs from pod to pod: neither says the other.
        ([tcp("web")], [tcp(80)], []),
        ([tcp("web")], [tcp(1, 65535)], []),
        ([tcp("web"), tcp(80)], [tcp(80), tcp("web")], [tcp(80), tcp("web")]),
    ],
)
def test_ports_in_common(ours, theirs, common):
    assert list(intersect_ports(ours, theirs)) == common
    assert list(intersect_ports(theirs, ours)) == common


def test_a_range_of_one_port_is_that_port():
    assert ranges([Port(port=80, end_port=80)]) == (tcp(80),)


def test_ports_are_sorted_numbers_before_names_and_told_once():
    found = ranges([Port(port="web"), Port(port=443), Port(port=80, protocol="UDP"), Port(port=80), Port(port=443)])
    assert found == (tcp(80), tcp(443), tcp("web"), PortRange("UDP", 80))


def rule(methods=(), paths=()):
    return HttpRule(tuple(methods), tuple(paths))


@pytest.mark.parametrize(
    ("ours", "theirs", "common"),
    [
        ([], [], []),
        ([rule(["GET"])], [], [rule(["GET"])]),
        ([rule(["GET", "PUT"])], [rule(["GET", "POST"])], [rule(["GET"])]),
        ([rule(["GET"])], [rule(["POST"])], None),
        ([rule(["GET"])], [rule(paths=["/a"])], [rule(["GET"], ["/a"])]),
        ([rule(paths=["/a/*"])], [rule(paths=["/a/b"])], [rule(paths=["/a/b"])]),
        ([rule(paths=["/a/*"])], [rule(paths=["/a/b/*"])], [rule(paths=["/a/b/*"])]),
        ([rule(paths=["/a"])], [rule(paths=["/a/*"])], None),
        ([rule(paths=["/ab*"])], [rule(paths=["/a*"])], [rule(paths=["/ab*"])]),
        ([rule(paths=["/a"])], [rule(paths=["/b"])], None),
        ([rule(paths=["/*"])], [rule(paths=["/a", "/b/*"])], [rule(paths=["/a", "/b/*"])]),
        ([rule(["GET"], ["/a"]), rule(["PUT"], ["/b"])], [rule(["PUT"])], [rule(["PUT"], ["/b"])]),
    ],
)
def test_requests_in_common(ours, theirs, common):
    expected = None if common is None else tuple(common)
    assert intersect_http(ours, theirs) == expected
    assert intersect_http(theirs, ours) == expected


def test_rules_are_sorted_and_told_once():
    found = http_rules(
        [HttpMatch(methods=("PUT", "GET"), paths=("/b", "/a")), HttpMatch(methods=("GET", "PUT"), paths=("/a", "/b"))]
    )
    assert found == (rule(["GET", "PUT"], ["/a", "/b"]),)
