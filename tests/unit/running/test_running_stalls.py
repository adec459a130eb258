"""While nobody can be said to govern: nothing widens, nothing closes for want of the class, and what is revoked closes."""

import pytest

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from tests.unit.running.twin import (
    change,
    grant,
    leading,
    policies,
    restarted,
    seeded,
    segment,
    segment_class,
    shapes,
    stage,
    surroundings,
    target_of,
    to,
    to_api,
)

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")


def cidr(block):
    return {"cidr": {"block": block}, "ports": [{"port": 443}]}


def governing(**more):
    """Write a class whose words matter in every way: destinations, baseline, resolvers, consent, how addresses are written."""
    return segment_class(
        destinations=[{"name": "forge", "cidrs": ["203.0.113.10/32"], "ports": [{"port": 443}]}],
        baseline={"reaches": [cidr("192.0.2.128/25")]},
        network={"requireGrants": True, "exceptStyle": "Prefixes", "dns": {"cidrs": ["192.0.2.53/32"]}},
        **more,
    )


def shop(*more, **spec):
    forge = {"destination": {"name": "forge"}}
    return segment(stage("a", forge, to_api(), to("b", 80), *more, app="a"), stage("b", app="b"), **spec)


#: In every way in which a namespace loses the class that governed it: how it comes about.
LOSSES = {
    "another class ties with it": lambda twin: change(twin, None, segment_class("rival")),
    "it is deleted": lambda twin: change(twin, governing(), None),
    "it is refused": lambda twin: change(twin, governing(), governing(gates={"nonsense": 1})),
    "another class is refused": lambda twin: change(twin, None, segment_class("rival", priority=1, nonsense={})),
}


def opened(cluster):
    """Give what stage a's policy lets out: blocks, and the pods of which namespace and label."""
    found = set()
    for rule in cluster.peek(POLICY)["spec"]["egress"]:
        for peer in rule["to"]:
            if "ipBlock" in peer:
                found.add(peer["ipBlock"]["cidr"])
            else:
                namespace = peer["namespaceSelector"]["matchLabels"][names.NAMESPACE_NAME_LABEL]
                found.add(f"{namespace}/{','.join(peer['podSelector']['matchLabels'].values())}")
    return found


def stalled(cluster):
    found = cluster.peek(target_of(shop()))["status"]["conditions"]
    return next((c["reason"] for c in found if c["type"] == "Stalled"), "")


THE_CLASSS = {"203.0.113.10/32", "192.0.2.128/25", "192.0.2.53/32"}


@pytest.mark.parametrize("loss", LOSSES)
async def test_nothing_closes_for_want_of_the_class_and_what_is_revoked_closes(loss):
    declared = shop(cidr("198.51.100.0/24"))
    cluster = seeded([*surroundings(), governing(), grant(isolate="Everyone"), declared])
    async with leading(cluster) as twin:
        everything = {"prod/d", "ci/b", "198.51.100.0/24", *THE_CLASSS}
        assert opened(cluster) == everything
        before = policies(cluster)

        LOSSES[loss](twin)
        await twin.quiet()
        assert stalled(cluster) in {"AmbiguousClass", "ClassLost"}
        assert policies(cluster) == before

        # A grant is revoked: both halves close, although only the class can have asked for the grant.
        change(twin, grant(isolate="Everyone"), None)
        await twin.quiet()
        assert opened(cluster) == everything - {"prod/d"}
        assert [t for t in policies(cluster) if t.namespace == "prod"] == []

        # The author takes something back, and asks for something else.
        change(twin, declared, shop(cidr("198.51.101.0/24")))
        await twin.quiet()
        assert opened(cluster) == {"ci/b", *THE_CLASSS}


@pytest.mark.parametrize("loss", ["another class ties with it", "another class is refused"])
async def test_a_class_that_can_be_read_keeps_its_word_over_a_restart(loss):
    """The status says which class it was."""
    declared = shop(cidr("198.51.100.0/24"))
    cluster = seeded([*surroundings(), governing(), grant(), declared])
    async with leading(cluster) as twin:
        LOSSES[loss](twin)
        await twin.quiet()
    before = policies(cluster)

    async with leading(cluster) as twin:
        assert policies(cluster) == before
        change(twin, declared, shop())
        change(twin, grant(), None)
        await twin.quiet()
        assert opened(cluster) == {"ci/b", *THE_CLASSS}


@pytest.mark.parametrize("loss", ["it is deleted", "it is refused"])
async def test_a_class_that_nobody_remembers_holds_everything_but_what_others_consented_to(loss):
    """After a restart nobody knows what it said: what it opened cannot be told from what the author did."""
    declared = shop(cidr("198.51.100.0/24"))
    cluster = seeded([*surroundings(), governing(), grant(isolate="Everyone"), declared])
    async with leading(cluster) as twin:
        LOSSES[loss](twin)
        await twin.quiet()
    before = policies(cluster)

    async with leading(cluster) as twin:
        assert stalled(cluster) == "ClassLost"
        change(twin, declared, shop())
        await twin.quiet()
        assert policies(cluster) == before
        (parts,) = [c for c in cluster.peek(target_of(declared))["status"]["conditions"] if c["type"] == "NetworkReady"]
        assert "is not known any more, so these stay as they are: NetworkPolicy ci/shop-a" in parts["message"]

        change(twin, grant(isolate="Everyone"), None)
        await twin.quiet()
        assert {t: p for t, p in before.items() if t.namespace == "ci"} == policies(cluster)

        # A class comes, and everything is as it says.
        anew = governing()
        anew["metadata"] |= {"name": "anew", "uid": "u-anew"}
        if loss == "it is refused":
            change(twin, governing(), None)
        change(twin, None, anew)
        await twin.quiet()
        assert opened(cluster) == {"ci/b", *THE_CLASSS}
        assert stalled(cluster) == ""


async def test_a_neighbour_whose_class_is_lost_keeps_its_word_for_others():
    """What a stage accepts by its class's baseline is open from a namespace that is governed, and stays open."""
    web = segment(stage("web", app="d"), name="web", namespace="prod")
    caller = segment(
        stage("a", {"stage": {"name": "web", "segment": "web", "namespace": "prod"}, "ports": [{"port": 80}]}, app="a")
    )
    accepting = [{"pods": {"namespace": "ci", "podSelector": {"matchLabels": {"app": "a"}}}, "ports": [{"port": 80}]}]
    there = segment_class("there", baseline={"accepts": accepting})
    there["spec"]["namespaceSelector"] = {"matchLabels": {names.NAMESPACE_NAME_LABEL: "prod"}}
    cluster = seeded([*surroundings(), there, web, caller])
    async with leading(cluster) as twin:
        assert opened(cluster) >= {"prod/d"}
        change(twin, there, None)
        await twin.quiet()
        assert opened(cluster) >= {"prod/d"}


async def test_a_tie_of_classes_that_never_governed_leaves_the_defaults():
    """Nobody governed, so nobody's word is missing."""
    declared = segment(stage("a", cidr("198.51.100.0/24"), cidr("198.51.101.0/24"), app="a"))
    cluster = seeded([*surroundings(), declared])
    async with leading(cluster) as twin:
        change(twin, None, segment_class("one"))
        cluster.edit(target_of(segment_class("one")), lambda obj: obj["spec"].update(priority=1))
        change(twin, None, segment_class("two", priority=1))
        await twin.quiet()
        change(twin, declared, segment(stage("a", cidr("198.51.100.0/24"), app="a")))
        await twin.quiet()
        assert opened(cluster) == {"198.51.100.0/24"}


async def test_a_restart_in_the_middle_of_a_stall_writes_nothing():
    cluster = seeded([*surroundings(), governing(), grant(), shop()])
    async with leading(cluster) as twin:
        LOSSES["another class ties with it"](twin)
        await twin.quiet()
    assert await restarted(cluster) == []
    assert shapes(cluster)


CLOSING = segment_class(guardrails={"targets": ["stage", "cidr"]})
TWO = (stage("a", app="a"), stage("b", cidr("203.0.113.0/24"), app="b"))
OLD_B = POLICY._replace(name="shop-b")

#: What holds a segment back: how it comes about, the stages beside b, and what its spec says beside.
HOLDS = {
    "its author suspends it": (None, stage("a", app="a"), {"suspend": True}),
    "its class suspends it": (
        lambda twin: change(twin, CLOSING, segment_class(enforcement={"max": "Suspend"})),
        stage("a", app="a"),
        {},
    ),
    "classes tie": (lambda twin: change(twin, None, segment_class("rival")), stage("a", app="a"), {}),
    "it asks for what the class forbids": (None, stage("a", {"imds": {}}, app="a"), {}),
}


def rules(cluster, target=OLD_B):
    spec = cluster.peek(target)["spec"]
    return len(spec["egress"]), len(spec["ingress"])


@pytest.mark.parametrize("hold", HOLDS)
async def test_what_a_removed_stage_opened_closes_while_its_segment_is_held_back(hold):
    """Its pods stay closed: opening them to everybody would widen. When the segment goes on, the policy goes."""
    begin, beside, spec = HOLDS[hold]
    held, less = segment(beside, *TWO[1:], **spec), segment(beside, **spec)
    cluster = seeded([*surroundings(), CLOSING, segment(*TWO)])
    async with leading(cluster) as twin:
        if begin is not None:
            begin(twin)
        change(twin, segment(*TWO), held)
        await twin.quiet()
        assert rules(cluster) == (1, 0)

        change(twin, held, less)
        await twin.quiet()
        assert rules(cluster) == (0, 0)
        assert cluster.peek(OLD_B)["spec"]["podSelector"] == {"matchLabels": {"app": "b"}}
    async with leading(cluster) as twin:
        assert rules(cluster) == (0, 0)
        change(twin, less, held)
        await twin.quiet()
        # Declared anew, it is not opened before the segment goes on.
        assert rules(cluster) == (0, 0)
        change(twin, held, segment(*TWO[:1]))
        if begin is not None:
            change(twin, segment_class("rival"), None) if hold == "classes tie" else change(twin, None, CLOSING)
        await twin.quiet()
        assert OLD_B not in policies(cluster)


async def test_a_stage_that_is_to_observe_is_not_cut_off_while_its_segment_is_suspended():
    observing = stage("b", cidr("203.0.113.0/24"), app="b", mode="Observe")
    cluster = seeded([*surroundings(), segment_class(), segment(*TWO)])
    async with leading(cluster) as twin:
        change(twin, segment(*TWO), segment(TWO[0], observing, suspend=True))
        await twin.quiet()
        assert rules(cluster) == (1, 0)
