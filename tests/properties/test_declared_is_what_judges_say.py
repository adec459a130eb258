"""What the compiled objects let through is what was declared, in the opinion of engines that share no line with us.

Neither our evaluator nor `resolve` nor a compiler has a say in either answer.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from lab.oracle.judges import POLICY_KINDS, Engine
from lab.oracle.world import Way, World
from pipesegment.declared.declaration import Declaration
from pipesegment.errors import Refused
from pipesegment.evaluate.endpoints import AddressEnd, End, live
from pipesegment.facts.parse import snapshot
from tests.properties.segment_worlds import ADDRESSES, PORTS, cilium_worlds, worlds
from tests.properties.soak import examples
from tests.properties.test_evaluator_against_declaration import KNOWN, THOROUGH, compiled

pytest_plugins = ["lab.oracle.fixtures"]
pytestmark = pytest.mark.oracle

Object = dict[str, Any]
#: Twice as many worlds as where our own evaluator answers: judges are quick.
MANY = settings(THOROUGH, max_examples=examples(80))


def differing(
    judge: Engine, raw: list[Object], met: Counter[bool], outside: Mapping[str, AddressEnd] | None = None
) -> tuple[list[str], list[str]]:
    """Give the ways that are wider and those that are narrower than declared."""
    snap = snapshot(raw)
    try:
        objects = [obj for obj in compiled(snap) if obj["kind"] in POLICY_KINDS]
    except Refused:
        return [], []
    known = outside or {}
    # Every pod has the label that selectors ask for by NotIn: cyclonus is known to read NotIn otherwise without it.
    pods = [replace(pod, labels={"app": "none", **pod.labels}) for pod in live(snap)]
    ends: list[End] = [*pods, *(known.get(a, AddressEnd(a)) for a in dict.fromkeys((*ADDRESSES, *known)))]
    allowed = judge.matrix(objects, World.of(ends), PORTS)
    declaration = Declaration(snap)
    wider, narrower = [], []
    for source in ends:
        for destination in (end for end in ends if end is not source):
            for port in PORTS:
                declared = declaration.judge(source, destination, port)
                way = Way(str(source), str(destination), str(port))
                met[way in allowed] += 1
                if way in allowed and not declared.allowed:
                    wider.append(f"{way}: {declared.because}")
                elif declared.allowed and way not in allowed and not declared.ungranted:
                    narrower.append(f"{way}: {declared.because}")
    return wider, narrower


def test_network_policies(judge: Engine) -> None:
    """Each judge says of NetworkPolicies what was declared, and neither answer is rare."""
    met: Counter[bool] = Counter()

    @MANY
    @given(raw=worlds())
    def agree(raw: list[Object]) -> None:
        assert differing(judge, raw, met) == ([], [])

    agree()
    assert min(met[True], met[False]) > met.total() / 20


def test_ciliums_policies(cilium: Engine) -> None:
    """Cilium says of its own what was declared; a host name that a stage cannot look up stays closed."""
    met: Counter[bool] = Counter()

    @MANY
    @given(raw=cilium_worlds())
    def agree(raw: list[Object]) -> None:
        wider, narrower = differing(cilium, raw, met, KNOWN)
        assert wider == []
        assert [way for way in narrower if "example.com" not in way] == []

    agree()
    assert min(met[True], met[False]) > met.total() / 20
