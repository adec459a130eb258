"""Exceptions in worlds that are drawn: opened and closed they leave nothing behind, and a sealed stage has no peers at all."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.errors import Refused
from pipesegment.facts.moments import moment
from pipesegment.facts.parse import snapshot
from tests.properties import segment_worlds
from tests.properties.segment_worlds import NAMES, STAGES, classes, reaches
from tests.properties.test_evaluator_against_declaration import KNOWN, THOROUGH, compiled, disagreements
from tests.unit.emergencies import approval, exception, guards, seal

pytestmark = pytest.mark.thorough

Object = dict[str, Any]

DURING, AFTER = moment("2030-01-01T10:30:00Z"), moment("2030-01-01T11:00:00Z")
ENGINES: dict[str, Callable[[], st.SearchStrategy[list[Object]]]] = {
    "NetworkPolicy": segment_worlds.worlds,
    "Cilium": segment_worlds.cilium_worlds,
    "Istio": segment_worlds.meshed_worlds,
    "ambient": segment_worlds.ambient_worlds,
    "Linkerd": segment_worlds.linkerd_worlds,
}
every_engine = pytest.mark.parametrize("engine", ENGINES)
#: Whose objects say exactly what is declared, or less: a tunnel carries more ports towards pods that nothing guards.
exact_engine = pytest.mark.parametrize("engine", ["NetworkPolicy", "Cilium", "Istio"])


@st.composite
def governed(draw: st.DrawFn, engine: str) -> tuple[list[Object], str, str, str]:
    """Draw a world whose class lets people approve, and a stage of it: where it is, its segment, its name."""
    raw = draw(ENGINES[engine]())
    if not any(obj["kind"] == names.CLASS for obj in raw):
        raw.append(draw(classes()))
    for obj in raw:
        if obj["kind"] == names.CLASS:
            obj["spec"]["breakGlass"] = {"approverGroups": ["sre"]}
            obj["spec"]["namespaceSelector"] = {}
            # Every approval is by the word of the one that governs, whichever that is.
            obj["metadata"]["uid"] = "u-default"
    segment = draw(st.sampled_from([obj for obj in raw if obj["kind"] == names.SEGMENT]))
    stage = draw(st.sampled_from(segment["spec"]["stages"]))["name"]
    return [*raw, *guards()], segment["metadata"]["namespace"], segment["metadata"]["name"], stage


def objects(raw: list[Object], now: datetime | None) -> list[Any]:
    """What the operator would own at a moment."""
    try:
        return compiled(replace(snapshot(deepcopy(raw)), now=now))
    except Refused:
        assume(False)
        raise


@st.composite
def asked(draw: st.DrawFn, place: tuple[str, str, str]) -> list[Object]:
    namespace, segment, stage = place
    wanted = draw(st.lists(reaches(segment if segment in STAGES else "shop"), min_size=1, max_size=3))
    made = exception(*wanted, namespace=namespace, segment=segment, stage=stage)
    return [made, approval(made)]


@every_engine
def test_opened_and_closed_is_as_if_it_had_never_been_open(engine: str) -> None:
    """Byte for byte, in every object of every engine; and in between it does open something now and then."""
    opened: Counter[bool] = Counter()

    @THOROUGH
    @given(st.data())
    def agree(data: st.DataObject) -> None:
        raw, *place = data.draw(governed(engine))
        more = data.draw(asked(tuple(place)))
        never = canonical_bytes(objects(raw, AFTER))
        assert canonical_bytes(objects([*raw, *more], AFTER)) == never
        opened[canonical_bytes(objects([*raw, *more], DURING)) != never] += 1

    agree()
    assert opened[True] > 5


@exact_engine
def test_what_an_exception_opens_is_what_it_says(engine: str) -> None:
    """The exception is judged as a declaration, the objects as objects: neither knows of the other."""
    met: Counter[bool] = Counter()
    exactly = engine != "Istio"

    @THOROUGH
    @given(st.data())
    def agree(data: st.DataObject) -> None:
        raw, *place = data.draw(governed(engine))
        more = data.draw(asked(tuple(place)))
        outside = KNOWN if engine == "Cilium" else {}
        found = disagreements([*raw, *more], met, exactly=exactly, outside=outside, now=DURING)
        told = [way for way in found if not any(name in way for name in (*NAMES, "example.com"))]
        assert told == []

    agree()
    assert met[True] > 0


@every_engine
def test_a_sealed_stage_has_no_peers_in_any_object(engine: str) -> None:
    """Whatever it declares, whatever its engine needs, whoever reaches it."""

    @THOROUGH
    @given(st.data())
    def agree(data: st.DataObject) -> None:
        raw, namespace, segment, stage = data.draw(governed(engine))
        made = seal(segment=segment, stage=stage)
        made["metadata"]["namespace"] = namespace
        own = {names.SEGMENT_LABEL: segment, names.STAGE_LABEL: stage}
        mine = [
            obj
            for obj in objects([*raw, made], DURING)
            if own.items() <= obj["metadata"]["labels"].items()
            and namespace in {obj["metadata"]["namespace"], obj["metadata"]["labels"].get(names.ORIGIN_LABEL)}
        ]
        assert {obj["metadata"]["namespace"] for obj in mine} == {namespace}
        assert "NetworkPolicy" in {obj["kind"] for obj in mine}
        for obj in mine:
            spec = obj.get("spec", {})
            match obj["kind"]:
                case "NetworkPolicy":
                    assert (spec["ingress"], spec["egress"]) == ([], [])
                    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
                case "AuthorizationPolicy":
                    assert spec["action"] == "ALLOW"
                    assert "rules" not in spec
                case kind:
                    assert kind == "ServiceAccount"

    agree()


@exact_engine
def test_a_seal_is_what_is_enforced(engine: str) -> None:
    """And nothing else of the segment changes: both accounts of the world agree."""
    met: Counter[bool] = Counter()
    exactly = engine != "Istio"

    @THOROUGH
    @given(governed(engine))
    def agree(drawn: tuple[list[Object], str, str, str]) -> None:
        raw, namespace, segment, stage = drawn
        made = seal(segment=segment, stage=stage)
        made["metadata"]["namespace"] = namespace
        outside = KNOWN if engine == "Cilium" else {}
        found = disagreements([*raw, made], met, exactly=exactly, outside=outside, now=DURING)
        assert [way for way in found if "example.com" not in way] == []

    agree()
