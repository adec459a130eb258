"""istiod outside of a cluster: its own namespace on the bridge, the API server lent to it, its debug pages read by us."""

import json
import time
from pathlib import Path
from typing import Any, Final

from lab.errors import LabError
from lab.mesh.binaries import Binaries
from lab.mesh.forward import Forwarder
from lab.mesh.netns import Network
from lab.process import Service

#: The name in its certificate; it has no address in there.
HOST: Final = "istiod.istio-system.svc"
ADDRESS: Final = "10.244.0.2"
#: Configuration and certificates for sidecars, mutual TLS.
PORT: Final = 15012
ROOT_NAMESPACE: Final = "istio-system"
TRUST_DOMAIN: Final = "cluster.local"
_DEBUG_PORT = 15080
_READY_WITHIN = 60.0
_POLL = 0.05
_OK = 200
_MESH = {"trustDomain": TRUST_DOMAIN, "rootNamespace": ROOT_NAMESPACE, "enableTracing": False}
_SETTINGS = {
    "POD_NAME": "istiod-1",
    "POD_NAMESPACE": ROOT_NAMESPACE,
    "REVISION": "default",
    "CLUSTER_ID": "Kubernetes",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    # Filters that Istio's own build of Envoy has and the stock one lacks.
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    # Changes come one scenario at a time: there is little to gather.
    "PILOT_DEBOUNCE_AFTER": "20ms",
}
#: What ztunnel is told is made from Gateways themselves; of istiod's controllers for them none is needed.
_AMBIENT = {"PILOT_ENABLE_AMBIENT": "true", "PILOT_ENABLE_GATEWAY_API": "false"}


class Istiod:
    """A running istiod; made when it is ready.

    In ambient mode it follows GatewayClasses as soon as it sees the kind Gateway, and is not ready before both are served.
    """

    def __init__(
        self,
        network: Network,
        binaries: Binaries,
        kubeconfig: Path,
        api_port: int,
        folder: Path,
        *,
        ambient: bool = False,
    ) -> None:
        self._namespace = network.attach(ADDRESS)
        self._forwarder = Forwarder(self._namespace, api_port)
        mesh = folder / "mesh.yaml"
        mesh.write_text(json.dumps(_MESH))
        command: list[str | Path] = [
            binaries.istiod,
            "discovery",
            f"--kubeconfig={kubeconfig}",
            f"--meshConfig={mesh}",
            f"--grpcAddr={ADDRESS}:15010",
            f"--secureGRPCAddr={ADDRESS}:{PORT}",
            f"--httpAddr=127.0.0.1:{_DEBUG_PORT}",
            f"--httpsAddr={ADDRESS}:15017",
            "--monitoringAddr=127.0.0.1:15014",
        ]
        settings = _SETTINGS | (_AMBIENT if ambient else {})
        self._service = Service(
            "istiod", self._namespace.command(*command), folder / "istiod.log", env=settings, cwd=folder
        )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def config(self) -> dict[tuple[str, str, str], str]:
        """Return what it knows of Istio's own kinds: (kind, namespace, name) -> resourceVersion."""
        found = self._debug("configz")
        metas = ((obj["kind"], obj["metadata"]) for obj in found)
        return {(kind, m.get("namespace", ""), m["name"]): m.get("resourceVersion", "") for kind, m in metas}

    def for_ztunnel(self) -> dict[str, Any]:
        """Return what it would tell ztunnel, in ambient mode: workloads, services and policies."""
        found = self._debug("ambientz")
        assert isinstance(found, dict)
        return found

    def unsettled(self) -> list[str]:
        """Return the sidecars that have not acknowledged everything that was sent to them."""
        kinds = ("cluster", "listener", "route", "endpoint")
        return [
            each["proxy"]
            for each in self._debug("syncz")
            if any(each.get(f"{kind}_sent") != each.get(f"{kind}_acked") for kind in kinds)
        ]

    def check(self) -> None:
        """Raise LabError when it is dead."""
        self._service.check()

    def stop(self) -> None:
        """End it; safe to call again."""
        self._service.stop(grace=0.0)
        self._forwarder.stop()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while self._namespace.get(_DEBUG_PORT, "/ready")[0] != _OK:
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"istiod was not ready in time. The end of its log:\n{self._service.tail()}")
            time.sleep(_POLL)

    def _debug(self, page: str) -> Any:
        status, content = self._namespace.get(_DEBUG_PORT, f"/debug/{page}")
        if status != _OK:
            self.check()
            raise LabError(f"istiod answers {status} to /debug/{page}: {content.decode(errors='replace')[:200]}")
        return json.loads(content)
