"""What holds at the door of every cluster: played on the in-memory twin and on a real API server alike."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from pipesegment.world import kinds
from pipesegment.world.port import Cluster, Selection

PATIENCE = 20


@dataclass
class Door:
    """A cluster, a namespace in it that is ours alone, and a way to change an object as somebody else (merge patch)."""

    cluster: Cluster
    namespace: str
    change: Callable[[ObjectID, dict[str, Any]], Awaitable[None]]

    def target(self, name="build"):
        return ObjectID("networking.k8s.io/v1", "NetworkPolicy", self.namespace, name)

    def policy(self, name="build", *, labels=None, annotations=None, uid=None, **spec):
        meta = {"name": name, "namespace": self.namespace, "labels": labels or {"our": "label"}}
        if annotations:
            meta["annotations"] = annotations
        if uid:
            meta["uid"] = uid
        spec = {"podSelector": {"matchLabels": {"stage": name}}, "policyTypes": ["Ingress", "Egress"], **spec}
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


async def applying_makes_changes_and_leaves_alone(door):
    made = await door.cluster.apply(door.policy())
    assert made["metadata"]["generation"] == 1
    same = await door.cluster.apply(door.policy())
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    labelled = await door.cluster.apply(door.policy(labels={"other": "label"}))
    assert labelled["metadata"]["labels"] == {"other": "label"}
    assert labelled["metadata"]["generation"] == 1
    assert labelled["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    changed = await door.cluster.apply(
        door.policy(labels={"other": "label"}, egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}])
    )
    assert changed["metadata"]["generation"] == 2
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    back = await door.cluster.apply(door.policy(labels={"other": "label"}))
    assert "egress" not in back["spec"]
    assert await door.cluster.get(door.target()) == back


async def fields_of_others_stay(door):
    await door.cluster.apply(door.policy(annotations={"ours": "1", "both": "1"}))
    await door.change(door.target(), {"metadata": {"annotations": {"theirs": "2", "both": "2"}}})
    live = await door.cluster.apply(door.policy())
    assert live["metadata"]["annotations"] == {"theirs": "2", "both": "2"}


async def a_field_that_others_changed_is_a_conflict_unless_forced(door):
    await door.cluster.apply(door.policy())
    await door.change(door.target(), {"spec": {"policyTypes": ["Ingress"]}})
    with pytest.raises(Rejected) as caught:
        await door.cluster.apply(door.policy(), force=False)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    assert (await door.cluster.apply(door.policy()))["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert (await door.cluster.get(door.target()))["metadata"]["generation"] == 3


async def an_apply_tells_who_else_has_fields(door):
    """What somebody else made meanwhile is recognized by its other field managers."""
    made = await door.cluster.apply(door.policy())
    assert {entry["manager"] for entry in made["metadata"]["managedFields"]} == {"pipesegment"}
    await door.change(door.target(), {"metadata": {"annotations": {"theirs": "2"}}})
    live = await door.cluster.apply(door.policy())
    assert len({entry["manager"] for entry in live["metadata"]["managedFields"]}) == 2


async def a_dry_run_changes_nothing(door):
    shown = await door.cluster.apply(door.policy(), dry_run=True)
    assert shown["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert await door.cluster.get(door.target()) is None


async def an_apply_with_a_uid_is_for_that_object_alone(door):
    with pytest.raises(Rejected) as caught:
        await door.cluster.apply(door.policy(uid="00000000-0000-0000-0000-000000000000"))
    assert caught.value.status == 409
    assert await door.cluster.get(door.target()) is None
    uid = (await door.cluster.apply(door.policy()))["metadata"]["uid"]
    with pytest.raises(Rejected) as caught:
        await door.cluster.apply(door.policy(uid="00000000-0000-0000-0000-000000000000"))
    assert caught.value.status == 409
    assert (await door.cluster.apply(door.policy(uid=uid)))["metadata"]["uid"] == uid


async def a_deletion_holds_its_preconditions(door):
    assert await door.cluster.delete(door.target(), uid="anything") is False
    live = await door.cluster.apply(door.policy())
    uid, version = live["metadata"]["uid"], live["metadata"]["resourceVersion"]
    for wrong in ({"uid": "00000000-0000-0000-0000-000000000000"}, {"uid": uid, "resource_version": "1"}):
        with pytest.raises(Rejected) as caught:
            await door.cluster.delete(door.target(), **wrong)
        assert caught.value.status == 409
    assert await door.cluster.delete(door.target(), uid=uid, resource_version=version) is True
    assert await door.cluster.get(door.target()) is None


async def a_lease_is_made_once_and_replaced_by_who_saw_it_last(door):
    meta = {"name": "l", "namespace": door.namespace}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
    made = await door.cluster.create({**lease, "spec": {"holderIdentity": "a"}})
    with pytest.raises(Rejected) as caught:
        await door.cluster.create(lease)
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")
    new = await door.cluster.replace({**made, "spec": {"holderIdentity": "b"}})
    assert new["spec"]["holderIdentity"] == "b"
    with pytest.raises(Rejected) as caught:
        await door.cluster.replace({**made, "spec": {"holderIdentity": "c"}})
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")


async def nothing_is_made_in_a_namespace_that_is_not_there(door):
    nowhere = door.policy()
    nowhere["metadata"]["namespace"] = f"{door.namespace}-nowhere"
    with pytest.raises(Rejected) as caught:
        await door.cluster.apply(nowhere)
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")


async def a_list_is_whole_over_its_pages_and_holds_what_is_selected(door):
    names = [f"p{n}" for n in range(7)]
    for name in names:
        await door.cluster.apply(door.policy(name, labels={"half": str(int(name[1]) % 2)}))
    here = Selection(namespace=door.namespace)
    pages = [page async for page in door.cluster.pages(kinds.NETWORK_POLICY, here)]
    assert [page.first for page in pages] == [True, False, False]
    assert len({page.resource_version for page in pages}) == 1
    found = await door.cluster.list(kinds.NETWORK_POLICY, here)
    assert [item["metadata"]["name"] for item in found.items] == names
    assert {(item["apiVersion"], item["kind"]) for item in found.items} == {("networking.k8s.io/v1", "NetworkPolicy")}
    odd = Selection(namespace=door.namespace, labels="half!=0", metadata_only=True)
    bare = (await door.cluster.list(kinds.NETWORK_POLICY, odd)).items
    assert [item["metadata"]["name"] for item in bare] == ["p1", "p3", "p5"]
    assert all("spec" not in item and item["kind"] == "NetworkPolicy" for item in bare)
    one = Selection(namespace=door.namespace, fields="metadata.name=p2")
    assert [item["metadata"]["name"] for item in (await door.cluster.list(kinds.NETWORK_POLICY, one)).items] == ["p2"]


async def a_watch_tells_what_happens_to_what_is_selected(door):
    chosen = Selection(namespace=door.namespace, labels="our=label", metadata_only=True)
    version = (await door.cluster.list(kinds.NETWORK_POLICY, chosen)).resource_version
    await door.cluster.apply(door.policy())
    await door.cluster.apply(door.policy("unseen", labels={"their": "label"}))
    async with asyncio.timeout(PATIENCE), aclosing(door.cluster.watch(kinds.NETWORK_POLICY, version, chosen)) as events:
        assert (await anext(events)).type == "OPENED"
        added = await anext(events)
        assert (added.type, added.object["metadata"]["name"], added.object["kind"]) == (
            "ADDED",
            "build",
            "NetworkPolicy",
        )
        assert "spec" not in added.object
        await door.cluster.apply(door.policy(egress=[]))
        changed = await anext(events)
        assert (changed.type, changed.object["metadata"]["generation"]) == ("MODIFIED", 2)
        await door.change(door.target(), {"metadata": {"labels": {"our": None}}})
        left = await anext(events)
        assert (left.type, left.object["metadata"]["name"]) == ("DELETED", "build")
        live = await door.cluster.apply(door.policy(egress=[]))
        assert (await anext(events)).type == "ADDED"
        await door.cluster.delete(door.target(), uid=live["metadata"]["uid"])
        gone = await anext(events)
        assert gone.type == "DELETED"
        assert int(gone.object["metadata"]["resourceVersion"]) > int(live["metadata"]["resourceVersion"])


async def an_event_is_posted(door):
    meta = {"name": "e.1", "namespace": door.namespace}
    regarding = {"apiVersion": "v1", "kind": "Namespace", "name": door.namespace, "namespace": door.namespace}
    await door.cluster.post_event(
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": meta,
            "regarding": regarding,
            "eventTime": "2030-01-01T00:00:00.000000Z",
            "action": "Test",
            "reason": "Tested",
            "type": "Normal",
            "reportingController": "pipesegment.dev/operator",
            "reportingInstance": "test",
            "note": "a test",
        }
    )


SCENARIOS = [
    applying_makes_changes_and_leaves_alone,
    fields_of_others_stay,
    a_field_that_others_changed_is_a_conflict_unless_forced,
    an_apply_tells_who_else_has_fields,
    a_dry_run_changes_nothing,
    an_apply_with_a_uid_is_for_that_object_alone,
    a_deletion_holds_its_preconditions,
    a_lease_is_made_once_and_replaced_by_who_saw_it_last,
    nothing_is_made_in_a_namespace_that_is_not_there,
    a_list_is_whole_over_its_pages_and_holds_what_is_selected,
    a_watch_tells_what_happens_to_what_is_selected,
    an_event_is_posted,
]
by_name = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
