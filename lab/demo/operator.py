"""The operator as the demo runs it: as a process beside the control plane, under the chart's own service account."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from lab.controlplane import ControlPlane
from lab.errors import LabError
from lab.process import free_port
from lab.progress import say

_NAMESPACE = "pipesegment-system"
_ACCOUNT = "pipesegment"
#: What a cluster without nodes for it has no use of.
_LEFT_OUT = frozenset({"Deployment", "PodDisruptionBudget", "Service"})
_READY_WITHIN = 60.0


class Operator:
    """Installs what the chart would, then runs `pipesegment run`; a context manager that ends it."""

    def __init__(self, plane: ControlPlane, root: Path) -> None:
        self._plane = plane
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.NamedTemporaryFile(prefix="pipesegment-", suffix=".log", delete=False)  # noqa: SIM115 - for people

    @property
    def log(self) -> Path:
        """Where its log is, as long as it runs, and after a failure."""
        return Path(self._log.name)

    def install(self) -> None:
        """Apply the CRDs and the RBAC of manifests/install.yaml."""
        documents = [d for d in yaml.safe_load_all((self._root / "manifests/install.yaml").read_text()) if d]
        kept = [d for d in documents if d["kind"] not in _LEFT_OUT]
        self._plane.kubectl("apply", "--server-side", "--filename", "-", stdin=yaml.safe_dump_all(kept))
        names = [f"crd/{d['metadata']['name']}" for d in kept if d["kind"] == "CustomResourceDefinition"]
        self._plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        kubeconfig = self._plane.kubeconfig_for(service_account=(_NAMESPACE, _ACCOUNT))
        port = free_port()
        command = ["run", "--kubeconfig", str(kubeconfig), "--namespace", _NAMESPACE]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipesegment", *command, "--admin-host", "127.0.0.1", "--admin-port", str(port)],
            cwd=self._root,
            env={**os.environ, "PYTHONPATH": str(self._root / "operator")},
            stdout=self._log,
            stderr=self._log,
        )
        end = time.monotonic() + _READY_WITHIN
        while not self._ready(port):
            if self._process.poll() is not None or time.monotonic() > end:
                raise LabError("the operator did not become ready")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
        self._log.close()
        if error is None or isinstance(error, KeyboardInterrupt):
            self.log.unlink(missing_ok=True)
        else:
            say(f"the operator's log is kept: {self.log}")

    def _ready(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
