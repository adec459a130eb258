"""What stands in another namespace stands on somebody's word there: where that goes, it goes, whatever holds us back."""

from contextlib import asynccontextmanager

import pytest

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from tests.unit.running.twin import (
    change,
    grant,
    leading,
    policies,
    recorded,
    seeded,
    segment,
    segment_class,
    stage,
    surroundings,
    target_of,
    to,
    to_api,
)

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")
FOREIGN = POLICY._replace(namespace="prod", name="theirs")


def foreign(name="theirs", **labels):
    """Write somebody else's policy that closes pods of `prod`."""
    spec = {"podSelector": {"matchLabels": labels} if labels else {}, "policyTypes": ["Ingress"]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": spec,
    }


def shop(**spec):
    return segment(stage("a", to_api(), app="a"), **spec)


def web(app):
    """Write a stage of the other namespace that selects the Service's pods."""
    return segment(stage("web", app=app), name="web", namespace="prod")


def there(cluster):
    """Give our ingress halves in the other namespace, by what they select."""
    found = [p for t, p in policies(cluster).items() if t.namespace == "prod" and names.STAGE_LABEL in labels(p)]
    ours = [p for p in found if labels(p).get(names.ORIGIN_LABEL) == "ci"]
    return sorted(str(p["spec"]["podSelector"]) for p in ours)


def labels(obj):
    return obj["metadata"].get("labels") or {}


def ports(cluster, target=POLICY):
    return {p["port"] for rule in cluster.peek(target)["spec"]["egress"] for p in rule["ports"]}


#: What may hold a segment back: how it comes about. The last three take a class away that governed.
HOLDS = {
    "its author suspends it": lambda twin: change(twin, shop(), shop(suspend=True)),
    "its author asks for what the class forbids": lambda twin: change(
        twin, shop(), segment(stage("a", to_api(), {"imds": {}}, app="a"))
    ),
    "its author says nothing that has a meaning": lambda twin: change(twin, shop(), shop(engine={"type": "Tekton"})),
    "its author says what comes later": lambda twin: change(
        twin, shop(), segment(stage("a", to_api(), app="a", gates=[{"name": "g", "imageDigests": {"required": True}}]))
    ),
    "its class suspends it": lambda twin: change(twin, segment_class(), segment_class(enforcement={"max": "Suspend"})),
    "classes tie": lambda twin: change(twin, None, segment_class("rival")),
    "its class is gone": lambda twin: change(twin, segment_class(), None),
    "its class is refused": lambda twin: change(twin, segment_class(), segment_class(nonsense={})),
}


OPERATORS = pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])


@asynccontextmanager
async def held_back(cluster, hold, *, restarted=False):
    """Hold the segment back under a running operator; give the one that goes on, perhaps another one."""
    async with leading(cluster) as twin:
        HOLDS[hold](twin)
        await twin.quiet()
        if not restarted:
            yield twin
            return
    async with leading(cluster) as twin:
        yield twin


@OPERATORS
@pytest.mark.parametrize("hold", HOLDS)
async def test_a_half_that_isolates_alone_is_gone_at_once(hold, restarted):
    """The policy beside which it stood is deleted: it must not be the first to close these pods."""
    cluster = seeded([*surroundings(), segment_class(), foreign(), grant(), shop()])
    async with held_back(cluster, hold, restarted=restarted) as twin:
        assert len(there(cluster)) == 1
        own = cluster.peek(POLICY)

        cluster.remove(FOREIGN)
        await twin.quiet()

        assert there(cluster) == []
        assert cluster.peek(POLICY) == own


@OPERATORS
@pytest.mark.parametrize("hold", HOLDS)
@pytest.mark.parametrize("isolate", ["Callers", "Everyone"])
async def test_a_half_whose_grant_is_gone_is_gone_at_once(hold, restarted, isolate):
    """Whether or not the garbage collector has come by."""
    cluster = seeded([*surroundings(), segment_class(), foreign(), grant(isolate=isolate), shop()])
    async with held_back(cluster, hold, restarted=restarted) as twin:
        assert len(there(cluster)) == 1
        change(twin, grant(isolate=isolate), None)
        await twin.quiet()
        assert there(cluster) == []


@pytest.mark.parametrize("hold", HOLDS)
async def test_a_half_that_stands_on_somebodys_word_stays(hold):
    """Neither the hold nor a restart is a reason to close a way that everybody still agrees on."""
    cluster = seeded([*surroundings(), segment_class(), foreign(), foreign("more", tier="x"), grant(), shop()])
    async with held_back(cluster, hold, restarted=True) as twin:
        before = there(cluster)
        assert len(before) == 2
        with recorded(cluster) as writes:
            cluster.edit(target_of(grant()), lambda obj: obj["metadata"].setdefault("labels", {}).update(team="prod"))
            await twin.quiet()
        assert there(cluster) == before
        assert [w for w in writes if w.before != w.after] == []


@pytest.mark.parametrize("hold", HOLDS)
async def test_of_several_halves_those_go_that_isolate_alone(hold):
    """One policy that closes some of the pods remains: the half beside it does too, and closes nobody else."""
    cluster = seeded([*surroundings(), segment_class(), foreign(), foreign("more", tier="x"), grant(), shop()])
    async with held_back(cluster, hold) as twin:
        cluster.remove(FOREIGN)
        await twin.quiet()
        assert there(cluster) == ["{'matchLabels': {'app': 'd', 'tier': 'x'}}"]


@pytest.mark.parametrize("hold", ["its author suspends it", "classes tie", "its class is gone"])
async def test_a_grant_that_no_longer_says_everyone_closes_nobody_any_more(hold):
    cluster = seeded([*surroundings(), segment_class(), grant(isolate="Everyone"), shop()])
    async with held_back(cluster, hold) as twin:
        assert len(there(cluster)) == 1
        change(twin, grant(isolate="Everyone"), grant(isolate="Callers"))
        await twin.quiet()
        assert there(cluster) == []


async def test_what_a_grant_closes_for_everyone_stays_closed_while_its_segment_is_suspended():
    """The author takes the entry back: the own half closes. Opening the pods to everybody else would widen."""
    cluster = seeded([*surroundings(), grant(isolate="Everyone"), shop()])
    async with leading(cluster) as twin:
        change(twin, shop(), segment(stage("a", app="a"), suspend=True))
        await twin.quiet()
        assert len(there(cluster)) == 1
        assert ports(cluster) == set()

        change(twin, segment(stage("a", app="a"), suspend=True), segment(stage("a", app="a")))
        await twin.quiet()
        assert there(cluster) == []


@pytest.mark.parametrize("isolate", ["Callers", "Everyone"])
async def test_pods_that_become_a_stage_are_no_grants_any_more(isolate):
    """What a stage accepts is for its segment to say, while ours is suspended as well."""
    closing = [foreign()] if isolate == "Callers" else []
    cluster = seeded([*surroundings(), *closing, grant(isolate=isolate), shop()])
    async with leading(cluster) as twin:
        change(twin, shop(), shop(suspend=True))
        await twin.quiet()
        assert len(there(cluster)) == 1
        change(twin, None, web("d"))
        await twin.quiet()
        assert there(cluster) == []


async def test_an_own_policy_that_cannot_be_written_does_not_keep_another_namespace_closed():
    """It goes before everything that only concerns us."""
    cluster = seeded([*surroundings(), foreign(), grant(), segment(stage("a", to_api(), app="a"), stage("b", app="b"))])
    async with leading(cluster) as twin:
        old = segment(stage("a", to_api(), app="a"), stage("b", app="b"))
        cluster.fail(Rejected(422, "Invalid", "no"), matches=lambda t: t.kind == "ServiceAccount", times=1000)
        change(twin, old, segment(stage("a", to_api(), to("b", 80), app="a"), stage("b", app="b"), stage("c", app="c")))
        await twin.quiet()
        assert len(there(cluster)) == 1

        cluster.remove(FOREIGN)
        await twin.quiet()
        assert there(cluster) == []


@pytest.mark.parametrize("hold", [None, "its author suspends it"])
async def test_no_half_stands_on_an_isolation_whose_name_somebody_else_holds(hold):
    """The class says that it isolates, and cannot: ours would be the first to close these pods."""
    isolating = segment_class(network={"isolation": {"mode": "Namespace"}})
    narrow = foreign(names.DEFAULT_DENY, app="nobody")
    cluster = seeded([*surroundings(), isolating, grant(isolate="Callers"), shop()])
    async with leading(cluster) as twin:
        assert len(there(cluster)) == 1
        if hold:
            HOLDS[hold](twin)
            await twin.quiet()
        cluster.remove(POLICY._replace(namespace="prod", name=names.DEFAULT_DENY))
        change(twin, None, narrow)
        await twin.quiet()
        assert [selector for selector in there(cluster) if "nobody" not in selector] == []
