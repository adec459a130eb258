"""The operator as people run it: a process of its own, as the chart's service account, with RBAC on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lab import yaml
from lab.api import Api, ApiError, WaitError
from lab.controlplane import ControlPlane
from lab.controlplane.audit import AuditEvent
from lab.errors import LabError
from lab.process import popen

ROOT = Path(__file__).parents[2]
NAMESPACE = "pipesegment-system"
ACCOUNT = "pipesegment"
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
#: The label of namespaces that a class of the tests keeps out of every mesh.
PLAIN = "lab.example.com/plain"
VERSION = "pipesegment.dev/v1alpha1"
POLICY = ("networking.k8s.io/v1", "NetworkPolicy")
ACCOUNT_KIND = ("v1", "ServiceAccount")
OWNED = (
    POLICY,
    ACCOUNT_KIND,
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("networking.istio.io/v1", "Sidecar"),
)
#: Of stages in Istio's mesh that reach host names.
NAMES_KIND = ("networking.istio.io/v1", "ServiceEntry")
CILIUM_KIND = ("cilium.io/v2", "CiliumNetworkPolicy")
LINKERD_KINDS = (
    ("policy.linkerd.io/v1beta3", "Server"),
    ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy"),
    ("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication"),
    ("policy.linkerd.io/v1beta3", "HTTPRoute"),
    ("policy.linkerd.io/v1alpha1", "NetworkAuthentication"),
)
_RIGHTS = {"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}

Object = dict[str, Any]


def rights() -> list[Object]:
    """The documents of manifests/install.yaml that say who the operator is and what it may do."""
    documents = yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text())
    found = [obj for obj in documents if obj and obj["kind"] in _RIGHTS]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return found if any(obj["kind"] == "Namespace" for obj in found) else [namespace, *found]


def install(plane: ControlPlane, *, crds: bool = True) -> None:
    """Put our kinds and the operator's rights on a cluster; without its Deployment, since we run it ourselves."""
    documents = {"apiVersion": "v1", "kind": "List", "items": [*rights(), *_resolver(plane)]}
    plane.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(documents))
    if crds:
        install_crds(plane)


def _resolver(plane: ControlPlane) -> list[Object]:
    """Give the Service that every cluster's DNS has, where it is missing: a stage that needs names reaches it."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "selector": {"k8s-app": "kube-dns"},
            "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}],
        },
    }
    found = plane.kubectl(
        "get", "service", "kube-dns", "--namespace=kube-system", "--ignore-not-found", "--output=name"
    )
    return [] if found else [service]


def install_crds(plane: ControlPlane) -> None:
    """Put our kinds on a cluster, from the files that are delivered."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ROOT / 'crds'}")
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={ROOT / 'crds'}")


class Operator:
    """One replica. `start` returns when it is ready; what it says is in `log`, which a failing test should print."""

    def __init__(self, plane: ControlPlane, kubeconfig: Path, folder: Path, **settings: object) -> None:
        self.plane = plane
        self.log = folder / "operator.log"
        self.port = 0
        self._kubeconfig = kubeconfig
        self._settings = settings
        self._child: subprocess.Popen[str] | None = None

    def start(self, *, ready: bool = True, within: float = 60.0) -> "Operator":
        """Start it, and wait until /readyz says that it follows everything (or, as a candidate, the Lease)."""
        self.port = _free_port()
        settings = {"admin_host": "127.0.0.1", "admin_port": self.port, "namespace": NAMESPACE, **self._settings}
        ours = {f"PIPESEGMENT_{name.upper()}": str(value) for name, value in settings.items()}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PIPESEGMENT_")}
        with self.log.open("ab") as log:
            self._child = popen(
                [sys.executable, "-m", "pipesegment", "run"],
                stdout=log.fileno(),
                stderr=subprocess.STDOUT,
                env=kept | ours | {"KUBECONFIG": str(self._kubeconfig), "PYTHONPATH": str(ROOT / "operator")},
            )
        if ready:
            self.wait("/readyz", within=within)
        return self

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Ask the admin port; status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait(self, path: str, status: int = 200, *, within: float = 60.0) -> None:
        """Wait until the admin port answers so; it offers nothing to wait on, so it is asked again and again."""
        deadline = time.monotonic() + within
        while (found := self.get(path))[0] != status:
            assert self.alive, f"the operator ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{path} is {found} after {within:g} s:\n{self.tail()}"
            time.sleep(0.05)

    def metric(self, name: str, **labels: str) -> float:
        """Give the sum of a metric over all series with these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == f"pipesegment_{name}":
                found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
                if labels.items() <= found.items():
                    total += float(match[3])
        return total

    def lines(self, **fields: Any) -> list[Object]:
        """Give its JSON log lines that have these fields."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if fields.items() <= said.items():
                found.append(said)
        return found

    def tail(self, lines: int = 60) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """Kill it as the kernel does when memory is short."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def terminate(self) -> None:
        """Ask it to end, as the kubelet does, and go on at once."""
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)

    def ended(self, *, within: float = 30.0) -> int:
        """Wait for its end and give its exit code."""
        assert self._child is not None
        return self._child.wait(within)

    def stop(self) -> None:
        """End it and reap it, however it fares."""
        if self.alive:
            self.terminate()
            try:
                self.ended()
            except subprocess.TimeoutExpired:
                self.kill()


class Record:
    """What the operator asked of the API server since this value was made, read back from the audit log."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._since = plane.audit_position()

    def calls(self, **filters: Any) -> list[AuditEvent]:
        """Give its calls."""
        return self._plane.audit_events(since=self._since, user=USER, **filters)

    def writes(self, namespaces: Iterable[str] | None = None) -> list[AuditEvent]:
        """Give its writes, those of its Lease left out; only those in some namespaces if they are given."""
        wanted = None if namespaces is None else set(namespaces)
        return [
            event
            for event in self.calls()
            if event.write
            and event.resource != "leases.coordination.k8s.io"
            and (wanted is None or event.namespace in wanted)
        ]

    def denied(self) -> list[AuditEvent]:
        """Give its calls that RBAC refused."""
        return self.calls(denied=True)


def segment(name: str, namespace: str, *stages: Object, **spec: Any) -> Object:
    """A PipelineSegment."""
    return {
        "apiVersion": VERSION,
        "kind": "PipelineSegment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"stages": list(stages), **spec},
    }


def stage(name: str, *reaches: Object, accepts: Iterable[Object] = (), **more: Any) -> Object:
    """A stage; it selects pods by the canonical labels unless told otherwise."""
    made: Object = {"name": name, **more}
    if reaches:
        made["reaches"] = list(reaches)
    if accepts := list(accepts):
        made["accepts"] = accepts
    return made


def to_stage(name: str, *ports: int, **more: Any) -> Object:
    """An entry of reaches or accepts that names a stage."""
    return {"stage": {"name": name, **more}, "ports": [{"port": port} for port in ports]}


def probed_pod(namespace: str, of: str, port: int) -> Object:
    """A pod of a stage of segment `shop` that kubelet asks by HTTP."""
    probe = {"httpGet": {"path": "/ready", "port": port}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": of,
            "namespace": namespace,
            "labels": {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": of},
        },
        "spec": {
            "serviceAccountName": f"shop-{of}",
            "containers": [{"name": "main", "image": "registry.example.com/x", "readinessProbe": probe}],
        },
    }


def to_cidr(block: str, *ports: int) -> Object:
    """An entry of reaches or accepts that names addresses."""
    return {"cidr": {"block": block}, "ports": [{"port": port} for port in ports]}


def segment_class(name: str, label: str, **spec: Any) -> Object:
    """A SegmentClass for the namespaces that carry `label: "yes"`."""
    return {
        "apiVersion": VERSION,
        "kind": "SegmentClass",
        "metadata": {"name": name},
        "spec": {"namespaceSelector": {"matchLabels": {label: "yes"}}, **spec},
    }


def network_policy(name: str, namespace: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """Somebody else's NetworkPolicy."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": dict(labels)} if labels else {}, **spec},
    }


def condition(obj: Object, kind: str) -> Object:
    """A condition of an object; empty when it is not there, or does not speak of the present generation."""
    for found in obj.get("status", {}).get("conditions", ()):
        if found["type"] == kind and found.get("observedGeneration") == obj["metadata"]["generation"]:
            return found
    return {}


def is_ready(reason: str = "Enforced") -> Callable[[Object], bool]:
    """Whether Ready says so, of the present generation."""
    return lambda obj: condition(obj, "Ready").get("reason") == reason


async def settled(api: Api, name: str, namespace: str, reason: str = "Enforced", **wait: Any) -> Object:
    """Wait until a segment's condition Ready has a reason at its present generation; give the segment."""
    try:
        return await api.wait(VERSION, "PipelineSegment", name, namespace, until=is_ready(reason), **wait)
    except WaitError:
        found = await api.get(VERSION, "PipelineSegment", name, namespace)
        shown = {c["type"]: (c["status"], c["reason"], c["message"]) for c in found["status"].get("conditions", ())}
        raise AssertionError(f"{namespace}/{name} is not {reason} but {json.dumps(shown, indent=1)}") from None


async def owned(api: Api, namespace: str) -> dict[tuple[str, str], Object]:
    """Give the objects of a namespace that carry our label, by kind and name; kinds that are not served have none."""
    found = {}
    for version, kind in (*OWNED, NAMES_KIND, CILIUM_KIND):
        try:
            objects = await api.objects(version, kind, namespace, labels="app.kubernetes.io/managed-by=pipesegment")
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        except LabError:
            continue
        found |= {(kind, obj["metadata"]["name"]): obj for obj in objects}
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
