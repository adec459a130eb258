"""What a fact has to look like: everything that is read has a type, and what differs is named by its path."""

import pytest

from lab import yaml
from pipesegment.facts import kinds
from pipesegment.facts.others import others
from pipesegment.facts.parse import PARSERS

META = "metadata: {name: a, namespace: ci}"

WRONG = [
    ("kind: Pod", "metadata"),
    ("{kind: Pod, metadata: []}", "metadata"),
    ("{kind: Pod, metadata: {}}", "metadata.name"),
    ("{kind: Pod, metadata: {name: ''}}", "metadata.name"),
    ("{kind: Pod, metadata: {name: a, labels: [x]}}", "metadata.labels"),
    ("{kind: Pod, metadata: {name: a, labels: {x: 1}}}", "metadata.labels"),
    ("{kind: Pod, metadata: {name: a, uid: 1}}", "metadata.uid"),
    ("{kind: Pod, metadata: {name: a, generation: '1'}}", "metadata.generation"),
    ("{kind: Pod, metadata: {name: a, creationTimestamp: '0'}}", "metadata.creationTimestamp"),
    ("{kind: Pod, metadata: {name: a, ownerReferences: {uid: x}}}", "metadata.ownerReferences"),
    ("{kind: Pod, apiVersion: 1, metadata: {name: a}}", "apiVersion"),
    ("{kind: Pod, apiVersion: [v1], metadata: {name: a}}", "apiVersion"),
    (f"{{kind: Pod, {META}, spec: 3}}", "spec"),
    (f"{{kind: Pod, {META}, spec: {{hostNetwork: 'yes'}}}}", "spec.hostNetwork"),
    (f"{{kind: Pod, {META}, spec: {{containers: [null]}}}}", "spec.containers[0]"),
    (f"{{kind: Pod, {META}, spec: {{containers: [{{ports: {{}}}}]}}}}", "spec.containers[0].ports"),
    (f"{{kind: Pod, {META}, spec: {{containers: [{{ports: [{{}}]}}]}}}}", "spec.containers[0].ports[0].containerPort"),
    (f"{{kind: Pod, {META}, status: Running}}", "status"),
    (f"{{kind: Pod, {META}, status: {{podIP: 999.1.1.1}}}}", "status.podIP"),
    (f"{{kind: Pod, {META}, status: {{podIPs: [{{ip: 'fe80::1%eth0'}}]}}}}", "status.podIPs[0].ip"),
    (f"{{kind: Service, {META}, spec: {{ports: {{}}}}}}", "spec.ports"),
    (f"{{kind: Service, {META}, spec: {{ports: [{{port: 0}}]}}}}", "spec.ports[0].port"),
    (f"{{kind: Service, {META}, spec: {{ports: [{{port: true}}]}}}}", "spec.ports[0].port"),
    (f"{{kind: Service, {META}, spec: {{ports: [{{port: 1, targetPort: [1]}}]}}}}", "spec.ports[0].targetPort"),
    (f"{{kind: Service, {META}, spec: {{ports: [{{port: 1, protocol: tcp}}]}}}}", "spec.ports[0].protocol"),
    (f"{{kind: Service, {META}, spec: {{selector: app}}}}", "spec.selector"),
    (f"{{kind: Service, {META}, spec: {{clusterIPs: 10.0.0.1}}}}", "spec.clusterIPs"),
    (f"{{kind: EndpointSlice, {META}, endpoints: {{}}}}", "endpoints"),
    (
        f"{{kind: EndpointSlice, {META}, addressType: IPv4, endpoints: [{{addresses: [a.b]}}]}}",
        "endpoints[0].addresses[0]",
    ),
    ("{kind: Node, metadata: {name: a}, spec: {podCIDR: 10.0.0.1/8}}", "spec.podCIDR"),
    (
        "{kind: Node, metadata: {name: a}, status: {addresses: [{type: InternalIP, address: x}]}}",
        "status.addresses[0]",
    ),
    (f"{{kind: NetworkPolicy, {META}, spec: {{policyTypes: [ingress]}}}}", "spec.policyTypes[0]"),
    (f"{{kind: NetworkPolicy, {META}, spec: {{ingress: [null]}}}}", "spec.ingress[0]"),
    (
        f"{{kind: NetworkPolicy, {META}, spec: {{podSelector: {{matchExpressions: [{{key: a, operator: Is}}]}}}}}}",
        "spec.podSelector.matchExpressions[0].operator",
    ),
    (f"{{kind: AuthorizationPolicy, {META}, spec: {{rules: [{{from: {{}}}}]}}}}", "spec.rules[0].from"),
    (
        f"{{kind: AuthorizationPolicy, {META}, spec: {{rules: [{{from: [{{source: {{ipBlocks: [x]}}}}]}}]}}}}",
        "spec.rules[0].from[0].source.ipBlocks[0]",
    ),
    (
        f"{{kind: AuthorizationPolicy, {META}, spec: {{rules: [{{when: [{{key: source.ip, values: [x]}}]}}]}}}}",
        "spec.rules[0].when[0]",
    ),
    (f"{{kind: PeerAuthentication, {META}, spec: {{portLevelMtls: {{x: {{}}}}}}}}", "spec.portLevelMtls"),
    (f"{{kind: Sidecar, {META}, spec: {{workloadSelector: {{labels: a}}}}}}", "spec.workloadSelector.labels"),
    (
        f"{{kind: DaemonSet, {META}, spec: {{template: {{spec: {{containers: [{{args: --on}}]}}}}}}}}",
        "spec.template.spec.containers[0].args",
    ),
    (f"{{kind: DaemonSet, {META}, status: {{numberReady: some}}}}", "status.numberReady"),
    (f"{{kind: ConfigMap, {META}, data: [x]}}", "data"),
    (f"{{kind: CiliumNetworkPolicy, {META}, specs: {{}}}}", "specs"),
    (
        f"{{kind: CiliumNetworkPolicy, {META}, spec: {{endpointSelector: {{matchLabels: {{a: 1}}}}}}}}",
        "spec.endpointSelector.matchLabels",
    ),
    (f"{{kind: PipelineSegment, {META}, status: {{class: default}}}}", "status.class"),
    (f"{{kind: PipelineSegment, {META}, status: {{inventory: [{{name: a}}]}}}}", "status.inventory[0].apiVersion"),
    (f"{{kind: PipelineSegment, {META}, status: {{hostNames: {{a: b}}}}}}", "status.hostNames"),
    (f"{{kind: PipelineSegment, {META}, status: {{hostNames: [x]}}}}", "status.hostNames[0]"),
    (f"{{kind: PipelineSegment, {META}, status: {{hostNames: [{{addresses: []}}]}}}}", "status.hostNames[0].name"),
    (
        f"{{kind: PipelineSegment, {META}, status: {{hostNames: [{{name: a, addresses: [b]}}]}}}}",
        "status.hostNames[0].addresses[0]",
    ),
    (f"{{kind: SegmentGrant, {META}, status: {{namespaces: [{{uid: a}}]}}}}", "status.namespaces[0].namespace"),
    ("{kind: SegmentClass, metadata: {name: a}, status: x}", "status"),
]


@pytest.mark.parametrize(("text", "path"), WRONG)
def test_what_no_cluster_prints_is_named_by_its_path(text: str, path: str) -> None:
    found = list(kinds.wrong(yaml.safe_load(text)))

    assert found[0].path == path
    assert "kubectl get -o yaml" in str(found[0])


RIGHT = [
    "{kind: Pod, apiVersion: v1, metadata: {name: a, labels: null}, spec: null, status: {podIP: ''}}",
    f"{{kind: Service, {META}, spec: {{clusterIP: None, ports: [{{port: 80, targetPort: http}}, {{port: 81, targetPort: 0}}]}}}}",
    f"{{kind: EndpointSlice, {META}, addressType: FQDN, endpoints: [{{addresses: [a.example.com]}}], ports: [{{port: null}}]}}",
    "{kind: Node, metadata: {name: a}, status: {addresses: [{type: Hostname, address: a}, {type: InternalIP, address: '::1'}]}}",
    f"{{kind: NetworkPolicy, {META}, spec: {{podSelector: {{}}, ingress: [{{}}], egress: [{{ports: [{{port: web}}]}}]}}}}",
    "{kind: Namespace, metadata: {name: a, creationTimestamp: '2030-01-01T00:00:00Z'}, status: whatever}",
    f"{{kind: PipelineSegment, {META}, spec: whatever, status: {{conditions: [x], inventory: []}}}}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_a_cluster_prints_is_right_and_is_read(text: str) -> None:
    obj = yaml.safe_load(text)

    assert list(kinds.wrong(obj)) == []
    assert PARSERS[obj["kind"]](obj).meta.name == "a"


OTHERS = [
    f"{{kind: DaemonSet, apiVersion: apps/v1, {META}, spec: {{template: {{spec: {{containers: [{{name: a, env: [{{name: X, valueFrom: {{}}}}]}}]}}}}}}}}",
    f"{{kind: Sidecar, apiVersion: networking.istio.io/v1, {META}, spec: {{egress: [{{hosts: ['./*']}}]}}}}",
    f"{{kind: CiliumNetworkPolicy, apiVersion: cilium.io/v2, {META}, spec: {{endpointSelector: {{}}, egress: [{{toFQDNs: []}}]}}}}",
    "{kind: CiliumClusterwideNetworkPolicy, apiVersion: cilium.io/v2, metadata: {name: a}, spec: {nodeSelector: {}}, specs: null}",
]


@pytest.mark.parametrize("text", OTHERS)
def test_what_others_run_and_write_is_right_and_is_read(text: str) -> None:
    obj = yaml.safe_load(text)

    found = others([obj])

    assert list(kinds.wrong(obj)) == []
    assert kinds.is_read(obj)
    assert found.foreign or found.daemon_sets


def test_every_kind_that_is_parsed_has_a_shape() -> None:
    assert all(kinds.is_read({"kind": kind}) for kind in PARSERS)
    assert not kinds.is_read({"kind": "Secret"})
    assert not kinds.is_read({"kind": "Service", "apiVersion": "serving.example.com/v1"})
