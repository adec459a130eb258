"""What every mesh lab begins with: a control plane that serves Istio's kinds, and istiod beside it."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from lab.api import Object
from lab.controlplane import start as start_control_plane
from lab.mesh import istiod, pods
from lab.mesh.binaries import Binaries
from lab.mesh.istiod import Istiod
from lab.mesh.netns import Network

_Found = TypeVar("_Found")


class Control:
    """A running control plane with istiod; a context manager. Its methods block, and are not for coroutines.

    `definitions` are the kinds that are served before istiod starts: it looks once which of them it has to follow.
    """

    def __init__(self, binaries: Binaries, definitions: Iterable[Object], *, ambient: bool = False) -> None:
        self._stack = contextlib.ExitStack()
        try:
            self._start(binaries, definitions, ambient)
        except BaseException:
            self._stack.close()
            raise

    def _start(self, binaries: Binaries, definitions: Iterable[Object], ambient: bool) -> None:
        self.plane = self._stack.enter_context(start_control_plane())
        self._runner = self._stack.enter_context(asyncio.Runner())
        self.api = self.run(self.plane.api().__aenter__())
        self._stack.callback(lambda: self.run(self.api.__aexit__(None, None, None)))
        self.run(self.api.install_crds(definitions))
        root = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": istiod.ROOT_NAMESPACE}}
        for obj in (root, pods.node()):
            self.apply(obj)
        self.network = Network()
        self._stack.callback(self.network.remove)
        self.folder = self.plane.folder / "mesh"
        self.folder.mkdir()
        port = int(self.plane.server.rpartition(":")[2])
        self.istiod = Istiod(self.network, binaries, self.plane.kubeconfig, port, self.folder, ambient=ambient)
        self._stack.callback(self.istiod.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything that was started and remove what was made; safe to call again."""
        self._stack.close()

    def check(self) -> None:
        """Raise LabError with the end of its log when a part is dead."""
        self.plane.check()
        self.istiod.check()

    def run(self, doing: Coroutine[Any, Any, _Found]) -> _Found:
        """Wait for what the API does."""
        return self._runner.run(doing)

    def apply(self, obj: Mapping[str, Any]) -> Object:
        """Apply one object and return what the API server made of it."""
        return self.run(self.api.apply(dict(obj)))

    def create_pod(self, pod: Mapping[str, Any], address: str) -> Object:
        """Make a pod that runs, and is ready, at an address."""
        self.apply(pods.scheduled(pod))
        plan = pods.plan(pod)
        change = pods.running(address)
        return self.run(self.api.patch("v1", "Pod", plan.name, change, plan.namespace, subresource="status"))

    def delete(self, obj: Mapping[str, Any]) -> None:
        """Delete an object."""
        meta = obj["metadata"]
        self.run(self.api.delete(obj["apiVersion"], obj["kind"], meta["name"], meta.get("namespace")))
