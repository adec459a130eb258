"""kube-proxy on a node: the virtual addresses of Services lead to their pods, in front of the policies."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from lab import gotools
from lab.controlplane import binaries
from lab.errors import UnsupportedError
from lab.network.nodes import Node
from lab.process import Service

#: The versions of its go.mod must be those of the control plane.
MODULE = Path(__file__).with_name("kubeproxy")
_PROGRAM = "kube-proxy"
_GRACE = 1.0


def program() -> Path:
    """Build kube-proxy unless it is built already. Raises LabError."""
    package = f"k8s.io/kubernetes/cmd/{_PROGRAM}"
    ldflags = f"-s -w -X k8s.io/component-base/version.gitVersion={binaries.VERSION}"
    note = "about two minutes once the control plane is built"
    return gotools.build(MODULE, [package], [_PROGRAM], ldflags=ldflags, note=note)[_PROGRAM]


class Proxy:
    """The kube-proxy of one node, in nftables mode. Raises LabError."""

    def __init__(self, node: Node, kubeconfig: Path, folder: Path) -> None:
        if not shutil.which("nft"):
            raise UnsupportedError("ClusterIPs need kube-proxy, and it needs the program nft: install nftables")
        config = folder / f"{node.name}-proxy.json"
        config.write_text(json.dumps(_config(node, kubeconfig)))
        command = [str(shutil.which("ip")), "netns", "exec", node.host.namespace, str(program()), f"--config={config}"]
        self._service = Service(
            f"kube-proxy on {node.name}", command, folder / f"{node.name}-proxy.log", env=os.environ
        )

    def check(self) -> None:
        """Raise LabError with the end of its log when it is dead."""
        self._service.check()

    def stop(self) -> None:
        """End it."""
        self._service.stop(_GRACE)


def _config(node: Node, kubeconfig: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": node.name,
        # Pods keep their addresses on the way to a Service: a policy sees who comes.
        "detectLocalMode": "NodeCIDR",
        "nftables": {"minSyncPeriod": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # These parameters of the kernel belong to the whole machine.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
