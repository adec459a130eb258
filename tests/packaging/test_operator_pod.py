"""The operator's pod, its fence and its neighbours, as the chart renders them."""

from typing import Any

import pytest

from pipesegment.settings import Settings, environment_name

NAMESPACE = "pipesegment-system"
SELECTOR = {"app.kubernetes.io/name": "pipesegment", "app.kubernetes.io/instance": "pipesegment"}


def one(install, kind: str) -> dict[str, Any]:
    found = [obj for obj in install if obj["kind"] == kind]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def deployment(install):
    return one(install, "Deployment")


@pytest.fixture
def pod(deployment):
    return deployment["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    assert len(pod["containers"]) == 1
    assert "initContainers" not in pod
    return pod["containers"][0]


def test_two_replicas_roll_without_a_gap_and_stay_apart_where_they_can(deployment, pod):
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    rules = pod["affinity"]["podAntiAffinity"]
    assert list(rules) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    terms = [term["podAffinityTerm"] for term in rules["preferredDuringSchedulingIgnoredDuringExecution"]]
    assert [term["topologyKey"] for term in terms] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(term["labelSelector"]["matchLabels"] == SELECTOR for term in terms)


def test_the_pod_meets_the_restricted_standard_and_more(pod, container):
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        assert not pod.get(field)
    assert all("emptyDir" in volume for volume in pod["volumes"])
    assert all("hostPort" not in port for port in container["ports"])


def test_the_namespace_enforces_that_standard(install):
    labels = one(install, "Namespace")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_this_pod_gets_the_accounts_token(install, pod):
    account = one(install, "ServiceAccount")

    assert account["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is True
    assert pod["serviceAccountName"] == account["metadata"]["name"]


def test_the_probes_ask_the_admin_port_and_start_up_may_take_two_minutes(container):
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = {name: container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}

    assert ports == {"admin": 8080}
    assert {name: probe["httpGet"] for name, probe in probes.items()} == {
        "startup": {"path": "/healthz", "port": "admin"},
        "liveness": {"path": "/healthz", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 120


def test_it_has_bounds_and_no_cpu_limit(container):
    assert set(container["resources"]) == {"requests", "limits"}
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}


#: What the chart always sets.
SET = ("namespace", "lease_name", "admin_port", "admission_name", "aws")


def test_every_variable_is_a_setting_that_the_program_accepts(container):
    given = {item["name"]: item.get("value", NAMESPACE) for item in container["env"]}

    assert set(given) == {environment_name(name) for name in SET}
    settings = Settings.load(environ=given)
    assert (settings.namespace, settings.lease_name, settings.admin_port) == (NAMESPACE, "pipesegment", 8080)
    assert settings.aws == "off"
    assert container["args"] == ["run"]


def test_the_grace_period_covers_the_drain(pod):
    assert pod["terminationGracePeriodSeconds"] >= Settings().drain_timeout + 5


def test_everything_that_selects_the_pods_selects_these_pods(install, deployment):
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = {
        "Deployment": deployment["spec"]["selector"]["matchLabels"],
        "Service": one(install, "Service")["spec"]["selector"],
        "NetworkPolicy": one(install, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        "PodDisruptionBudget": one(install, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    }

    assert labels.items() >= SELECTOR.items()
    assert selectors == dict.fromkeys(selectors, SELECTOR)


def test_a_node_can_always_be_drained(install):
    assert one(install, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_metrics_are_served_by_every_replica(install):
    service = one(install, "Service")["spec"]

    assert service["clusterIP"] == "None"
    assert service["ports"] == [{"name": "metrics", "port": 8080, "targetPort": "admin", "protocol": "TCP"}]


def test_its_own_fence_lets_in_scrapers_and_out_to_dns_and_the_api_server(install):
    policy = one(install, "NetworkPolicy")["spec"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080, "protocol": "TCP"}]}]
    dns, api_server = policy["egress"]
    assert [(port["port"], port["protocol"]) for port in dns["ports"]] == [(53, "UDP"), (53, "TCP")]
    assert {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    } in dns["to"]
    assert [(port["port"], port["protocol"]) for port in api_server["ports"]] == [(443, "TCP"), (6443, "TCP")]
    # An empty list would mean everywhere as well, but nobody would see it.
    assert api_server["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]


def test_nothing_is_taken_for_an_object_of_the_operators(install):
    for obj in install:
        assert obj["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "pipesegment"


def test_namespaced_objects_are_all_in_the_operators_namespace(install):
    cluster_scoped = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    cluster_scoped |= {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    namespaces = {obj["metadata"].get("namespace") for obj in install if obj["kind"] not in cluster_scoped}

    assert namespaces == {NAMESPACE}
