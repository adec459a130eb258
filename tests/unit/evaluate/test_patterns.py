"""Paths as sidecars see them. Each was asked of a real one (tests/enforcement, 'as the sidecar normalizes it')."""

import pytest

from pipesegment.evaluate.patterns import normalized


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/api/x?of=/../y#part", "/api/x"),
        ("/secret#/api/x", "/secret"),
        ("/api/../secret", "/secret"),
        ("/api/%2e%2E/secret", "/secret"),
        (r"/api\..\secret", "/secret"),
        ("/secret/../api/x", "/api/x"),
        ("/%61pi/x", "/api/x"),
        ("/api/x/..", "/api/"),
        ("/api/x/.", "/api/x/"),
        ("/api/..", "/"),
        ("/../api", "/api"),
        ("/", "/"),
    ],
)
def test_dots_backslashes_and_needless_encoding_are_resolved(path: str, seen: str) -> None:
    assert normalized(path) == seen


@pytest.mark.parametrize("path", ["/api%2fx", "/api/..%2Fsecret", "/api/%5c..%5csecret", "//api/x", "/%252e%252e/x"])
def test_encoded_slashes_and_double_ones_stay(path: str) -> None:
    assert normalized(path) == path


def test_what_is_normalized_stays_as_it_is() -> None:
    for path in ("/api/../x", "//..//a/./", "/a/%2e/%7e"):
        assert normalized(normalized(path)) == normalized(path)
