"""The pods that probes run in: a stage's labels and account, no token, no rights, and an end of their own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pipesegment import names
from pipesegment.probe.port import Actor, Caller, Listener

#: Which run a probe belongs to.
LABEL: Final = f"{names.GROUP}/probe"
CONTAINER: Final = "probe"
#: A mesh that takes the pod's connections would answer in the place of whoever is called: the network is on trial here.
_OUT_OF_MESH: Final = {"sidecar.istio.io/inject": "false"}
#: For Istio's ambient mesh; a stage's own selector may ask for another value, and then its word counts.
_UNCAPTURED: Final = {"istio.io/dataplane-mode": "none"}
_ANNOTATIONS: Final = {"linkerd.io/inject": "disabled", "sidecar.istio.io/inject": "false"}
_READY_PORTS: Final = range(61000, 61400)
_UNPRIVILEGED: Final = 1024

Object = dict[str, Any]


def listening(listener: Listener, image: str, run: str, number: int, seconds: int) -> Object:
    """Write the pod of a listener; it is Ready when every port answers at its own address."""
    ready = next(port for port in _READY_PORTS if port not in listener.ports)
    args = ["probe", "--listen", ",".join(map(str, listener.ports)), "--address", "$(POD_IPS)"]
    args += ["--ready", str(ready), "--seconds", str(seconds)]
    container = {
        **_container(image, args),
        "env": [{"name": "POD_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}],
        # The kubelet's own probes pass every policy: a node reaches its pods.
        "readinessProbe": {"tcpSocket": {"port": ready}, "periodSeconds": 1, "failureThreshold": 2},
    }
    low = any(port < _UNPRIVILEGED for port in listener.ports)
    sysctls = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]} if low else {}
    return _pod(listener.actor, container, run, f"listen-{number}", seconds, sysctls)


def calling(caller: Caller, image: str, run: str, number: int, seconds: int) -> Object:
    """Write the pod of a caller; what became of its tries is in its log."""
    targets = json.dumps([asdict(dial) for dial in caller.dials], separators=(",", ":"))
    return _pod(caller.actor, _container(image, ["probe", "--targets", targets]), run, f"call-{number}", seconds)


def _pod(
    actor: Actor, container: Object, run: str, name: str, seconds: int, security: Mapping[str, Any] | None = None
) -> Object:
    key = actor.stage
    metadata: Object = {
        "name": f"pipesegment-probe-{run}-{name}",
        "namespace": key.namespace,
        "labels": {**_UNCAPTURED, **actor.labels, **_OUT_OF_MESH, LABEL: run},
        "annotations": dict(_ANNOTATIONS),
    }
    if actor.owner_uid:
        # The collector takes the pod with the segment, and an engine that enforces for owned pods alone enforces here.
        owner = {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "name": key.segment, "uid": actor.owner_uid}
        metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 0,
            "serviceAccountName": actor.account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
                **(security or {}),
            },
            "containers": [container],
        },
    }


def _container(image: str, args: Sequence[str]) -> Object:
    return {
        "name": CONTAINER,
        "image": image,
        "args": list(args),
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
