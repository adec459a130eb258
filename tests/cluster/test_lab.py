"""The lab is what the other cluster tests believe it to be: a real API server with rights, controllers and a record."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from lab import cluster, external
from lab.api import ApiError
from lab.controlplane import Feature, Options, start
from lab.errors import LabError, UnsupportedError

ROOT = Path(__file__).parents[2]


def config_map(name, namespace, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, **metadata}}


def pod(name, namespace, **metadata):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            # The namespace controller looks again after half of it.
            "terminationGracePeriodSeconds": 1,
            "initContainers": [{"name": "prepare", "image": "registry.example.com/prepare:1"}],
            "containers": [{"name": "main", "image": "registry.example.com/main:1"}],
        },
    }


def running(obj):
    return obj.get("status", {}).get("phase") == "Running"


@pytest.mark.cluster("audit")
async def test_a_service_account_without_rights_is_denied_and_the_audit_log_says_so(control_plane, namespaces, api):
    namespace = await namespaces()
    await api.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "poor", "namespace": namespace}}
    )
    before = control_plane.audit_position()

    async with control_plane.api(control_plane.access(service_account=(namespace, "poor"))) as poor:
        with pytest.raises(ApiError) as refusal:
            await poor.get("v1", "ConfigMap", "kube-root-ca.crt", namespace)

    assert refusal.value.status == 403
    user = f"system:serviceaccount:{namespace}:poor"
    denied = control_plane.audit_events(since=before, denied=True, user=user)
    assert [(event.verb, event.resource, event.namespace, event.code) for event in denied] == [
        ("get", "configmaps", namespace, 403)
    ]


@pytest.mark.cluster("users", "audit")
async def test_a_user_has_exactly_the_rights_of_the_role_bound_to_the_group(control_plane, namespaces, api, kubectl):
    namespace = await namespaces()
    kubectl("create", "rolebinding", "readers", "--clusterrole=view", "--group=lab:readers", "--namespace", namespace)
    kubeconfig = control_plane.kubeconfig_for(user="ada@example.com", groups=["lab:readers"])
    before = control_plane.audit_position()

    assert "kube-root-ca.crt" in kubectl("get", "configmaps", "--namespace", namespace, kubeconfig=kubeconfig)
    with pytest.raises(LabError, match="forbidden"):
        kubectl("create", "configmap", "mine", "--namespace", namespace, kubeconfig=kubeconfig)

    asked = control_plane.audit_events(since=before, user="ada@example.com", namespace=namespace)
    assert [(event.verb, event.denied) for event in asked] == [("list", False), ("create", True)]


@pytest.mark.cluster("audit")
async def test_the_audit_log_counts_writes_and_only_those_after_the_position(control_plane, namespaces, api):
    namespace = await namespaces()
    await api.apply(config_map("early", namespace))
    before = control_plane.audit_position()
    await api.apply(config_map("late", namespace))
    await api.get("v1", "ConfigMap", "late", namespace)

    written = [event for event in control_plane.audit_events(since=before, namespace=namespace) if event.write]

    assert [(event.verb, event.name) for event in written] == [("patch", "late")]


@pytest.mark.cluster("pods")
async def test_pods_become_running_with_addresses_of_their_own_and_go_when_deleted(namespaces, api):
    namespace = await namespaces()
    for name in ("one", "two"):
        await api.create(pod(name, namespace))

    found = await api.wait_list(
        "v1", "Pod", namespace, until=lambda pods: len(pods) == 2 and all(map(running, pods.values()))
    )

    addresses = {obj["status"]["podIP"] for obj in found}
    assert len(addresses) == 2
    assert all(address.startswith("10.244.") for address in addresses)
    assert {condition["type"] for condition in found[0]["status"]["conditions"]} >= {"Ready", "PodScheduled"}
    assert "running" in found[0]["status"]["containerStatuses"][0]["state"]
    assert "terminated" in found[0]["status"]["initContainerStatuses"][0]["state"]
    await api.delete("v1", "Pod", "one", namespace)
    await api.wait_gone("v1", "Pod", "one", namespace)


@pytest.mark.cluster("pods", "controllers")
async def test_a_service_finds_the_running_pods_that_it_selects(namespaces, api):
    namespace = await namespaces()
    labels = {"app": "shop"}
    service = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    await api.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": namespace}, "spec": service}
    )
    await api.create(pod("shop", namespace, labels=labels))

    address = (await api.wait("v1", "Pod", "shop", namespace, until=running))["status"]["podIP"]

    def names_it(slices):
        return any(address in end["addresses"] for obj in slices.values() for end in obj["endpoints"] or ())

    await api.wait_list(
        "discovery.k8s.io/v1", "EndpointSlice", namespace, labels="kubernetes.io/service-name=shop", until=names_it
    )


@pytest.mark.cluster("controllers")
async def test_the_deletion_of_a_namespace_with_pods_in_it_finishes(namespaces, api, control_plane):
    namespace = await namespaces()
    if Feature.PODS in control_plane.features:
        await api.create(pod("one", namespace))
        await api.wait("v1", "Pod", "one", namespace, until=running)
    await api.apply(config_map("thing", namespace))

    await api.delete("v1", "Namespace", namespace)

    await api.wait_gone("v1", "Namespace", namespace)
    assert await api.objects("v1", "ConfigMap", namespace) == []


@pytest.mark.cluster("controllers")
async def test_an_owned_object_goes_with_its_owner(namespaces, api):
    namespace = await namespaces()
    owner = await api.apply(config_map("owner", namespace))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await api.apply(config_map("owned", namespace, ownerReferences=[reference]))
    await api.apply(config_map("free", namespace))

    await api.delete("v1", "ConfigMap", "owner", namespace)

    await api.wait_gone("v1", "ConfigMap", "owned", namespace)
    assert await api.get("v1", "ConfigMap", "free", namespace)


@pytest.mark.cluster("controllers")
async def test_aggregated_cluster_roles_are_filled(namespaces, api, kubectl):
    label = f"{await namespaces()}.example.com/aggregate"
    part = {"rules": [{"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}]}
    selectors = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    name = label.partition(".")[0]
    try:
        await api.apply(role | {"metadata": {"name": name}, "aggregationRule": selectors})
        await api.apply(role | {"metadata": {"name": f"{name}-part", "labels": {label: "true"}}} | part)

        filled = await api.wait(role["apiVersion"], "ClusterRole", name, until=lambda obj: obj.get("rules"))

        assert filled["rules"] == part["rules"]
    finally:
        kubectl("delete", "clusterrole", name, f"{name}-part", "--ignore-not-found")


async def test_unknown_fields_are_refused_by_name(namespaces, api):
    namespace = await namespaces()

    with pytest.raises(ApiError, match=r"\.spce: field not declared in schema"):
        await api.apply(config_map("thing", namespace) | {"spce": {}})


async def test_a_watch_shows_each_change(namespaces, api):
    namespace = await namespaces()
    states = api.states("v1", "ConfigMap", namespace, fields="metadata.name=thing")
    seen = [set(await anext(states))]
    await api.apply(config_map("thing", namespace))
    seen.append(set(await anext(states)))
    await api.delete("v1", "ConfigMap", "thing", namespace)
    seen.append(set(await anext(states)))
    await states.aclose()

    assert seen == [set(), {(namespace, "thing")}, set()]


async def test_waiting_in_vain_says_what_was_there_instead(namespaces, api):
    namespace = await namespaces()
    await api.apply(config_map("thing", namespace) | {"data": {"colour": "red"}})

    with pytest.raises(LabError, match=r'not as awaited after 0\.2 s; last seen: .*"colour": "red"'):
        await api.wait(
            "v1", "ConfigMap", "thing", namespace, until=lambda obj: obj["data"]["colour"] == "blue", within=0.2
        )


async def test_istio_kinds_are_served_and_checked(namespaces, api, istio_crds):
    namespace = await namespaces()
    policy = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy"}
    await api.apply(policy | {"metadata": {"name": "none", "namespace": namespace}, "spec": {}})
    wrong = policy | {"metadata": {"name": "wrong", "namespace": namespace}, "spec": {"action": "PERHAPS"}}

    with pytest.raises(ApiError) as refusal:
        await api.apply(wrong)

    assert refusal.value.status == 422
    assert "spec.action" in refusal.value.message


@pytest.mark.cluster("restart")
async def test_an_api_server_that_comes_back_has_its_data_its_address_and_its_watchers(control_plane, namespaces, api):
    namespace = await namespaces()
    kept = await api.apply(config_map("kept", namespace))
    watching = asyncio.create_task(api.wait("v1", "ConfigMap", "after", namespace))

    with control_plane.apiserver_down(), pytest.raises(aiohttp.ClientError):
        await api.get("v1", "ConfigMap", "kept", namespace)

    found = await api.get("v1", "ConfigMap", "kept", namespace)
    assert found["metadata"]["uid"] == kept["metadata"]["uid"]
    await api.apply(config_map("after", namespace))
    assert (await watching)["metadata"]["name"] == "after"
    # The controllers came through it as well.
    other = await namespaces()
    await api.delete("v1", "Namespace", other)
    await api.wait_gone("v1", "Namespace", other)


@pytest.mark.cluster("restart")
async def test_what_lies_in_the_api_server_survives_its_being_killed(control_plane, namespaces, api):
    namespace = await namespaces()
    await api.apply(config_map("kept", namespace))
    os.kill(control_plane.services["kube-apiserver"].pid, signal.SIGKILL)

    control_plane.restart_apiserver()

    assert await api.get("v1", "ConfigMap", "kept", namespace)


def alive(pid):
    """Tell whether a process exists and is not merely waiting to be reaped."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def ended(handle, *, within):
    """Wait for the end of a process: its handle becomes readable."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(within * 1000))


@pytest.mark.cluster("restart")
def test_stopping_leaves_no_process_and_no_folder(control_plane):
    with start(Options()) as second:
        pids = [service.pid for service in second.services.values()]
        folder = second.folder
        assert all(map(alive, pids))
        assert second.server != control_plane.server

    assert not any(map(alive, pids))
    assert not folder.exists()
    assert len(pids) == 3


@pytest.fixture
def nobody_else_sweeps(monkeypatch):
    """A folder for the folders of control planes that no other test run looks into; its path is short, for sockets."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.mark.cluster("restart")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_no_process_outlives_a_killed_python_and_the_next_start_sweeps_its_folder(nobody_else_sweeps):
    program = """
        import signal
        from lab.controlplane import start
        plane = start()
        print(*(service.pid for service in plane.services.values()), plane.folder, flush=True)
        signal.pause()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        *pids, folder = owner.stdout.readline().split()
        handles = [os.pidfd_open(int(pid)) for pid in pids]
        owner.kill()
    for handle in handles:
        assert ended(handle, within=10)
        os.close(handle)
    assert Path(folder).exists()

    with start(Options()):
        assert not Path(folder).exists()


@pytest.mark.cluster("controllers", "restart")
def test_a_cluster_given_by_its_kubeconfig_is_used_and_left_as_it_was(control_plane, kubectl):
    kinds = "serviceaccounts,clusterrolebindings,namespaces"
    before = kubectl("get", kinds, "--all-namespaces", "--output=name").split()

    with external.from_kubeconfig(control_plane.kubeconfig, "the given one") as given:
        assert given.kubectl("get", "namespace", given.name, "--output=name") == f"namespace/{given.name}\n"
        assert given.admin.token != control_plane.admin.token
        status, _ = given.admin.request("GET", "/api/v1/secrets")
        assert status == 200
        with pytest.raises(UnsupportedError, match="does not offer: audit"):
            given.require("controllers", "audit")

    kubectl("wait", "--for=delete", f"namespace/{given.name}", "--timeout=30s")
    # Namespaces of earlier tests may still have been on their way out.
    assert set(kubectl("get", kinds, "--all-namespaces", "--output=name").split()) <= set(before)


@pytest.mark.cluster("restart")
def test_a_folder_with_only_the_three_needed_programs_makes_a_cluster_without_controllers(control_plane, tmp_path):
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).symlink_to(control_plane.run.binaries.etcd.with_name(name))
    choice = cluster.find(environ={"KUBEBUILDER_ASSETS": str(tmp_path)})

    with cluster.open_cluster(choice, Options(pods=True)) as plane:
        assert plane.features == {Feature.AUDIT, Feature.RESTART, Feature.USERS}
        # Nobody makes service accounts here, and a pod is admitted all the same.
        assert plane.kubectl("run", "one", "--image=registry.example.com/one") == "pod/one created\n"


@pytest.mark.cluster("restart")
def test_by_hand_it_prints_a_kubeconfig_installs_definitions_and_ends_when_asked(control_plane):
    command = [sys.executable, "-m", "lab", "up", "--cluster=embedded", "--with-istio-crds"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as owner:
        kubeconfig = Path(owner.stdout.readline().strip())
        installed = control_plane.kubectl("get", "crds", "--output=name", kubeconfig=kubeconfig)
        owner.terminate()
        said = owner.stderr.read()

    assert owner.returncode == 0
    assert "customresourcedefinition.apiextensions.k8s.io/authorizationpolicies.security.istio.io\n" in installed
    assert "lab: cluster: embedded, because asked for" in said
    assert not kubeconfig.parent.exists()
