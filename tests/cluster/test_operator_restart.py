"""What the operator does about ends: its own, gentle and sudden, the API server's, and a namespace's."""

import asyncio
import json
import subprocess
import sys

import pytest

from tests.cluster.gateway import Gateway
from tests.cluster.operator import (
    POLICY,
    ROOT,
    VERSION,
    is_ready,
    network_policy,
    owned,
    segment,
    segment_class,
    settled,
    stage,
    to_cidr,
)

#: So short that a successor need not wait long for a leader that was killed.
SHORT_LEASE = {"lease_duration": 8, "lease_renew": 6.5, "lease_retry": 0.3, "lease_timeout": 3}
#: So long that a leader outlives an API server that is restarted on a busy machine.
LONG_LEASE = {"lease_duration": 90, "lease_renew": 80}


def small(name, namespace):
    return segment(name, namespace, stage("build", to_cidr("198.51.100.0/24", 443)))


async def apply_all(api, objects):
    """Apply many objects, some at a time."""
    gate = asyncio.Semaphore(16)

    async def one(obj):
        async with gate:
            await api.apply(obj)

    await asyncio.gather(*map(one, objects))


async def all_ready(api, namespace, number, within=90.0):
    await api.wait_list(
        VERSION,
        "PipelineSegment",
        namespace,
        until=lambda found: sum(map(is_ready(), found.values())) == number,
        within=within,
    )


async def looked(operator, number):
    """Wait until so many keys were looked at; the metrics offer nothing to wait on."""
    async with asyncio.timeout(60):
        while operator.metric("reconcile_seconds_count") < number:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)


async def until(holds, within=30.0):
    """Wait for what only the audit log or the metrics can tell."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - a file and a port offer nothing to wait on
            await asyncio.sleep(0.1)


@pytest.fixture
async def crowd(operators, installed, namespaces, api):
    """An operator that has converged 50 segments, a class that isolates them and a grant that one of them uses.

    Gives the operator, the two namespaces and what to look for in the audit log.
    """
    first = operators().start()
    label = f"lab.example.com/{(await namespaces('label'))[-8:]}"
    ci, prod = [await namespaces(name, labels={label: "yes"}) for name in ("ci", "prod")]
    isolating = segment_class(
        label.partition("/")[2], label, network={"isolation": {"mode": "Namespace"}}, mesh={"provider": "None"}
    )
    await api.apply(isolating)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "api", "namespace": prod},
        "spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    grant = {
        "apiVersion": VERSION,
        "kind": "SegmentGrant",
        "metadata": {"name": "deploy", "namespace": prod},
        "spec": {"from": [{"namespace": ci}], "to": {"service": {"name": "api"}}},
    }
    deploy = segment("deploy", ci, stage("deploy", {"service": {"name": "api", "namespace": prod}}))
    await apply_all(api, [service, grant, deploy, *(small(f"shop-{n:02}", ci) for n in range(49))])
    await all_ready(api, ci, 50)
    await api.wait(*POLICY, "pipesegment-default-deny", ci)
    await api.wait(VERSION, "SegmentGrant", "deploy", prod, until=lambda obj: obj.get("status", {}).get("covered") == 1)
    name = isolating["metadata"]["name"]
    await api.wait(
        VERSION, "SegmentClass", name, until=lambda obj: obj.get("status", {}).get("segments") == 50, within=60
    )
    yield first, (ci, prod), {ci, prod, name}
    await api.delete(VERSION, "SegmentClass", name)


def touched(record, places):
    """Give the operator's writes in some namespaces and to some class, without Events."""
    return [
        f"{event.verb} {event.resource} {event.subresource} {event.namespace}/{event.name}"
        for event in record.writes()
        if (event.namespace or event.name) in places
    ]


@pytest.mark.cluster("audit")
async def test_a_restart_writes_what_was_edited_meanwhile_and_nothing_else(crowd, api, record_from_here):
    """With everything in place not an object, a status or an Event; after an edit that object and what tells of it."""
    operator, (ci, _), places = crowd
    operator.terminate()
    assert operator.ended() == 0
    before = await owned(api, ci)

    record = record_from_here()
    operator.start()
    # 50 segments, a grant, a class.
    await looked(operator, 52)
    await settled(api, "shop-00", ci)

    assert touched(record, places) == []
    after = await owned(api, ci)
    assert {key: obj["metadata"]["resourceVersion"] for key, obj in after.items()} == {
        key: obj["metadata"]["resourceVersion"] for key, obj in before.items()
    }

    operator.terminate()
    assert operator.ended() == 0
    await api.patch(*POLICY, "shop-07-build", {"spec": {"egress": [{}]}}, ci)
    await api.delete("v1", "ServiceAccount", "shop-08-build", ci)

    record = record_from_here()
    operator.start()
    await api.wait(
        *POLICY, "shop-07-build", ci, until=lambda obj: obj["spec"] == before[POLICY[1], "shop-07-build"]["spec"]
    )
    await api.wait("v1", "ServiceAccount", "shop-08-build", ci)
    await looked(operator, 52)
    await until(lambda: sum("events" in call for call in touched(record, places)) == 2)

    written = [call for call in touched(record, places) if "events" not in call]
    assert sorted(written) == [
        f"patch networkpolicies.networking.k8s.io  {ci}/shop-07-build",
        # A new uid for the inventory.
        f"patch pipelinesegments.pipesegment.dev status {ci}/shop-08",
        f"patch serviceaccounts  {ci}/shop-08-build",
    ]


async def test_killed_in_the_middle_of_200_segments_the_next_one_finishes(operators, plain, namespaces, api, tmp_path):
    """What exists in the end is exactly what `pipesegment compile` prints."""
    namespace = await namespaces("ci", labels=plain)
    first = operators(**SHORT_LEASE).start()
    segments = [small(f"shop-{n:03}", namespace) for n in range(200)]

    creating = asyncio.create_task(apply_all(api, segments))
    await api.wait_list(*POLICY, namespace, until=lambda found: len(found) >= 40)
    first.kill()
    await creating
    unfinished = await owned(api, namespace)
    assert len(unfinished) < 400

    operators(**SHORT_LEASE).start()
    await all_ready(api, namespace, 200, within=120)

    expected = compiled(segments, namespace, plain, tmp_path)
    found = await owned(api, namespace)
    assert {(kind, namespace, name) for kind, name in found} == expected
    assert len(expected) == 400
    survived = {key for key, obj in unfinished.items() if found[key]["metadata"]["uid"] == obj["metadata"]["uid"]}
    assert survived == set(unfinished)


def compiled(segments, namespace, labels, folder):
    """Give kind, namespace and name of everything that `pipesegment compile` prints."""
    facts = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
        segment_class("lab-plain", *labels, mesh={"provider": "None"}),
    ]
    for name, documents in (("segments", segments), ("facts", facts)):
        (folder / f"{name}.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    printed = subprocess.run(
        [
            *(sys.executable, "-m", "pipesegment", "compile", "-o", "json"),
            *("-f", str(folder / "segments.json"), "--facts", str(folder / "facts.json")),
        ],
        env={"PYTHONPATH": str(ROOT / "operator"), "PATH": ""},
        capture_output=True,
        check=True,
        text=True,
    )
    items = json.loads(printed.stdout)["items"]
    return {(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in items}


@pytest.mark.cluster("controllers", "audit")
async def test_a_namespace_that_is_going_is_let_go(operators, plain, namespaces, api, record_from_here):
    """Nothing is made anew in it, its neighbours go on, and its successor of the same name starts afresh."""
    operator = operators().start()
    stuck, reborn, alive = [await namespaces(name, labels=plain) for name in ("stuck", "reborn", "alive")]
    holder = {"name": "holder", "namespace": stuck, "finalizers": ["lab.example.com/hold"]}
    await api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": holder})
    await apply_all(api, [small("shop", namespace) for namespace in (stuck, reborn, alive)])
    for namespace in (stuck, reborn, alive):
        await settled(api, "shop", namespace)

    record = record_from_here()
    for namespace in (stuck, reborn):
        await api.delete("v1", "Namespace", namespace)
    for namespace in (stuck, reborn):
        await api.wait_gone(VERSION, "PipelineSegment", "shop", namespace)
        await api.wait_list(*POLICY, namespace, until=lambda found: not found)
    await api.delete(*POLICY, "shop-build", alive)
    await api.wait(*POLICY, "shop-build", alive)

    tried = [event for event in record.calls(verbs={"patch"}) if event.namespace in {stuck, reborn}]
    assert [event.name for event in tried if not event.subresource] == []
    await api.patch("v1", "ConfigMap", "holder", {"metadata": {"finalizers": None}}, stuck)

    await api.wait_gone("v1", "Namespace", reborn)
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": reborn, "labels": plain}})
    await api.apply(small("shop", reborn))
    await settled(api, "shop", reborn)
    assert operator.alive


@pytest.mark.cluster("restart")
async def test_a_restarted_api_server_is_followed_again(operators, plain, namespaces, api, installed):
    """The same process goes on, and sees what happens from then on."""
    operator = operators(**LONG_LEASE).start()
    namespace = await namespaces("ci", labels=plain)
    await api.apply(small("shop", namespace))
    await settled(api, "shop", namespace)

    with installed.apiserver_down():
        # Its watches end, and it says so.
        await asyncio.to_thread(operator.wait, "/readyz", 503)
    await asyncio.to_thread(operator.wait, "/readyz", 200)
    operators.forgive()

    await api.delete(*POLICY, "shop-build", namespace)
    await api.wait(*POLICY, "shop-build", namespace, within=60)
    await api.apply(segment("shop", namespace, stage("test")))
    await api.wait_gone(*POLICY, "shop-build", namespace, within=60)
    await api.apply(network_policy("foreign", namespace, egress=[{}], policyTypes=["Egress"]))
    await api.wait(
        VERSION,
        "PipelineSegment",
        "shop",
        namespace,
        until=lambda obj: any(c["reason"] == "Widened" for c in obj["status"]["conditions"]),
    )
    assert operator.alive


async def test_watches_that_expire_are_begun_anew_and_nothing_is_missed(
    operators, plain, namespaces, api, installed, tmp_path
):
    """After a 410 the lists tell what was made, changed and deleted while no event came through: segments and objects."""
    namespace = await namespaces("ci", labels=plain)
    async with Gateway(installed.admin).running() as gateway:
        operator = operators(gateway.kubeconfig(operators.kubeconfig, tmp_path)).start()
        await apply_all(api, [small(name, namespace) for name in ("changed", "deleted", "opened")])
        for name in ("changed", "deleted", "opened"):
            await settled(api, name, namespace)
        await until(lambda: operator.metric("segments") >= 3)
        watches = gateway.watches

        gateway.hold()
        await api.apply(segment("changed", namespace, stage("build"), stage("test")))
        await api.delete(VERSION, "PipelineSegment", "deleted", namespace)
        await api.wait_gone(VERSION, "PipelineSegment", "deleted", namespace)
        await api.patch(*POLICY, "opened-build", {"spec": {"egress": [{}]}}, namespace)
        await api.apply(small("made", namespace))
        gateway.expire()

        await settled(api, "changed", namespace)
        await settled(api, "made", namespace)
        await api.wait(*POLICY, "opened-build", namespace, until=lambda obj: obj["spec"]["egress"] != [{}])
        # The deleted one is forgotten. Segments of earlier tests may still be on their way out of the cluster.
        async with asyncio.timeout(30):
            while operator.metric("segments") != len(await api.objects(VERSION, "PipelineSegment")):  # noqa: ASYNC110 - a port
                await asyncio.sleep(0.1)
        await api.wait_gone(*POLICY, "deleted-build", namespace)
        assert {name for kind, name in await owned(api, namespace) if kind == "NetworkPolicy"} == {
            *("changed-build", "changed-test", "made-build", "opened-build"),
        }
        assert operator.alive
        assert gateway.watches > watches
        await asyncio.to_thread(operator.stop)
