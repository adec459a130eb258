"""Two tenants: nothing of the one is written, cut off or made known by the other without its word."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.evaluate.endpoints import AddressEnd, PodEnd
from pipesegment.facts.selectors import Selector
from tests.properties.drawn import segments, worlds
from tests.properties.worlds import ADDRESSES, ASKED, Compiled, Document, World, checked, document

pytestmark = pytest.mark.thorough
OURS, THEIRS = "ci", "prod"


def _names(grant: Document, labels: Mapping[str, str]) -> bool:
    """Tell whether a grant names the stage that an object was made for."""
    stage = (labels[names.ORIGIN_LABEL], labels[names.SEGMENT_LABEL], labels[names.STAGE_LABEL])
    return any(
        all(
            wanted in (None, is_)
            for wanted, is_ in zip(map(source.get, ("namespace", "segment", "stage")), stage, strict=True)
        )
        for source in grant["spec"]["from"]
    )


@checked(50)
@given(worlds())
def test_nothing_is_written_where_nobody_agreed(world: World) -> None:
    """An object elsewhere is an ingress half, owned by a grant there that names its stage and gives its pods."""
    compiled = Compiled(world)
    for desired in compiled.desired:
        for obj in desired.objects:
            meta = obj["metadata"]
            if meta["namespace"] == desired.segment.namespace and names.ORIGIN_LABEL not in meta["labels"]:
                continue
            assert obj["kind"] == "NetworkPolicy"
            assert obj["spec"]["policyTypes"] == ["Ingress"]
            (owner,) = meta["ownerReferences"]
            grant = next(g for g in world.grants if g["metadata"]["uid"] == owner["uid"])
            assert (grant["metadata"]["namespace"], owner["kind"]) == (meta["namespace"], names.GRANT)
            assert _names(grant, meta["labels"])
            assert _gives(compiled, grant, obj)


def _gives(compiled: Compiled, grant: Document, obj: Mapping[str, Any]) -> bool:
    """Tell whether every pod that an object selects, and every port that it opens, is given by the grant."""
    namespace, to = grant["metadata"]["namespace"], grant["spec"]["to"]
    if "service" in to:
        service = compiled.snapshot.service(namespace, to["service"]["name"])
        assert service is not None
        given_pods = service.selector
    else:
        given_pods = Selector.parse(to["podSelector"])
    assert given_pods is not None
    return Selector.parse(obj["spec"]["podSelector"]).implies(given_pods)


def _foreign_policies() -> st.SearchStrategy[list[Document]]:
    specs = (
        {"podSelector": {}, "policyTypes": ["Ingress"]},
        {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"podSelector": {}}]}]},
        {"podSelector": {"matchLabels": {"tier": "x"}}, "policyTypes": ["Ingress"]},
        {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    )
    drawn = st.lists(st.sampled_from(specs), max_size=2, unique_by=str)
    return drawn.map(
        lambda found: [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": f"p{n}", "namespace": THEIRS},
                "spec": spec,
            }
            for n, spec in enumerate(found)
        ]
    )


def _arriving(compiled: Compiled, more: list[Document]) -> set[tuple[str, str, str]]:
    """Give the ways by which everybody but our stages comes to their pods."""
    judge = compiled.judge(more)
    pods = [end for end in compiled.ends if isinstance(end, PodEnd)]
    sources = [p for p in pods if p.namespace == THEIRS] + [AddressEnd(a) for a in ADDRESSES]
    return {
        (str(source), str(pod), str(port))
        for source in sources
        for pod in pods
        if pod.namespace == THEIRS and source is not pod
        for port in ASKED
        if judge.judge(source, pod, port).enforced
    }


@checked(40)
@given(worlds(governed=False), _foreign_policies())
def test_our_half_cuts_nobody_off(world: World, policies: list[Document]) -> None:
    """Whoever came to their pods before comes still, unless a grant says `isolate: Everyone`."""
    ours = tuple(s for s in world.segments if s["metadata"]["namespace"] == OURS)
    kept = tuple(g for g in world.grants if g["spec"].get("isolate") != "Everyone")
    assume(ours)
    world = replace(world, segments=ours, grants=kept).with_facts((*world.facts, *policies))
    without = replace(world, grants=())
    assert _arriving(Compiled(world), policies) == _arriving(Compiled(without), policies)


@st.composite
def _closed_neighbours(draw: st.DrawFn) -> tuple[World, World]:
    """Draw a world whose class requires grants, and the same one whose other namespace holds nothing."""
    world = draw(worlds(governed=False))
    ours = draw(segments(OURS, "shop"))
    theirs = draw(segments(THEIRS, "api"))
    # What they say of us they say themselves.
    for stage in theirs["spec"]["stages"]:
        for field in ("reaches", "accepts"):
            stage.pop(field, None)
    theirs["spec"].pop("common", None)
    spec = {
        "network": {"requireGrants": True},
        "namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: OURS}},
    }
    policies = tuple(draw(_foreign_policies()))
    full = World(
        (ours,), (), (document(names.CLASS, "default", spec, uid="u-class"),), (*world.facts, *policies, theirs)
    )
    empty = full.with_facts(f for f in full.facts if f["metadata"].get("namespace") != THEIRS)
    return full, empty


def _told(compiled: Compiled) -> Iterator[str]:
    yield from compiled.findings
    yield from (str(refusal) for reach in compiled.reaches for refusal in reach.refusals)


@checked(50)
@given(_closed_neighbours())
def test_nobody_learns_what_exists_where_grants_are_required(worlds_: tuple[World, World]) -> None:
    """What is written and what is told is the same whether the other namespace holds anything or nothing."""
    full, empty = map(Compiled, worlds_)
    assert full.desired == empty.desired
    assert list(_told(full)) == list(_told(empty))
