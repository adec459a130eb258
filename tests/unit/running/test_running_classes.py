"""A class closes namespaces, and nothing opens them again but another class's word: not its end, not a tie."""

import pytest

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from tests.unit.running.twin import (
    change,
    grant,
    leading,
    recorded,
    restarted,
    seeded,
    segment,
    segment_class,
    shapes,
    stage,
    surroundings,
    target_of,
    to_api,
)

DENY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", names.DEFAULT_DENY)
THERE = DENY._replace(namespace="prod")
NAMESPACE = ObjectID("v1", "Namespace", "", "ci")
ISOLATING = {"network": {"isolation": {"mode": "Namespace"}}}
SHOP = segment(stage("a", app="a"))


def isolating(name="default", **spec):
    return segment_class(name, **ISOLATING, **spec)


def excepting(app, name="default"):
    pods = [{"matchLabels": {"app": app}}]
    return segment_class(name, network={"isolation": {"mode": "Namespace", "exceptPods": pods}})


def only(namespace, **spec):
    """Select one namespace alone."""
    label = {names.NAMESPACE_NAME_LABEL: namespace}
    return segment_class(**spec) | {"spec": {**spec, "namespaceSelector": {"matchLabels": label}}}


def owners(cluster, target=DENY):
    return [(r["kind"], r["name"]) for r in cluster.peek(target)["metadata"]["ownerReferences"]]


def stalled(cluster, document):
    conditions = {c["type"]: c["reason"] for c in cluster.peek(target_of(document))["status"]["conditions"]}
    return conditions.get("Stalled", "")


async def collected(twin, document):
    """Delete a document, and let the garbage collector do its work at once."""
    twin.cluster.remove(target_of(document))
    await twin.quiet()


async def test_a_class_that_is_deleted_opens_nothing():
    """The namespace holds the default deny; whoever is there, or comes, waits for a class."""
    cluster = seeded([*surroundings(), isolating(), SHOP])
    async with leading(cluster) as twin:
        before = cluster.peek(DENY)
        assert owners(cluster) == [("SegmentClass", "default"), ("Namespace", "ci")]

        await collected(twin, isolating())
        late = segment(stage("b", app="b"), name="late")
        change(twin, None, late)
        await twin.quiet()

        assert cluster.peek(DENY)["spec"] == before["spec"]
        assert owners(cluster) == [("Namespace", "ci")]
        assert stalled(cluster, SHOP) == stalled(cluster, late) == "ClassLost"
        assert ObjectID.of(before)._replace(name="late-b") not in shapes(cluster)

    assert await restarted(cluster) == []


async def test_another_isolating_class_takes_over_what_a_class_left_behind():
    """One write, and never a moment without the policy."""
    cluster = seeded([*surroundings(), isolating(), SHOP])
    async with leading(cluster) as twin:
        uid = cluster.peek(DENY)["metadata"]["uid"]
        await collected(twin, isolating())

        with recorded(cluster) as writes:
            change(twin, None, isolating("next"))
            await twin.quiet()

        assert [w.verb for w in writes if w.target == DENY] == ["apply"]
        assert cluster.peek(DENY)["metadata"]["uid"] == uid
        assert sorted(owners(cluster)) == [("Namespace", "ci"), ("SegmentClass", "next")]
        assert stalled(cluster, SHOP) == ""


async def test_a_class_that_does_not_isolate_takes_away_what_a_class_left_behind():
    """Somebody decided: a class governs the namespace, and does not want it closed."""
    cluster = seeded([*surroundings(), isolating(), SHOP])
    async with leading(cluster) as twin:
        await collected(twin, isolating())
        change(twin, None, segment_class("next"))
        await twin.quiet()

        assert DENY not in shapes(cluster)
        assert THERE not in shapes(cluster)
        assert stalled(cluster, SHOP) == ""


@pytest.mark.parametrize("gone", [isolating, lambda: isolating("other")], ids=["namesake", "another name"])
async def test_what_no_class_that_is_there_governs_stays_closed(gone):
    """A class of the same name goes on where the one before it ended, as if it had been changed; another does not."""
    cluster = seeded([*surroundings(), gone(), SHOP])
    async with leading(cluster) as twin:
        await collected(twin, gone())
        narrower = only("prod", **ISOLATING)
        narrower["metadata"]["uid"] = "u-anew"
        change(twin, None, narrower)
        await twin.quiet()

        assert (DENY in shapes(cluster)) is (gone()["metadata"]["name"] != "default")
        assert ("SegmentClass", "default") in owners(cluster, THERE)
        # It recorded the class that governed it, and none does now.
        assert stalled(cluster, SHOP) == "ClassLost"


async def test_a_namespace_takes_its_isolation_along():
    cluster = seeded([*surroundings(), isolating()])
    async with leading(cluster) as twin:
        await collected(twin, isolating())
        cluster.remove(NAMESPACE)
        await twin.quiet()
        assert DENY not in shapes(cluster)
        assert THERE in shapes(cluster)


async def test_the_clusters_own_namespaces_are_closed_only_while_a_class_names_them():
    """A selector that matches everything must not cut the cluster off from its resolvers; whoever names them may."""
    deny = DENY._replace(namespace="kube-system")
    everything = isolating() | {"spec": ISOLATING}
    cluster = seeded([*surroundings(), everything])
    async with leading(cluster) as twin:
        assert DENY in shapes(cluster)
        assert deny not in shapes(cluster)
        (ready, *_) = cluster.peek(target_of(isolating()))["status"]["conditions"]
        assert "leaves kube-system open" in ready["message"]

        naming = only("kube-system", **ISOLATING)
        change(twin, everything, naming)
        await twin.quiet()
        assert deny in shapes(cluster)
        assert DENY not in shapes(cluster)

        change(twin, naming, everything)
        await twin.quiet()
        assert DENY in shapes(cluster)
        assert deny not in shapes(cluster)


async def test_whoever_deletes_what_a_class_left_behind_has_decided_as_well():
    """The default deny is the only sign of a class that is gone; without it a newcomer is nobody's."""
    late = segment(stage("b", app="b"), name="late")
    cluster = seeded([*surroundings(), isolating(), SHOP])
    async with leading(cluster) as twin:
        await collected(twin, isolating())
        change(twin, None, late)
        await twin.quiet()
        assert stalled(cluster, late) == "ClassLost"

        cluster.remove(DENY)
        await twin.quiet()
        assert DENY not in shapes(cluster)
        assert stalled(cluster, late) == ""
        assert stalled(cluster, SHOP) == "ClassLost"


async def test_somebody_elses_policy_of_our_name_and_labels_is_not_taken_for_left_behind():
    """Labels are claims: it names no owner, so it is not ours to delete."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.CLASS_LABEL: "gone"}
    forged = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": names.DEFAULT_DENY, "namespace": "ci", "labels": labels},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    cluster = seeded([*surroundings(), forged, segment_class()])
    async with leading(cluster):
        assert cluster.peek(DENY)["spec"] == forged["spec"]


async def test_a_tie_holds_the_isolation_as_it_is():
    """What a class changes while classes tie waits; what somebody else changes is put back."""
    cluster = seeded([*surroundings(), isolating(), SHOP])
    async with leading(cluster) as twin:
        before = cluster.peek(DENY)["spec"]
        change(twin, None, segment_class("rival"))
        await twin.quiet()
        cluster.edit(DENY, lambda obj: obj["spec"].update(ingress=[{}]))
        await twin.quiet()
        assert cluster.peek(DENY)["spec"] == before

        change(twin, isolating(), excepting("c"))
        await twin.quiet()
        assert cluster.peek(DENY)["spec"] == before
        change(twin, excepting("c"), segment_class())
        await twin.quiet()
        assert cluster.peek(DENY)["spec"] == before

        change(twin, segment_class("rival"), None)
        await twin.quiet()
        assert DENY not in shapes(cluster)


@pytest.mark.parametrize("happening", ["goes", "ties"])
async def test_what_a_grant_opens_stays_open_while_nobody_governs_its_namespace(happening):
    """The isolation there stands, so the way through it stands too: nobody's release is blocked."""
    there = only("prod", **ISOLATING)
    shop = segment(stage("a", to_api(), app="a"))
    cluster = seeded([*surroundings(), there, grant(), shop])
    async with leading(cluster) as twin:
        (half,) = [t for t in shapes(cluster) if t.namespace == "prod" and t != THERE]
        before = shapes(cluster)[half]

        if happening == "goes":
            await collected(twin, there)
        else:
            change(twin, None, segment_class("rival"))
            await twin.quiet()

        assert THERE in shapes(cluster)
        assert shapes(cluster)[half] == before


def conforming(cluster, document):
    found = cluster.peek(target_of(document))
    return next(c["reason"] for c in found["status"]["conditions"] if c["type"] == "Conforming")


async def test_a_namespace_whose_isolation_somebody_elses_policy_keeps_out_is_told_as_open():
    shop = segment(stage("a", app="a", serviceAccount={"name": "shop-a"}))
    taken = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "ci", "name": "pipesegment-default-deny", "uid": "u-taken"},
        "spec": {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Ingress"]},
    }
    cluster = seeded([*surroundings(), segment_class(network={"isolation": {"mode": "Namespace"}}), shop, taken])
    async with leading(cluster) as twin:
        assert conforming(cluster, shop) == "NamespaceOpen"
        change(twin, taken, None)
        await twin.quiet()
        assert conforming(cluster, shop) == "Conforms"


async def test_a_namespace_that_its_class_lets_go_is_told_as_open():
    shop = segment(stage("a", app="a", serviceAccount={"name": "shop-a"}))
    isolating = segment_class(network={"isolation": {"mode": "Namespace"}})
    elsewhere = segment_class(
        network={"isolation": {"mode": "Namespace"}},
        namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "prod"}},
    )
    cluster = seeded([*surroundings(), isolating, shop])
    async with leading(cluster) as twin:
        assert conforming(cluster, shop) == "Conforms"
        change(twin, isolating, elsewhere)
        await twin.quiet()
        assert conforming(cluster, shop) == "NamespaceOpen"
        change(twin, elsewhere, isolating)
        await twin.quiet()
        assert conforming(cluster, shop) == "Conforms"
