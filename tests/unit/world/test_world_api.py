"""The API client against a server on loopback: paging, expiry, dropped streams, credentials, patience."""

import asyncio
import json

import pytest
from aiohttp import web

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.world import kinds
from pipesegment.world.clock import ManualClock
from pipesegment.world.port import Selection
from tests.unit.world.apiserver import client, event, no, ok, page, serving, stream

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "shop", "build")
OBJECT = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "build", "namespace": "shop"},
    "spec": {"podSelector": {}},
}


async def test_a_list_is_read_in_pages_and_names_the_kind_of_every_item(tmp_path):
    answers = page("a", "b", token="more"), page("c", version="100")
    async with serving(tmp_path, *answers) as script, client(script, page_size=2) as api:
        found = await api.list(kinds.NETWORK_POLICY, Selection(namespace="shop", labels="x=y"))
    assert [item["metadata"]["name"] for item in found.items] == ["a", "b", "c"]
    assert {(item["apiVersion"], item["kind"]) for item in found.items} == {("networking.k8s.io/v1", "NetworkPolicy")}
    assert found.resource_version == "100"
    first, second = script.calls
    assert first.path == "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    assert first.query == {"limit": "2", "labelSelector": "x=y"}
    assert second.query == {"limit": "2", "labelSelector": "x=y", "continue": "more"}


async def test_a_list_that_expires_between_pages_starts_anew_and_forgets_what_it_had(tmp_path):
    answers = page("gone", token="old"), no(410, "Expired"), page("a", token="new"), page("b")
    async with serving(tmp_path, *answers) as script, client(script) as api:
        pages = [found async for found in api.pages(kinds.POD)]
        assert [(found.items[0]["metadata"]["name"], found.first) for found in pages] == [
            ("gone", True),
            ("a", True),
            ("b", False),
        ]
        script.answers[:] = [page("gone", token="old"), no(410, "Expired"), page("a", token="new"), page("b")]
        assert [item["metadata"]["name"] for item in (await api.list(kinds.POD)).items] == ["a", "b"]


async def test_a_list_that_always_expires_is_asked_for_in_one_piece(tmp_path):
    async def answer(request: web.Request) -> web.StreamResponse:
        if "continue" in request.query:
            return no(410, "Expired")
        return page("a", token="" if request.query["limit"] == "0" else "old")

    async with serving(tmp_path, answer) as script, client(script) as api:
        assert len((await api.list(kinds.POD)).items) == 1
    assert [call.query["limit"] for call in script.calls if "continue" not in call.query] == ["500", "500", "500", "0"]


async def test_a_410_on_the_first_page_is_an_error(tmp_path):
    async with serving(tmp_path, no(410, "Expired")) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            await api.list(kinds.POD)
    assert caught.value.status == 410


async def test_metadata_alone_is_asked_for_by_the_accept_header(tmp_path):
    selection = Selection(metadata_only=True)
    async with serving(tmp_path, page("a"), stream()) as script, client(script) as api:
        found = await api.list(kinds.POD, selection)
        assert [e.type async for e in api.watch(kinds.POD, "1", selection)] == ["OPENED"]
    assert found.items[0]["kind"] == "Pod"
    accepts = [call.headers["Accept"] for call in script.calls]
    assert accepts == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]


async def test_a_watch_gives_events_and_bookmarks_however_the_bytes_are_cut(tmp_path):
    whole = event("ADDED", "a", "11") + event("BOOKMARK", "", "12") + event("DELETED", "a", "13")
    pieces = [whole[i : i + 7] for i in range(0, len(whole), 7)]
    async with serving(tmp_path, stream(*pieces)) as script, client(script, watch_seconds=300) as api:
        events = [e async for e in api.watch(kinds.POD, "10")]
    assert [(e.type, e.object["metadata"]["resourceVersion"]) for e in events] == [
        ("OPENED", "10"),
        ("ADDED", "11"),
        ("BOOKMARK", "12"),
        ("DELETED", "13"),
    ]
    query = script.calls[0].query
    assert 255 <= int(query.pop("timeoutSeconds")) <= 345
    assert query == {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "10"}


async def test_a_watch_line_longer_than_any_buffer_arrives_whole(tmp_path):
    line = event("ADDED", "big", "11", data="x" * 3_000_000)
    async with serving(tmp_path, stream(line)) as script, client(script) as api:
        events = [e async for e in api.watch(kinds.POD, "10")]
    assert len(events[1].object["data"]) == 3_000_000


@pytest.mark.parametrize("inside", [True, False], ids=["as an event", "as the answer"])
async def test_a_watch_from_too_long_ago_is_410(tmp_path, inside):
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    line = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
    answer = stream(line) if inside else no(410, "Expired")
    async with serving(tmp_path, answer) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            [e async for e in api.watch(kinds.POD, "10")]
    assert (caught.value.status, caught.value.reason) == (410, "Expired")


async def test_a_dropped_stream_is_unreachable_after_what_it_brought(tmp_path):
    async def cut(request: web.Request) -> None:
        request.transport.abort()

    async with serving(tmp_path, stream(event("ADDED", "a", "11"), then=cut)) as script, client(script) as api:
        events = api.watch(kinds.POD, "10")
        assert (await anext(events)).type == "OPENED"
        assert (await anext(events)).type == "ADDED"
        with pytest.raises(Unreachable) as caught:
            await anext(events)
    assert not isinstance(caught.value, Rejected)


async def test_a_silent_stream_is_given_up(tmp_path):
    silent = asyncio.Event()

    async def wait(_request: web.Request) -> None:
        await silent.wait()

    async with serving(tmp_path, stream(event("ADDED", "a", "11"), then=wait)) as script:
        # The least that Settings allow is a second of silence.
        async with client(script, watch_silence=1.0) as api:
            with pytest.raises(Unreachable, match="Timeout"):
                async with asyncio.timeout(10):
                    [e async for e in api.watch(kinds.POD, "10")]
        silent.set()


async def test_apply_is_a_strict_forced_apply_patch_of_json_by_our_field_manager(tmp_path):
    answer = ok({**OBJECT, "metadata": {**OBJECT["metadata"], "uid": "u"}}, 201)
    async with serving(tmp_path, answer) as script, client(script) as api:
        live = await api.apply(OBJECT)
        await api.apply(OBJECT, dry_run=True, force=False)
        await api.patch_status({**OBJECT, "status": {"x": 1}})
    assert live["metadata"]["uid"] == "u"
    first, second, third = script.calls
    assert (first.method, first.path) == ("PATCH", "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/build")
    assert first.headers["Content-Type"] == "application/apply-patch+yaml"
    assert first.body == OBJECT
    strict = {"fieldManager": "pipesegment", "fieldValidation": "Strict"}
    assert first.query == {**strict, "force": "true"}
    assert second.query == {**strict, "force": "false", "dryRun": "All"}
    assert third.path.endswith("/networkpolicies/build/status")
    assert third.query == {**strict, "force": "true"}


async def test_a_namesake_of_the_object_that_is_meant_is_a_conflict_and_not_an_invalid_object(tmp_path):
    """A real API server says 422 there: metadata.uid is immutable."""
    meant = {**OBJECT, "metadata": {**OBJECT["metadata"], "uid": "meant"}}
    other = {**OBJECT, "metadata": {**OBJECT["metadata"], "uid": "other"}}
    answers = no(422, "Invalid"), ok(other), no(422, "Invalid"), ok(meant), no(422, "Invalid")
    async with serving(tmp_path, *answers) as script, client(script) as api:
        for obj, status in ((meant, 409), (meant, 422), (OBJECT, 422)):
            with pytest.raises(Rejected) as caught:
                await api.apply(obj)
            assert caught.value.status == status


async def test_delete_carries_its_preconditions_and_tells_gone_from_deleted(tmp_path):
    answers = ok({"kind": "Status"}), no(404, "NotFound"), no(409, "Conflict")
    async with serving(tmp_path, *answers) as script, client(script) as api:
        assert await api.delete(POLICY, uid="u1", resource_version="7") is True
        assert await api.delete(POLICY, uid="u1", propagation="Orphan") is False
        with pytest.raises(Rejected, match="409 Conflict"):
            await api.delete(POLICY, uid="u1")
    options = [call.body for call in script.calls]
    assert options[0]["preconditions"] == {"uid": "u1", "resourceVersion": "7"}
    assert options[0]["propagationPolicy"] == "Background"
    assert options[1]["preconditions"] == {"uid": "u1"}
    assert options[1]["propagationPolicy"] == "Orphan"


async def test_get_gives_none_for_what_is_not_there(tmp_path):
    async with (
        serving(tmp_path, ok(OBJECT), no(404, "NotFound"), no(403, "Forbidden")) as script,
        client(script) as api,
    ):
        assert await api.get(POLICY) == OBJECT
        assert await api.get(POLICY) is None
        with pytest.raises(Rejected, match="403 Forbidden"):
            await api.get(POLICY)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a%2fb"])
async def test_a_name_cannot_lead_to_another_path(tmp_path, name):
    async with serving(tmp_path, ok(OBJECT)) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            await api.get(POLICY._replace(name=name))
    assert caught.value.status == 400
    assert script.calls == []


async def test_an_unknown_kind_is_discovered_once(tmp_path):
    resources = [
        {"name": "widgets/status", "kind": "Widget", "namespaced": True},
        {"name": "widgets", "kind": "Widget", "namespaced": False},
    ]
    widget = ObjectID("example.com/v1", "Widget", "", "w")
    async with serving(tmp_path, ok({"resources": resources}), ok({"kind": "Widget"})) as script, client(script) as api:
        await api.get(widget)
        await api.get(widget)
        assert [call.path for call in script.calls] == [
            "/apis/example.com/v1",
            "/apis/example.com/v1/widgets/w",
            "/apis/example.com/v1/widgets/w",
        ]
        script.answers[:] = [ok({"resources": []})]
        with pytest.raises(Rejected, match="knows no kind Gadget"):
            await api.kind_of("example.com/v1", "Gadget")


async def test_a_refusal_says_status_reason_and_a_message_that_forges_no_log_line(tmp_path):
    answer = no(422, "Invalid", "line one\nline two" + "x" * 500)
    async with serving(tmp_path, answer) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            await api.apply(OBJECT)
    error = caught.value
    assert (error.status, error.reason, len(error.message)) == (422, "Invalid", 256)
    assert error.message.startswith("line one line two")


async def test_a_refusal_that_is_no_status_object_is_told_all_the_same(tmp_path):
    async with serving(tmp_path, web.Response(text="bad gateway", status=502)) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            await api.get(POLICY)
    assert (caught.value.status, caught.value.message) == (502, "bad gateway")


async def test_an_answer_that_is_not_json_is_unreachable_not_a_crash(tmp_path):
    async with serving(tmp_path, web.Response(text="<html>")) as script, client(script) as api:
        with pytest.raises(Unreachable, match="not JSON"):
            await api.get(POLICY)


async def test_nobody_listening_is_unreachable(tmp_path):
    async with serving(tmp_path, ok({})) as script:
        pass
    seen = []
    async with client(script, observe=lambda *call: seen.append(call[:3])) as api:
        with pytest.raises(Unreachable, match="get NetworkPolicy") as caught:
            await api.get(POLICY)
    assert "ssl:" not in str(caught.value)
    assert seen == [("get", "NetworkPolicy", 0)]


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for_and_then_obeyed_again(tmp_path, status):
    clock = ManualClock()
    busy = no(status, "Busy", **{"Retry-After": "4"})
    async with serving(tmp_path, busy, busy, ok(OBJECT)) as script, client(script, clock=clock) as api:
        call = asyncio.create_task(api.apply(OBJECT))
        for expected in (1, 2):
            await script.called(expected)
            await clock.armed()
            await clock.advance(3.0)
            assert len(script.calls) == expected
            # The pause is what was asked for and up to a fifth more.
            await clock.advance(1.9)
        assert await call == OBJECT


async def test_a_server_that_stays_busy_or_asks_for_too_long_is_reported_with_what_it_asked(tmp_path):
    async with serving(tmp_path, no(429, "TooManyRequests", **{"Retry-After": "0"})) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            await api.apply(OBJECT)
        assert len(script.calls) == 4
        assert caught.value.retry_after == 0
        script.answers[:] = [no(429, "TooManyRequests", **{"Retry-After": "60"})]
        with pytest.raises(Rejected) as caught:
            await api.apply(OBJECT)
        assert len(script.calls) == 5
        assert caught.value.retry_after == 60


async def test_an_interrupted_create_is_not_repeated_after_a_503(tmp_path):
    async with serving(tmp_path, no(503, "Unavailable", **{"Retry-After": "0"})) as script, client(script) as api:
        with pytest.raises(Rejected):
            await api.create(OBJECT)
    assert len(script.calls) == 1


async def test_no_more_writes_than_allowed_are_under_way_and_the_lease_does_not_queue_behind_them(tmp_path):
    release, running, most = asyncio.Event(), 0, 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal running, most
        if request.method == "PUT":
            return ok(OBJECT)
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        return ok(OBJECT)

    async with serving(tmp_path, answer) as script, client(script, writes_in_flight=3) as api:
        writes = [asyncio.create_task(api.apply(OBJECT)) for _ in range(8)]
        await script.called(3)
        assert await api.replace(OBJECT) == OBJECT
        release.set()
        await asyncio.gather(*writes)
    assert most == 3


async def test_every_exchange_is_observed_with_its_code(tmp_path):
    seen = []
    answers = no(429, "Busy", **{"Retry-After": "0"}), ok(OBJECT), page("a"), stream()
    async with serving(tmp_path, *answers) as script, client(script, observe=lambda *call: seen.append(call)) as api:
        await api.apply(OBJECT)
        await api.list(kinds.POD)
        [e async for e in api.watch(kinds.POD, "1")]
    assert [call[:3] for call in seen] == [
        ("apply", "NetworkPolicy", 429),
        ("apply", "NetworkPolicy", 200),
        ("list", "Pod", 200),
        ("watch", "Pod", 200),
    ]
    assert all(0 <= seconds < 5 for *_, seconds in seen)


async def test_an_event_that_cannot_be_posted_disturbs_nobody(tmp_path, caplog):
    posted = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "shop"}}
    async with serving(tmp_path, no(403, "Forbidden")) as script, client(script) as api:
        await api.post_event(posted)
    assert script.calls[0].path == "/apis/events.k8s.io/v1/namespaces/shop/events"
    assert "an Event was lost" in caplog.text


async def test_review_asks_for_ourselves(tmp_path):
    answers = ok({"status": {"allowed": True}}, 201), ok({"status": {"allowed": False}}, 201)
    async with serving(tmp_path, *answers) as script, client(script) as api:
        assert await api.review("patch", kinds.SEGMENT, subresource="status") is True
        assert await api.review("list", kinds.POD, namespace="shop") is False
    assert script.calls[0].body["spec"] == {
        "resourceAttributes": {
            "verb": "patch",
            "group": "pipesegment.dev",
            "resource": "pipelinesegments",
            "subresource": "status",
        }
    }


async def test_a_redirect_is_not_followed_with_our_token(tmp_path):
    answer = web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})
    async with serving(tmp_path, answer) as script, client(script) as api:
        with pytest.raises(Rejected) as caught:
            await api.get(POLICY)
    assert caught.value.status == 302


async def test_a_pods_log_is_text_and_a_refusal_is_one(tmp_path):
    target = ObjectID("v1", "Pod", "shop", "probe")
    log = web.Response(body=b'{"answers": []}\n\xff', content_type="text/plain")
    async with serving(tmp_path, log, no(403, "Forbidden")) as script, client(script) as api:
        assert await api.log(target, "main") == '{"answers": []}\n\ufffd'
        with pytest.raises(Rejected, match="403"):
            await api.log(target, "main")
    assert (script.calls[0].path, script.calls[0].query) == (
        "/api/v1/namespaces/shop/pods/probe/log",
        {"container": "main"},
    )
