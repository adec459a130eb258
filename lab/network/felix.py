"""Felix on a node: started, known to be ready, and known to live."""

import contextlib
import http.client
import os
import shutil
import socket
import time
from pathlib import Path

from lab.errors import LabError
from lab.network import binaries, netns
from lab.process import Service

_HEALTH_PORT = 9099
_READY_WITHIN = 30.0
_GRACE = 1.0
_ANSWER_WITHIN = 2.0
_OK = range(200, 300)


class Felix:
    """The policy engine of one node. `check` raises LabError unless it lives and is ready."""

    def __init__(self, node: str, namespace: str, kubeconfig: Path, folder: Path) -> None:
        self._namespace = namespace
        # Felix writes /var/lib/calico/mtu: into a folder of ours, in the mount namespace that `ip netns exec` makes.
        state = folder / f"{node}-state"
        state.mkdir(exist_ok=True)
        wrapped = f"mount --bind '{state}' /var/lib && exec '{binaries.felix()}' /dev/null"
        command = [str(shutil.which("ip")), "netns", "exec", namespace, "/bin/sh", "-c", wrapped]
        environment = os.environ | _settings(node, kubeconfig, folder / f"{node}-xtables.lock")
        self.service = Service(f"Felix on {node}", command, folder / f"{node}-felix.log", env=environment)

    def await_ready(self) -> None:
        """Wait until it enforces what it knows; its readiness endpoint is asked again and again."""
        deadline = time.monotonic() + _READY_WITHIN
        while True:
            self.service.check()
            status = self._ask("/readiness")
            if status in _OK:
                return
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self.service.name} is not ready after {_READY_WITHIN:g} s (its readiness says {status}). The end "
                    f"of its log:\n{self.service.tail()}"
                )
            time.sleep(0.05)

    def check(self) -> None:
        """Raise LabError when it is dead, hangs, or is not ready: the rules of a dead engine stay in the kernel."""
        self.service.check()
        for path in ("/liveness", "/readiness"):
            status = self._ask(path)
            if status not in _OK:
                raise LabError(f"{self.service.name}: {path} says {status or 'nothing'}:\n{self.service.tail()}")

    def stop(self) -> None:
        """End it. Its rules stay in the kernel until the node is removed."""
        self.service.stop(_GRACE)

    def _ask(self, path: str) -> int:
        """Return the status of a health endpoint; 0 when nobody answers."""
        with netns.inside(self._namespace):
            sock = socket.socket()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", _HEALTH_PORT)) as connection:
            connection.sock = sock
            sock.settimeout(_ANSWER_WITHIN)
            try:
                sock.connect(("127.0.0.1", _HEALTH_PORT))
                connection.request("GET", path)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0


def _settings(node: str, kubeconfig: Path, lock: Path) -> dict[str, str]:
    settings: dict[str, object] = {
        "DATASTORETYPE": "kubernetes",
        "FELIXHOSTNAME": node,
        "LOGFILEPATH": "none",
        "LOGSEVERITYSYS": "none",
        "LOGSEVERITYSCREEN": "warning",
        "USAGEREPORTINGENABLED": False,
        "IPV6SUPPORT": True,
        "IPTABLESBACKEND": "nft",
        "IPTABLESLOCKFILEPATH": lock,
        "BPFENABLED": False,
        "VXLANENABLED": False,
        "IPINIPENABLED": False,
        "WIREGUARDENABLED": False,
        "AWSSRCDSTCHECK": "DoNothing",
        "HEALTHENABLED": True,
        "HEALTHPORT": _HEALTH_PORT,
        "DEFAULTENDPOINTTOHOSTACTION": "ACCEPT",
        # REJECT would spare probes their timeout, but this version of Felix dies of it.
        "IPTABLESFILTERDENYACTION": "DROP",
    }
    kubernetes = {"DATASTORE_TYPE": "kubernetes", "KUBECONFIG": str(kubeconfig)}
    return kubernetes | {f"FELIX_{name}": str(value) for name, value in settings.items()}
