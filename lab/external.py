"""Clusters that somebody else runs: one named by a kubeconfig, or kind in a container engine."""

import base64
import contextlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.access import Access
from lab.controlplane import Binaries, ControlPlane, Feature
from lab.errors import LabError
from lab.folders import Folder
from lab.kubectl import Kubectl
from lab.progress import Progress

KIND_CONFIG = Path(__file__).with_name("kind") / "kind.yaml"
_ENGINE_TIMEOUT = 10.0


@dataclass(kw_only=True)
class ExternalControlPlane(ControlPlane):
    """A running cluster in which we have a service account of our own, `name`, until `stop`.

    The administrator's kubeconfig may log in by a plugin; a token of our own spares our client that.
    """

    name: str
    held: Folder
    cleanup: Callable[[], None]

    def check(self) -> None:
        """Raise LabError when the API server does not answer."""
        status, content = self.admin.request("GET", "/readyz")
        if status != 200:
            raise LabError(f"{self.server} is not ready: {content.decode(errors='replace')}")

    def stop(self) -> None:
        """Remove our account and namespace and what else was made for this run."""
        if not self.held.path.exists():
            return
        try:
            _remove(self.kubectl, self.name)
        finally:
            self.cleanup()
            self.held.remove()


def from_kubeconfig(path: Path, source: str, cleanup: Callable[[], None] = lambda: None) -> ExternalControlPlane:
    """Use the cluster of the file's current context; the user there must be an administrator. Raises LabError.

    `cleanup` is called by `stop`, or here when this fails.
    """
    found = shutil.which("kubectl")
    held = Folder()
    kubectl = Kubectl(Path(found) if found else Binaries.built().kubectl, path, held.path / "kubectl-cache")
    name = f"pipesegment-lab-{secrets.token_hex(4)}"
    try:
        server, authority = _server(kubectl, held.path)
        kubectl("create", "namespace", name)
        plane = ExternalControlPlane(
            source=source,
            server=server,
            kubeconfig=path,
            admin=Access(server, authority, _token(kubectl, name)),
            folder=held.path,
            kubectl=kubectl,
            features=frozenset({Feature.CONTROLLERS}),
            name=name,
            held=held,
            cleanup=cleanup,
        )
        plane.check()
    except BaseException:
        with contextlib.suppress(LabError):
            _remove(kubectl, name)
        cleanup()
        held.remove()
        raise
    return plane


def start_kind() -> ExternalControlPlane:
    """Create a kind cluster of our own from lab/kind/kind.yaml; `stop` deletes it. Nobody's kubeconfig is touched."""
    held = Folder()
    name = f"pipesegment-lab-{secrets.token_hex(4)}"
    kubeconfig = held.path / "kubeconfig"

    def delete() -> None:
        _kind("delete", "cluster", "--name", name, "--kubeconfig", str(kubeconfig))
        held.remove()

    try:
        with Progress(f"creating the kind cluster {name}"):
            arguments = [
                "--name",
                name,
                "--config",
                str(KIND_CONFIG),
                "--kubeconfig",
                str(kubeconfig),
                "--wait",
                "180s",
            ]
            _kind("create", "cluster", *arguments)
        return from_kubeconfig(kubeconfig, f"the kind cluster {name}", delete)
    except BaseException:
        delete()
        raise


def kind_usable() -> bool:
    """Tell whether `kind` is installed and a container engine answers."""
    docker = shutil.which("docker")
    if not docker or not shutil.which("kind"):
        return False
    try:
        return (
            subprocess.run([docker, "info"], capture_output=True, timeout=_ENGINE_TIMEOUT, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


def _kind(*arguments: str) -> None:
    reply = subprocess.run(["kind", *arguments], capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        raise LabError(f"'kind {' '.join(arguments)}' ended with {reply.returncode}: {reply.stderr.strip()}")


def _token(kubectl: Kubectl, name: str) -> str:
    """Make an administrator of our own in the namespace `name` and return a token of it."""
    kubectl("create", "serviceaccount", name, "--namespace", name)
    kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", f"--serviceaccount={name}:{name}")
    return kubectl("create", "token", name, "--namespace", name, "--duration=12h").strip()


def _remove(kubectl: Kubectl, name: str) -> None:
    kubectl("delete", "clusterrolebinding", name, "--ignore-not-found")
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def _server(kubectl: Kubectl, folder: Path) -> tuple[str, Path]:
    """Return the cluster's URL and the CA that its kubeconfig names, as a file of ours."""
    view = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    cluster = view["clusters"][0]["cluster"]
    data = cluster.get("certificate-authority-data")
    if not data:
        raise LabError(
            f"{kubectl.kubeconfig} names no certificate-authority for {cluster['server']}: add it to the file"
        )
    path = folder / "external-ca.crt"
    path.write_bytes(base64.b64decode(data))
    return str(cluster["server"]), path
