"""A sidecar: Istio's agent and stock Envoy in a pod's namespace, and the redirection that makes everything pass it."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lab.errors import LabError
from lab.mesh import istiod
from lab.mesh.binaries import Binaries
from lab.mesh.netns import NetNS
from lab.mesh.pods import NODE, PodPlan
from lab.process import Service

#: Envoy's own administration; only one Envoy of a pod can have it.
_ADMIN_PORT = 15000
_STATUS_PORT = 15021
_READY_WITHIN = 90.0
_GONE_WITHIN = 10.0
_POLL = 0.05
_OK = 200
#: As Istio's injection sets it up, but for the user: here the sidecar is root, which can read its programs.
_REDIRECT: Final = (
    "istio-iptables",
    "-p", "15001", "-z", "15006", "-u", "0", "-g", "1337", "-m", "REDIRECT",
    "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020",
)  # fmt: skip


class Sidecar:
    """The sidecar of one pod; `start` it, then `await_ready`."""

    def __init__(self, pod: PodPlan, address: str, namespace: NetNS, binaries: Binaries, folder: Path) -> None:
        self.pod = pod
        self._address = address
        self._namespace = namespace
        self._binaries = binaries
        self._folder = folder / "sidecar"
        self._log = folder / "sidecar.log"
        self._service: Service | None = None
        namespace.run(binaries.agent, *_REDIRECT)

    def start(self, token: str, root_certificate: str) -> None:
        """Start with a token of the pod's account (audience `istio-ca`, bound to the Pod) and the mesh's root."""
        self._await_free()
        # A socket that was left over would make the agent wait for certificates from files.
        shutil.rmtree(self._folder, ignore_errors=True)
        secrets = {"tokens/istio-token": token, "istio/root-cert.pem": root_certificate}
        for name, content in secrets.items():
            path = self._folder / "var" / "run" / "secrets" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (self._folder / "etc" / "istio" / "proxy").mkdir(parents=True)
        # With the agent, the first process of its namespace, Envoy ends too, however the agent ends.
        together = (_program("unshare"), "--pid", "--fork", "--kill-child")
        agent = (self._binaries.agent, "proxy", "sidecar", "--domain", f"{self.pod.namespace}.svc.cluster.local")
        levels = ("--proxyLogLevel=warning", "--proxyComponentLogLevel=misc:error", "--log_output_level=default:info")
        command = self._namespace.command(*together, *agent, *levels, "--concurrency", "1")
        self._service = Service(
            f"the sidecar of {self.pod}", command, self._log, env=self._environment(), cwd=self._folder
        )

    def await_ready(self) -> None:
        """Wait until it has its certificate and its configuration. Raises LabError with the end of its log."""
        self._until(
            lambda: self._namespace.get(_STATUS_PORT, "/healthz/ready")[0] == _OK, _READY_WITHIN, "was not ready"
        )

    def check(self) -> None:
        """Raise LabError when it is dead."""
        if self._service is not None:
            self._service.check()

    def stop(self) -> None:
        """End agent and Envoy; safe to call again."""
        if self._service is not None:
            self._service.stop(grace=0.0)
            self._service = None

    def _await_free(self) -> None:
        self._until(
            lambda: self._namespace.get(_ADMIN_PORT, "/ready")[0] == 0, _GONE_WITHIN, f"left port {_ADMIN_PORT} taken"
        )

    def _until(self, done: Callable[[], bool], within: float, wrong: str) -> None:
        deadline = time.monotonic() + within
        while not done():
            self.check()
            if time.monotonic() > deadline:
                said = self._service.tail() if self._service else ""
                raise LabError(f"the sidecar of {self.pod} {wrong} for {within:.0f} s. The end of its log:\n{said}")
            time.sleep(_POLL)

    def _environment(self) -> Mapping[str, str]:
        """Give what the pod's own fields would be to the agent; nothing of the machine's environment (proxies!)."""
        server = f"{istiod.HOST}:{istiod.PORT}"
        proxy = {
            "discoveryAddress": server,
            "binaryPath": str(self._binaries.envoy),
            "configPath": str(self._folder / "etc" / "istio" / "proxy"),
            "proxyBootstrapTemplatePath": str(self._binaries.bootstrap),
        }
        return {
            "POD_NAME": self.pod.name,
            "POD_NAMESPACE": self.pod.namespace,
            "SERVICE_ACCOUNT": self.pod.account,
            "INSTANCE_IP": self._address,
            "HOST_IP": self._address,
            "TRUST_DOMAIN": istiod.TRUST_DOMAIN,
            "CA_ADDR": server,
            "PILOT_CERT_PROVIDER": "istiod",
            "PROXY_CONFIG": json.dumps(proxy),
            "ISTIO_META_CLUSTER_ID": "Kubernetes",
            "ISTIO_META_INTERCEPTION_MODE": "REDIRECT",
            "ISTIO_META_NODE_NAME": NODE,
            "ISTIO_META_WORKLOAD_NAME": self.pod.name,
        }


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise LabError(f"the command '{name}' is missing: install util-linux")
    return path
