"""Pods that become Running although nothing runs in them: kwok plays the node, an admission policy the scheduler."""

import json
from typing import Any

NODE = "lab"
#: kwok touches only nodes that carry this, so that real or otherwise made nodes beside ours stay as they are.
ANNOTATION = "kwok.x-k8s.io/node"
NODE_IP = "10.250.0.1"
_POLICY = "lab-assigns-pods"
_ADMISSION = "admissionregistration.k8s.io/v1"

_ASSIGNMENT = {
    "failurePolicy": "Fail",
    "reinvocationPolicy": "Never",
    "matchConstraints": {
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    },
    "matchConditions": [{"name": "no-node", "expression": "!has(object.spec.nodeName)"}],
    "mutations": [
        {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": f'Object{{spec: Object.spec{{nodeName: "{NODE}"}}}}'},
        }
    ],
}

_NODE_READY = f"""
phase: Running
conditions:
- {{type: Ready, status: "True", reason: Lab, lastHeartbeatTime: {{{{ Quote Now }}}}, lastTransitionTime: {{{{ Quote Now }}}}}}
addresses:
- {{type: InternalIP, address: {NODE_IP}}}
capacity: {{cpu: "1000", memory: 1Ti, pods: "100000"}}
allocatable: {{cpu: "1000", memory: 1Ti, pods: "100000"}}
"""

#: Init containers have ended well (sidecars among them run), all others run; the address comes from kwok's pool.
_POD_RUNNING = """
{{ $now := Quote Now }}
{{ $pod := .metadata }}
{{ $ips := PodIPsWith .spec.nodeName (or .spec.hostNetwork false) $pod.uid $pod.name $pod.namespace }}
phase: Running
startTime: {{ $now }}
hostIP: %(node)s
hostIPs: [{ip: %(node)s}]
podIP: {{ index $ips 0 }}
podIPs: [{ip: {{ index $ips 0 }}}]
conditions:
{{ range list "PodScheduled" "Initialized" "ContainersReady" "Ready" }}
- {type: {{ . }}, status: "True", lastTransitionTime: {{ $now }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ Quote .name }}
  image: {{ Quote .image }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ Quote .name }}
  image: {{ Quote .image }}
  ready: true
  restartCount: 0
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: {running: {startedAt: {{ $now }}}}
  {{ else }}
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now }}, finishedAt: {{ $now }}}}
  {{ end }}
{{ end }}
""" % {"node": NODE_IP}  # noqa: UP031 - both other ways of formatting would double every brace of the template


def stages() -> str:
    """Return kwok's configuration: what becomes of nodes and pods, each as soon as it can."""
    alive = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    dying = {"key": ".metadata.deletionTimestamp", "operator": "Exists"}
    fresh = {"key": ".status.phase", "operator": "NotIn", "values": ["Running"]}
    pending = {"key": ".status.phase", "operator": "In", "values": ["Pending"]}
    documents = [
        _stage("node-ready", "Node", [fresh], {"statusTemplate": _NODE_READY}),
        _stage("pod-running", "Pod", [alive, pending], {"statusTemplate": _POD_RUNNING}),
        _stage("pod-gone", "Pod", [dying], {"delete": True}),
    ]
    return "".join(f"---\n{json.dumps(document)}\n" for document in documents)


def objects() -> list[tuple[str, dict[str, Any]]]:
    """Return, each with the path to create it at: the one node, and the policy that puts every pod without a node on it."""
    labels = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}
    return [
        ("/api/v1/nodes", _named("v1", "Node", NODE, annotations={ANNOTATION: "fake"}, labels=labels)),
        (
            f"/apis/{_ADMISSION}/mutatingadmissionpolicies",
            _named(_ADMISSION, "MutatingAdmissionPolicy", _POLICY) | {"spec": _ASSIGNMENT},
        ),
        (
            f"/apis/{_ADMISSION}/mutatingadmissionpolicybindings",
            _named(_ADMISSION, "MutatingAdmissionPolicyBinding", _POLICY) | {"spec": {"policyName": _POLICY}},
        ),
    ]


def _named(api_version: str, kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}}


def _stage(name: str, kind: str, when: list[dict[str, Any]], then: dict[str, Any]) -> dict[str, Any]:
    spec = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": when}, "next": then}
    return _named("kwok.x-k8s.io/v1alpha1", "Stage", name) | {"spec": spec}
