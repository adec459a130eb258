"""The small units: what they take, and what they do not."""

import pytest
from pydantic import TypeAdapter, ValidationError

from pipesegment.spec import units
from pipesegment.spec.ports import within


def reads(unit, value):
    try:
        return TypeAdapter(unit).validate_python(value)
    except ValidationError:
        return None


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        (units.Label, ["a", "0", "a-b", "a" * 63], ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "a\n", "ä", 1, None]),
        (units.Subdomain, ["a", "a.b", "a-1.b"], ["", ".a", "a.", "a..b", "A.b", "a" * 254, "a.b\n"]),
        (
            units.LabelKey,
            ["a", "A_b.c", "example.com/a", "a" * 63],
            ["", "/a", "a/", "a/b/c", "Example.com/a", "a" * 64],
        ),
        (units.LabelValue, ["", "a", "A_b.c", "a" * 63], ["-a", "a-", "a b", "a/b", "a" * 64, "a\n"]),
        (
            units.HostName,
            ["a.example", "git.example.com", "*.example.com", "a.xn--p1ai"],
            ["localhost", "10.0.0.1", "*", "*.com.", "a.*.example.com", "A.example.com", "a_b.example.com", "a..b"],
        ),
        (
            units.Cidr,
            ["0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "::/0", "2001:db8::/32", "::1/128"],
            [
                "10.0.0.0",
                "10.0.0.0/33",
                "10.0.0.0/08",
                "10.0.0.0/-1",
                "10.0.0.0/255.0.0.0",
                "010.0.0.0/8",
                "10.0.0.1/8",
                "10.0.0.0/8 ",
                "10.0.0.0/8\n",
                "2001:db8::1/32",
                "::ffff:10.0.0.0/104",
                "fe80::%eth0/64",
                "",
            ],
        ),
        (units.AccountName, ["builder", "a.b"], ["default", "A", ""]),
        (
            units.PortValue,
            [1, 65535, "http", "a", "8080-tcp", "a-b-c"],
            [0, 65536, -1, "", "80", "-a", "a-", "a--b", "HTTP", "a" * 16, True, 80.0, None, [], "é"],
        ),
        (units.Duration, ["30m", "4h", "7d", "1h30m"], ["", "4", "h", "0h", "4 h", "-4h", "1.5h"]),
        (units.Timestamp, ["2030-01-31", "2030-01-31T12:00:00Z"], ["2030", "31.1.2030", "2030-01-31 12:00"]),
        (units.URL, ["https://example.com/a"], ["http://example.com", "example.com", "https://a b"]),
        (
            units.ARN,
            ["arn:aws:iam::111122223333:role/a", "arn:aws:iam::aws:policy/A"],
            ["arn", "role/a", "arn:aws:iam", "arn:aws:iam::aws:policy/*", "arn:aws:iam::111122223333:role/a?"],
        ),
        (units.Bool, [True, False], ["true", 1, 0, None]),
        (units.Int, [0, -1], ["1", 1.0, True]),
    ],
)
def test_a_unit_takes_this_and_not_that(unit, right, wrong):
    assert {repr(value): reads(unit, value) for value in right} == {repr(value): value for value in right}
    assert {repr(value): reads(unit, value) for value in wrong} == {repr(value): None for value in wrong}


@pytest.mark.parametrize(("given", "read"), [(7, "7"), ("7", "7"), (0, None), ("07", None), ("a", None), (True, None)])
def test_an_id_is_read_as_digits_quoted_or_not(given, read):
    assert reads(units.NumericID, given) == read


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        ("10.1.0.0/16", "10.0.0.0/8", True),
        ("10.0.0.0/8", "10.0.0.0/8", True),
        ("10.0.0.0/8", "10.1.0.0/16", False),
        ("11.0.0.0/16", "10.0.0.0/8", False),
        ("10.0.0.0/8", "0.0.0.0/0", True),
        ("2001:db8:1::/48", "2001:db8::/32", True),
        ("::/0", "0.0.0.0/0", False),
        ("0.0.0.0/8", "::/0", False),
    ],
)
def test_a_block_lies_within_another(part, whole, expected):
    assert within(part, whole) is expected
