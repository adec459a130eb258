"""News that comes at an awkward moment is not lost, and what was said before is not taken for said of another object."""

from collections.abc import Callable

import pytest

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected
from pipesegment.world.memory import MemoryCluster
from pipesegment.world.port import Json
from tests.unit.emergencies import exception, guards
from tests.unit.running.twin import (
    change,
    document,
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
    to,
    to_api,
)

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")
ACCOUNT = ObjectID("v1", "ServiceAccount", "ci", "shop-a")


class Interrupted(MemoryCluster):
    """A cluster where something happens just before the first write of an object."""

    def __init__(self, target: ObjectID, happening: Callable[["Interrupted"], None]) -> None:
        super().__init__()
        self._target = target
        self._happening = happening
        self.happened = False

    async def apply(self, obj: Object, *, dry_run: bool = False, force: bool = True) -> Json:
        if not self.happened and ObjectID.of(obj) == self._target:
            self.happened = True
            self._happening(self)
        return await super().apply(obj, dry_run=dry_run, force=force)


def filled(cluster, documents):
    for each in sorted(documents, key=lambda found: found["kind"] != "Namespace"):
        cluster.seed({"apiVersion": "v1", **each})
    return cluster


def ready(cluster, document):
    found = cluster.peek(target_of(document))
    conditions = {c["type"]: c["reason"] for c in found["status"]["conditions"]}
    return conditions["Ready"]


async def test_a_grant_that_comes_while_the_first_look_writes_is_seen():
    """What a look depends on is known before it first waits for anything."""
    shop = segment(stage("a", to_api(), app="a"))
    cluster = filled(Interrupted(POLICY, lambda c: c.seed(grant())), [*surroundings(), shop])

    async with leading(cluster):
        assert cluster.happened
        assert ready(cluster, shop) == "Enforced"


async def test_a_name_that_becomes_free_while_it_is_looked_at_is_taken():
    """The look that found it taken is repeated at once, and not after the pause for conflicts."""
    foreign = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop-a", "namespace": "ci"}}
    shop = segment(stage("a", app="a"))
    cluster = filled(Interrupted(POLICY, lambda c: c.remove(ACCOUNT)), [*surroundings(), foreign, shop])

    async with leading(cluster) as twin:
        assert cluster.happened
        assert ACCOUNT in shapes(cluster)
        assert twin.clock.now() < 1000 + 60
        assert ready(cluster, shop) == "Enforced"


async def test_a_segment_that_is_gone_is_not_brought_back_by_a_list_that_was_on_its_way():
    """kopf's first list is read while ours, made later, has told already that the segment is gone."""
    shop = segment(stage("a", app="a"))
    cluster = seeded([*surroundings(), shop])
    async with leading(cluster):
        pass

    older = cluster.peek(target_of(shop))
    cluster.drop(cluster.existing(target_of(shop)), orphan=True)
    async with leading(cluster) as twin:
        assert POLICY not in shapes(cluster)
        with recorded(cluster) as writes:
            twin.operator.put_segment(older)
            await twin.quiet()
        assert writes == []


async def test_an_account_that_somebody_else_makes_at_the_same_moment_stays_theirs():
    """A bare account conflicts with no field of ours: what an apply put on it is taken off again."""
    theirs = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop-a", "namespace": "ci"}}
    bare = theirs | {"metadata": {**theirs["metadata"], "labels": {"their": "own"}}}
    shop = segment(stage("a", app="a"))
    cluster = filled(Interrupted(ACCOUNT, lambda c: c.seed(bare)), [*surroundings(), shop])

    async with leading(cluster):
        found = cluster.peek(ACCOUNT)
        assert found["metadata"]["labels"] == {"their": "own"}
        assert "ownerReferences" not in found["metadata"]
        assert "automountServiceAccountToken" not in found
        assert ready(cluster, shop) == "Conflict"
        cluster.remove(ACCOUNT)


async def test_a_class_is_known_to_have_governed_as_soon_as_we_said_so():
    """Our own status names it, even while the watch has not brought that status back."""
    forbidding = segment_class(network={"allowInternet": False})
    shop = segment(stage("a", {"internet": {}, "ports": [{"port": 80}]}, app="a"))
    cluster = seeded([*surroundings(), forbidding, shop])

    async with leading(cluster) as twin:
        # Nobody plays kopf's part here: the watch never brings a status back.
        change(twin, forbidding, None)
        await twin.quiet()

        assert ready(cluster, shop) == "Unresolved"
        assert "0.0.0.0/0" not in str(cluster.peek(POLICY)["spec"])


@pytest.mark.parametrize("made", [grant(), segment_class(), segment(stage("a", app="a"))], ids=lambda d: d["kind"])
async def test_a_namesake_made_anew_gets_a_status_of_its_own(made):
    """A status is remembered by uid: equal words about another object have not been said yet."""
    cluster = seeded([*surroundings(), made])
    again = {**made, "metadata": {**made["metadata"], "uid": "another"}}

    async with leading(cluster) as twin:
        first = cluster.peek(target_of(made))["status"]["conditions"]
        # So fast that no look falls between the two.
        change(twin, made, None)
        change(twin, None, again)
        await twin.quiet()

        found = cluster.peek(target_of(made))
        assert found["metadata"]["uid"] == "another"
        assert {c["type"] for c in found["status"]["conditions"]} >= {c["type"] for c in first}


async def test_a_namespace_made_anew_has_to_be_granted_anew():
    """The grant is bound to the uid that it named first, and a grant made anew to the one of its own time."""
    shop = segment(stage("a", to_api(), app="a"))
    cluster = seeded([*surroundings(), grant(isolate="Everyone"), shop])
    another = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ci", "uid": "another"}}

    async with leading(cluster) as twin:
        assert ready(cluster, shop) == "Enforced"
        change(twin, {"kind": "Namespace", "metadata": {"name": "ci"}}, None)
        cluster.seed(another)
        await twin.quiet()
        assert ready(cluster, shop) == "Ungranted"
        assert [t for t in shapes(cluster) if t.namespace == "prod"] == []
        assert ready(cluster, grant()) == "NamespaceChanged"

        change(twin, grant(isolate="Everyone"), None)
        await twin.quiet()
        cluster.seed({**grant(isolate="Everyone"), "metadata": {**grant()["metadata"], "uid": "new-grant"}})
        await twin.quiet()
        assert ready(cluster, shop) == "Enforced"
        assert ready(cluster, grant()) == "Bound"


async def test_a_stage_that_changes_places_does_not_change_what_was_said():
    """The API server keeps lists that are maps in an order of its own."""
    old = segment(stage("a", app="a"), stage("b", app="b"))
    cluster = seeded([*surroundings(), old])
    async with leading(cluster) as twin:
        change(twin, old, segment(stage("b", app="b"), stage("a", app="a")))
        await twin.quiet()

    assert await restarted(cluster) == []


async def test_pods_that_nobody_fences_in_are_told_by_everybody_who_should():
    """A neighbour's policy that comes later takes its pods off the list."""
    first = segment(stage("a", app="a"), name="first")
    second = segment(stage("b", app="b"), name="second")
    cluster = seeded([*surroundings(), first])

    def said():
        found = cluster.peek(target_of(first))["status"]["conditions"]
        return next(c["message"] for c in found if c["type"] == "Conforming")

    async with leading(cluster) as twin:
        assert "2 pods of namespace ci (b, c)" in said()
        change(twin, None, second)
        await twin.quiet()
        assert "(c)" in said()
        assert "(b, c)" not in said()


async def test_a_name_that_two_objects_need_is_invalid_until_one_of_them_is_not_needed_any_more():
    """Nothing is written meanwhile, and the fact that ends it is heard of, though there were no objects for it."""
    to_c = {"pods": {"podSelector": {"matchLabels": {"app": "c"}}}, "ports": [{"port": 80}]}
    everyone = {"from": [{"namespace": "ci"}], "to": to_c["pods"], "ports": to_c["ports"], "isolate": "Everyone"}
    own = document(names.GRANT, "own", everyone, "ci", uid="u-own")
    # What the grant opens in the segment's own namespace.
    opened = names.foreign_name("ci", "ci", "a", "own/everyone/pods/pods ci: app=c/1/0")
    like = segment(stage("a", to_c, app="a"), stage(opened.removeprefix("ci-"), app="b"), name="ci")
    cluster = seeded([*surroundings(), own, like])

    async with leading(cluster) as twin:
        assert ready(cluster, like) == "Invalid"
        assert shapes(cluster) == {}
        change(twin, own, None)
        await twin.quiet()
        assert ready(cluster, like) == "Enforced"
        assert opened in {target.name for target in shapes(cluster)}


async def test_an_object_that_changed_under_a_write_is_no_conflict():
    """The uid that was meant is gone: the next look sees what is there now."""
    shop = segment(stage("a", to("b", 80), app="a"), stage("b", app="b"))
    cluster = seeded([*surroundings(), shop])
    async with leading(cluster) as twin:
        cluster.fail(Rejected(409, "Conflict", "uid mismatch"), matches=lambda target: target == POLICY)
        change(twin, shop, segment(stage("a", to("b", 81), app="a"), stage("b", app="b")))
        await twin.quiet()

        assert ready(cluster, shop) == "Enforced"
        assert not [event for event in cluster.events if event["reason"] == "Conflict"]
        assert "81" in str(shapes(cluster)[POLICY])


def daemon_set(name):
    spec = {"template": {"spec": {"containers": [{"name": name}]}}}
    metadata = {"name": name, "namespace": "kube-system"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}


async def test_an_engine_that_comes_or_goes_is_told_by_everybody():
    """Whoever else runs on every node is no news: nobody looks again."""
    shop = segment(stage("a", app="a"))
    cluster = seeded([*surroundings(), shop])

    def reason():
        found = cluster.peek(target_of(shop))["status"]["conditions"]
        return next(c["reason"] for c in found if c["type"] == "Conforming")

    async with leading(cluster) as twin:
        assert reason() == "NamespaceOpen"
        change(twin, None, daemon_set("kube-flannel"))
        await twin.quiet()
        assert reason() == "NotEnforced"
        change(twin, None, daemon_set("calico-node"))
        await twin.quiet()
        assert reason() == "NamespaceOpen"

        before = twin.metrics.registry.get_sample_value("pipesegment_workqueue_adds_total")
        change(twin, None, daemon_set("fluent-bit"))
        await twin.quiet()
        assert twin.metrics.registry.get_sample_value("pipesegment_workqueue_adds_total") == before


async def test_kinds_and_admission_policies_of_others_make_nobody_due():
    """What somebody installs beside us is looked at by nobody: in a cluster of thousands of segments it would be by all."""
    asked = exception({"internet": {}}, segment="shop", stage="a")
    cluster = seeded([*surroundings(), *guards(), segment(stage("a", app="a")), asked])
    policy, binding, *_ = guards(prefix="others")
    kind = document("CustomResourceDefinition", "widgets.example.com", {}) | {"apiVersion": "apiextensions.k8s.io/v1"}
    async with leading(cluster) as twin:
        looked_at = twin.metrics.registry.get_sample_value("pipesegment_workqueue_adds_total")
        for each in (policy, binding, kind):
            cluster.seed(each)
        await twin.quiet()
        assert twin.metrics.registry.get_sample_value("pipesegment_workqueue_adds_total") == looked_at
        cluster.seed(kind | {"metadata": {"name": "gateways.networking.istio.io"}})
        await twin.quiet()
        assert twin.metrics.registry.get_sample_value("pipesegment_workqueue_adds_total") > looked_at


async def test_cilium_that_comes_and_goes_changes_who_opens_and_never_who_closes():
    """With its kind there, its policy opens; without, the NetworkPolicy does again, which was there all the time."""
    policy = ObjectID("cilium.io/v2", "CiliumNetworkPolicy", "ci", "shop-a")
    crd = {"name": "ciliumnetworkpolicies.cilium.io"}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": crd}
    shop = segment(stage("a", to("b", 80), app="a"), stage("b", app="b"))
    cluster = seeded([*surroundings(), shop])

    async with leading(cluster) as twin:
        before = shapes(cluster)
        assert policy not in before
        change(twin, None, kind)
        await twin.quiet()
        found = shapes(cluster)
        assert (found[POLICY]["spec"]["ingress"], found[POLICY]["spec"]["egress"]) == ([], [])
        assert found[policy]["spec"]["egress"]

        change(twin, kind, None)
        await twin.quiet()
        assert shapes(cluster) == before


async def test_who_shares_an_account_hears_at_once_when_the_other_takes_it_and_when_it_lets_it_go():
    """Though nobody's object is concerned: the account is there already, and none of them makes it."""
    shared = {"serviceAccount": {"name": "bot", "create": False}}
    older = segment(stage("build", app="a"), name="shop")
    younger = segment(
        stage("test", {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 80}]}, app="b", **shared), name="pay"
    )
    older["metadata"]["creationTimestamp"], younger["metadata"]["creationTimestamp"] = (
        "2030-01-01T00:00:00Z",
        "2030-01-02T00:00:00Z",
    )
    taking = {**older, "spec": {"stages": [stage("build", app="a", **shared)]}}
    bot = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "ci", "name": "bot"}}
    cluster = seeded([*surroundings(), segment_class(), bot, older, younger])
    async with leading(cluster) as twin:
        assert ready(cluster, younger) == "Enforced"
        change(twin, older, taking)
        await twin.quiet()
        assert ready(cluster, younger) == "Conflict"
        change(twin, taking, older)
        await twin.quiet()
        assert ready(cluster, younger) == "Enforced"


@pytest.mark.parametrize("way", ["refused", "going"])
async def test_what_stands_of_an_older_segment_holds_a_younger_one_though_its_own_words_count_for_nothing(way):
    older = segment(stage("a", {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 80}]}, app="a"))
    younger = segment(stage("b", {"cidr": {"block": "8.8.8.0/24"}, "ports": [{"port": 80}]}, app="a"), name="pay")
    older["metadata"] |= {"creationTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}
    younger["metadata"]["creationTimestamp"] = "2030-01-02T00:00:00Z"
    broken = {**older, "spec": {"stages": [stage("a", to("nobody", 80), app="a")]}}
    cluster = seeded([*surroundings(), segment_class(), older, younger])
    policy = POLICY._replace(name="pay-b")

    def opened():
        return bool(cluster.peek(policy)["spec"]["egress"])

    async with leading(cluster) as twin:
        assert (ready(cluster, younger), opened()) == ("Overlapping", False)
        if way == "refused":
            change(twin, older, broken)
        else:
            cluster.edit(target_of(older), lambda obj: obj["metadata"].update(deletionTimestamp="2030-01-03T00:00:00Z"))
            twin.put(older)
        await twin.quiet()
        assert (ready(cluster, younger), opened()) == ("Overlapping", False)
    async with leading(cluster) as twin:
        assert (ready(cluster, younger), opened()) == ("Overlapping", False)
        cluster.drop(cluster.existing(POLICY), orphan=True)
        await twin.quiet()
        assert (ready(cluster, younger), opened()) == ("Enforced", True)
