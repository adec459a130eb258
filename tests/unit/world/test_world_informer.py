"""An informer holds what the cluster holds, whatever happens on the way."""

import asyncio
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.world import kinds
from pipesegment.world.clock import ManualClock, settle
from pipesegment.world.informer import Informer
from pipesegment.world.memory import MemoryCluster
from pipesegment.world.port import EVERYTHING, Selection

LIST, WATCH = frozenset({"list"}), frozenset({"watch"})


def pod(name, namespace="shop", **labels):
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta}


def target(name, namespace="shop"):
    return ObjectID("v1", "Pod", namespace, name)


def labels(obj):
    if obj["metadata"]["labels"].get("poison"):
        raise ValueError("poison")
    return dict(obj["metadata"]["labels"])


class Desk:
    """An informer on Pods, and what it told."""

    def __init__(self, *, kind=kinds.POD, selection=EVERYTHING, relist_every=None, vital=False, project=labels):
        self.cluster = MemoryCluster(page_size=2)
        self.clock = ManualClock()
        self.told = []
        self.informer = Informer(
            self.cluster,
            kind,
            project,
            lambda kind, old, new: self.told.append((kind, old, new)),
            selection=selection,
            relist_every=relist_every,
            vital=vital,
            clock=self.clock,
            rng=random.Random(1),
        )
        self.task = None

    async def start(self):
        self.task = asyncio.create_task(self.informer.run())
        await settle(50)

    async def stop(self):
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    @property
    def held(self):
        return {f"{ns}/{name}": value for ns, held in self.informer.store.items() for name, value in held.items()}


@pytest.fixture
async def desk():
    found = Desk()
    yield found
    await found.stop()


async def test_the_list_is_read_then_changes_follow(desk):
    desk.cluster.seed(*(pod(f"p{n}", n=str(n)) for n in range(5)))
    assert not desk.informer.synced.is_set()
    await desk.start()
    assert desk.informer.synced.is_set()
    assert desk.held == {f"shop/p{n}": {"n": str(n)} for n in range(5)}
    assert desk.told == [("Pod", None, {"n": str(n)}) for n in range(5)]
    desk.told.clear()
    desk.cluster.seed(pod("new", "pay", a="b"))
    desk.cluster.edit(target("p0"), lambda obj: obj["metadata"]["labels"].update(n="x"))
    desk.cluster.remove(target("p1"))
    await settle(50)
    assert desk.held == {"pay/new": {"a": "b"}, "shop/p0": {"n": "x"}} | {
        f"shop/p{n}": {"n": str(n)} for n in (2, 3, 4)
    }
    assert desk.told == [("Pod", None, {"a": "b"}), ("Pod", {"n": "0"}, {"n": "x"}), ("Pod", {"n": "1"}, None)]
    assert desk.cluster.calls == {"list": 1, "watch": 1}


async def test_a_change_that_does_not_concern_us_is_not_told(desk):
    desk.cluster.seed(pod("p", a="b"))
    await desk.start()
    desk.told.clear()
    desk.cluster.edit(target("p"), lambda obj: obj.update(status={"phase": "Running"}))
    await settle(50)
    assert desk.told == []


async def test_the_mappings_are_changed_in_place(desk):
    store = desk.informer.store
    desk.cluster.seed(pod("p"))
    await desk.start()
    shop = store["shop"]
    desk.cluster.seed(pod("q"))
    desk.cluster.expire()
    await desk.clock.advance(3)
    assert store is desk.informer.store
    assert shop is store["shop"]
    assert set(shop) == {"p", "q"}
    for name in ("p", "q"):
        desk.cluster.remove(target(name))
    await settle(50)
    assert store == {}


async def test_a_cluster_scoped_kind_is_under_the_empty_namespace_that_is_always_there():
    desk = Desk(kind=kinds.NAMESPACE, project=lambda obj: obj["metadata"]["uid"])
    names = desk.informer.store[""]
    desk.cluster.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "u"}})
    await desk.start()
    assert names == {"shop": "u"}
    desk.cluster.remove(ObjectID("v1", "Namespace", "", "shop"))
    await settle(50)
    assert desk.informer.store == {"": {}}
    assert desk.informer.store[""] is names
    await desk.stop()


async def test_a_watch_from_too_long_ago_reads_the_list_anew_and_tells_what_vanished(desk):
    desk.cluster.seed(pod("stays"), pod("goes"), pod("changes", v="1"))
    await desk.start()
    desk.told.clear()
    desk.cluster.expire()
    desk.cluster._changes.clear()  # nobody can have heard of these by a watch
    desk.cluster.remove(target("goes"))
    desk.cluster.edit(target("changes"), lambda obj: obj["metadata"]["labels"].update(v="2"))
    desk.cluster.seed(pod("comes"))
    desk.cluster.expire()
    await settle(50)
    assert desk.informer.relists == 1
    await desk.clock.advance(2)
    assert desk.informer.relists == 2
    assert set(desk.held) == {"shop/stays", "shop/changes", "shop/comes"}
    assert sorted(desk.told, key=str) == sorted(
        [("Pod", {}, None), ("Pod", {"v": "1"}, {"v": "2"}), ("Pod", None, {})], key=str
    )


async def test_what_a_list_held_before_it_began_anew_does_not_count(desk):
    desk.cluster.seed(pod("stays"), pod("goes"))
    await desk.start()
    stale = await desk.cluster.list(kinds.POD)
    desk.cluster.break_streams()
    desk.cluster.remove(target("goes"))
    desk.cluster._changes.clear()
    fresh = await desk.cluster.list(kinds.POD)

    async def pages(*_):
        yield stale
        yield fresh

    desk.cluster.pages = pages
    desk.cluster.expire()
    await desk.clock.advance(5)
    assert set(desk.held) == {"shop/stays"}


async def test_a_cut_stream_goes_on_where_it_was_without_a_list(desk):
    desk.cluster.seed(pod("p"))
    await desk.start()
    desk.cluster.break_streams()
    desk.cluster.seed(pod("q"))
    await desk.clock.advance(3)
    assert set(desk.held) == {"shop/p", "shop/q"}
    assert desk.cluster.calls == {"list": 1, "watch": 2}


@pytest.mark.parametrize(
    "error",
    [
        Rejected(403, "Forbidden", "no"),
        Rejected(500, "InternalError", "no"),
        Unreachable("gone"),
        Rejected(410, "Expired", ""),
    ],
)
@pytest.mark.parametrize("verbs", [LIST, WATCH], ids=["list", "watch"])
async def test_nothing_is_fatal_and_the_pauses_grow_to_half_a_minute(error, verbs, caplog):
    caplog.set_level(logging.INFO)
    desk = Desk()
    desk.cluster.seed(pod("p"))
    desk.cluster.fail(error, verbs=verbs, times=1_000_000)
    await desk.start()
    await desk.clock.advance(3600)
    tried = desk.cluster.calls[next(iter(verbs))]
    # 3600 s of pauses between 15 and 30 s, after a few shorter ones.
    assert 120 <= tried <= 250
    assert sum("trying on" in message for message in caplog.messages) <= 1
    assert desk.informer.synced.is_set() is (verbs == WATCH)
    desk.cluster.mend()
    await desk.clock.advance(31)
    assert set(desk.held) == {"shop/p"}
    # An idle kind whose watch was opened is followed again, before any event.
    assert desk.informer.problem == ""
    await desk.stop()


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_loop(desk):
    ended = 0

    async def watch(*_):
        nonlocal ended
        ended += 1
        return
        yield

    desk.cluster.watch = watch
    await desk.start()
    await desk.clock.advance(600)
    assert ended < 50


async def test_a_watch_that_ends_in_its_time_is_renewed_at_once(desk):
    opened = []

    async def watch(_kind, version, _selection):
        opened.append((desk.clock.now(), version))
        done = asyncio.Event()
        desk.clock.call_later(300, done.set)
        await done.wait()
        return
        yield

    desk.cluster.watch = watch
    await desk.start()
    await desk.clock.advance(900)
    assert [when for when, _ in opened] == [1000, 1300, 1600, 1900]
    assert desk.informer.relists == 1


async def test_a_forbidden_kind_is_not_synced_and_says_so(desk):
    desk.cluster.fail(Rejected(403, "Forbidden", "pods is forbidden"), verbs=LIST, times=3)
    await desk.start()
    assert not desk.informer.synced.is_set()
    assert "pods is forbidden" in desk.informer.problem
    await desk.clock.advance(60)
    assert desk.informer.synced.is_set()
    assert desk.informer.problem == ""


async def test_an_absent_kind_counts_as_empty_and_appears_when_it_is_woken(desk):
    desk.cluster.absent.add(("", "Pod"))
    await desk.start()
    assert desk.informer.synced.is_set()
    await desk.clock.advance(300)
    assert desk.informer.age < 31
    desk.cluster.absent.clear()
    desk.cluster.seed(pod("p"))
    desk.informer.wake()
    await settle(50)
    assert set(desk.held) == {"shop/p"}


async def test_a_kind_that_is_denied_once_keeps_its_objects_and_loses_them_when_it_stays_away(desk):
    """A server that is just starting may deny kinds that exist; 'gone' has consequences."""
    desk.cluster.seed(pod("p"))
    await desk.start()
    desk.told.clear()
    desk.cluster.absent.add(("", "Pod"))
    desk.cluster.expire()
    await desk.clock.advance(4)
    assert set(desk.held) == {"shop/p"}
    desk.cluster.absent.clear()
    await desk.clock.advance(31)
    desk.cluster.absent.add(("", "Pod"))
    desk.cluster.expire()
    await desk.clock.advance(60)
    assert desk.held == {}
    assert desk.told == [("Pod", {}, None)]


async def test_the_absence_of_a_vital_kind_is_doubted_at_the_start_too():
    """What belongs to segments that do not exist is deleted, and a server that starts may deny them once."""
    desk = Desk(vital=True)
    desk.cluster.seed(pod("p"))
    desk.cluster.absent.add(("", "Pod"))
    await desk.start()
    assert not desk.informer.synced.is_set()
    desk.cluster.absent.clear()
    await desk.clock.advance(4)
    assert desk.informer.synced.is_set()
    assert set(desk.held) == {"shop/p"}
    await desk.stop()


async def test_a_vital_kind_that_stays_away_is_believed_in_the_end():
    desk = Desk(vital=True)
    desk.cluster.absent.add(("", "Pod"))
    await desk.start()
    await desk.clock.advance(20)
    assert desk.informer.synced.is_set()
    await desk.stop()


async def test_age_is_the_time_since_the_server_said_anything(desk):
    await desk.start()
    await desk.clock.advance(50)
    assert desk.informer.age == 50
    desk.cluster.bookmark()
    await settle(50)
    assert desk.informer.age == 0


async def test_an_object_that_could_never_be_read_counts_as_absent_and_stops_nothing(desk, caplog):
    desk.cluster.seed(pod("bad", poison="yes"), pod("good"))
    await desk.start()
    assert set(desk.held) == {"shop/good"}
    assert "Pod shop/bad cannot be read" in caplog.text
    desk.cluster.edit(target("bad"), lambda obj: obj["metadata"]["labels"].pop("poison"))
    await settle(50)
    assert set(desk.held) == {"shop/bad", "shop/good"}


async def test_an_object_that_cannot_be_read_any_more_stays_as_it_was_until_it_goes(desk, caplog):
    desk.cluster.seed(pod("p", app="web"))
    await desk.start()
    told = len(desk.told)
    desk.cluster.edit(target("p"), lambda obj: obj["metadata"]["labels"].update(poison="yes"))
    await settle(50)
    assert desk.held == {"shop/p": {"app": "web"}}
    assert "Pod shop/p cannot be read" in caplog.text
    assert len(desk.told) == told
    desk.cluster.remove(target("p"))
    await settle(50)
    assert desk.held == {}


async def test_a_listener_that_fails_stops_nothing(caplog):
    desk = Desk()

    def fail(*_):
        raise RuntimeError("no ear")

    desk.informer._on_change = fail
    desk.cluster.seed(pod("p"))
    await desk.start()
    desk.cluster.seed(pod("q"))
    await settle(50)
    assert set(desk.held) == {"shop/p", "shop/q"}
    assert "nobody could be told" in caplog.text
    await desk.stop()


async def test_what_was_put_ahead_of_the_watch_is_not_set_back_by_older_news(desk):
    desk.cluster.seed(pod("p", v="1"))
    await desk.start()
    older = desk.cluster.edit(target("p"), lambda obj: obj["metadata"]["labels"].update(v="2"))
    newer = desk.cluster.edit(target("p"), lambda obj: obj["metadata"]["labels"].update(v="3"))
    desk.informer.put(newer)
    desk.told.clear()
    desk.informer.put(older)
    await settle(50)
    assert desk.held == {"shop/p": {"v": "3"}}
    assert desk.told == []


async def test_what_was_put_after_a_list_was_made_survives_that_list(desk):
    desk.cluster.seed(pod("p"))
    await desk.start()
    page = await desk.cluster.list(kinds.POD)

    async def pages(*_):
        yield page

    desk.cluster.pages = pages
    desk.cluster.fail(Unreachable("no watch"), verbs=WATCH, times=1_000_000)
    desk.cluster.expire()
    await settle(50)
    desk.cluster.seed(pod("made"))
    desk.informer.put(desk.cluster.peek(target("made")))
    await desk.clock.advance(3)
    assert desk.informer.relists == 2
    assert set(desk.held) == {"shop/p", "shop/made"}


async def test_a_cluster_put_back_to_an_earlier_state_is_believed(desk):
    desk.cluster.seed(pod("p", v="now"))
    for n in range(5):
        desk.cluster.edit(target("p"), lambda obj, n=n: obj["metadata"]["labels"].update(v=str(n)))
    await desk.start()
    desk.cluster._objects.clear()
    desk.cluster._changes.clear()
    desk.cluster.version = 900
    desk.cluster.seed(pod("p", v="restored"))
    desk.cluster.oldest = 10_000
    desk.cluster._wake()
    await settle(50)
    desk.cluster.oldest = 0
    await desk.clock.advance(3)
    assert desk.held == {"shop/p": {"v": "restored"}}


async def test_without_a_watch_others_bring_the_changes_and_the_list_finds_what_they_missed():
    desk = Desk(relist_every=600)
    desk.cluster.seed(pod("p", v="1"), pod("q"))
    await desk.start()
    assert desk.informer.synced.is_set()
    desk.informer.put(desk.cluster.edit(target("p"), lambda obj: obj["metadata"]["labels"].update(v="2")))
    assert desk.held["shop/p"] == {"v": "2"}
    desk.informer.remove("shop", "q")
    desk.cluster.remove(target("p"))
    desk.cluster.seed(pod("missed"))
    await desk.clock.advance(599)
    assert set(desk.held) == {"shop/p"}
    await desk.clock.advance(2)
    assert set(desk.held) == {"shop/q", "shop/missed"}  # q was never deleted: the list knows better
    assert "watch" not in desk.cluster.calls
    await desk.stop()


async def test_what_a_list_had_no_more_is_not_brought_back_by_somebody_who_read_an_older_one():
    """A list of ours may overtake the first list of those who bring the changes."""
    desk = Desk(relist_every=600)
    desk.cluster.seed(pod("p"))
    older = (await desk.cluster.list(kinds.POD)).items[0]
    desk.cluster.remove(target("p"))
    await desk.start()
    desk.informer.put(older)
    assert desk.held == {}
    desk.informer.remove("shop", "p", str(desk.cluster.version))
    desk.cluster.seed(pod("p", v="2"))
    desk.informer.put(desk.cluster.peek(target("p")))
    assert desk.held == {"shop/p": {"v": "2"}}
    await desk.stop()


async def test_the_last_of_several_deletions_counts_however_they_come():
    """Two lives of one name are told by two workers, and a list of the second one may be under way."""
    desk = Desk(relist_every=600)
    desk.cluster.seed(pod("p"))
    held = (await desk.cluster.list(kinds.POD)).items[0]
    page = await desk.cluster.list(kinds.POD)

    async def pages(*_):
        yield page._replace(items=[])
        desk.informer.remove("shop", "p", str(desk.cluster.version + 2))
        desk.informer.remove("shop", "p", str(desk.cluster.version - 1))
        yield page._replace(items=[held], first=False)

    desk.cluster.pages = pages
    await desk.start()
    assert desk.held == {}
    await desk.stop()


async def test_what_was_removed_while_a_list_was_under_way_stays_removed():
    desk = Desk(relist_every=600)
    desk.cluster.seed(pod("p"))
    held = (await desk.cluster.list(kinds.POD)).items[0]
    page = await desk.cluster.list(kinds.POD)

    async def pages(*_):
        yield page._replace(items=[])
        desk.informer.put(held)
        desk.informer.remove("shop", "p", str(desk.cluster.version + 1))
        yield page._replace(first=False)

    desk.cluster.pages = pages
    await desk.start()
    assert desk.held == {}
    await desk.stop()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("seed"), st.sampled_from("abcd")),
        st.tuples(st.just("edit"), st.sampled_from("abcd")),
        st.tuples(st.just("remove"), st.sampled_from("abcd")),
        st.tuples(st.sampled_from(["expire", "break_streams", "bookmark"]), st.just("")),
        st.tuples(st.just("advance"), st.sampled_from(["0.1", "2", "40"])),
        st.tuples(st.sampled_from(["fail_list", "fail_watch"]), st.just("")),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.booleans())
def test_in_the_end_the_store_is_what_the_cluster_holds_and_what_was_told_adds_up(plan, metadata_only):
    async def play():
        desk = Desk(selection=Selection(metadata_only=metadata_only))
        await desk.start()
        for count, (step, what) in enumerate(plan):
            known = desk.cluster.peek(target(what)) if what else None
            if step == "seed" and not known:
                desk.cluster.seed(pod(what, v=str(count)))
            elif step == "edit" and known:
                desk.cluster.edit(target(what), lambda obj, v=count: obj["metadata"]["labels"].update(v=str(v)))
            elif step == "remove" and known:
                desk.cluster.remove(target(what))
            elif step == "advance":
                await desk.clock.advance(float(what))
            elif step in {"fail_list", "fail_watch"}:
                desk.cluster.fail(Unreachable("no"), verbs=LIST if step == "fail_list" else WATCH)
            elif step in {"expire", "break_streams", "bookmark"}:
                getattr(desk.cluster, step)()
        await desk.clock.advance(120)
        await settle(50)
        held = {f"shop/{obj['metadata']['name']}": obj["metadata"]["labels"] for obj in desk.cluster.objects("Pod")}
        assert desk.held == held
        appeared = sum(old is None for _, old, _ in desk.told)
        vanished = sum(new is None for _, _, new in desk.told)
        assert appeared - vanished == len(held)
        assert all(old != new for _, old, new in desk.told)
        await desk.stop()

    asyncio.run(play())
