"""CiliumNetworkPolicies: the patterns that paths and names become, and the shapes that would mean everybody."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipesegment.compile.cilium import path_pattern
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.parse import snapshot
from pipesegment.reach.resolve import resolve
from tests.properties.segment_worlds import cilium_worlds
from tests.properties.worlds import checked

TEXTS = st.text("ab/.*+?()[]{}|^$\\-", max_size=8).map("/".__add__)


def matches(pattern: str, path: str) -> bool:
    """Envoy matches the whole of the path and query."""
    return re.fullmatch(pattern, path) is not None


@pytest.mark.parametrize(
    ("path", "asked", "meant"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz?full=1", True),
        ("/healthz", "/healthz/more", False),
        ("/a.b", "/axb", False),
        ("/v1/*", "/v1/", True),
        ("/v1/*", "/v1/x?y=/", True),
        ("/v1/*", "/v1", False),
        ("/v1/*", "/v10/x", False),
        ("/*", "/anything", True),
    ],
)
def test_a_path_is_exact_or_a_prefix(path, asked, meant):
    assert matches(path_pattern(path), asked) is meant


@given(TEXTS, TEXTS)
def test_nothing_in_a_path_is_read_as_a_pattern(path, asked):
    if path.endswith("*"):
        assert matches(path_pattern(path), asked) is asked.startswith(path[:-1])
    else:
        assert matches(path_pattern(path), asked) is (asked == path or asked.startswith(f"{path}?"))


@checked(40)
@given(cilium_worlds())
def test_no_rule_means_everybody(world):
    """Every rule lists its peers in one field, and its ports one by one; every NetworkPolicy of a stage only closes."""
    snap = snapshot(world)
    for by_name in snap.segments.values():
        for segment in by_name.values():
            for obj in compile_segment(resolve(segment, snap)).objects:
                if obj["kind"] == "NetworkPolicy" and obj["metadata"]["namespace"] == segment.meta.namespace:
                    assert not (obj["spec"].get("ingress") or obj["spec"].get("egress")) or "from" in str(obj["spec"])
                if obj["kind"] != "CiliumNetworkPolicy":
                    continue
                spec = obj["spec"]
                assert spec["endpointSelector"]
                for direction, side in (("ingress", "from"), ("egress", "to")):
                    assert spec[direction]
                    for rule in spec[direction]:
                        (field,) = (key for key in rule if key != "toPorts")
                        assert field.startswith(side)
                        assert rule[field]
                        assert all(len(item["ports"]) == 1 for item in rule.get("toPorts", ()))
                        assert rule.get("toPorts") or rule[field] == ["none"]
                        for peer in rule[field] if field.endswith("Endpoints") else ():
                            assert len(peer["matchLabels"]) + len(peer.get("matchExpressions", ())) > 1
