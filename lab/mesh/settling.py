"""When is a change in force? When istiod has it, every sidecar has what istiod made of it, and has said so.

istiod gathers changes and pushes them together, so a mark that is set after a change was seen there arrives with it or
later. The mark is a filter in front of all others that answers one path by itself; each sidecar is asked for that path
until it answers. What a sidecar applies last, its routes, is awaited by its acknowledgements.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count
from typing import Any

from lab.errors import LabError
from lab.mesh.applications import Answer
from lab.mesh.istiod import ROOT_NAMESPACE, Istiod
from lab.mesh.members import Member, Probe, Service, selected

#: (kind, namespace, name)
Key = tuple[str, str, str]

_WITHIN = 20.0
_POLL = 0.01
_HTTP = "envoy.extensions.filters.http"


def key(obj: Mapping[str, Any]) -> Key:
    """Name an object as istiod lists it."""
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def is_istio(obj: Mapping[str, Any]) -> bool:
    """Tell whether istiod keeps the object as configuration."""
    return ".istio.io/" in obj["apiVersion"]


class Settling:
    """Waits for a change to be in force.

    `apply` applies one object and returns it; `ask` asks a probe without judging its answer; `observer` asks.
    """

    def __init__(
        self,
        istiod: Istiod,
        apply: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        ask: Callable[[Probe], Answer],
        observer: str,
    ) -> None:
        self._istiod = istiod
        self._apply = apply
        self._ask = ask
        self._observer = observer
        self._marks = count(1)

    def settle(
        self, present: Iterable[Mapping[str, Any]], absent: Iterable[Mapping[str, Any]], asked: Iterable[Probe]
    ) -> None:
        """Return when these objects (as the API server returned them) are in force, and those are no more.

        `asked` has one probe for each sidecar that can be asked. Raises LabError when it takes too long.
        """
        deadline = time.monotonic() + _WITHIN
        versions = {key(obj): obj["metadata"]["resourceVersion"] for obj in present if is_istio(obj)}
        gone = {key(obj) for obj in absent if is_istio(obj)}

        def known() -> bool:
            config = self._istiod.config()
            return versions.items() <= config.items() and not gone & config.keys()

        self._until(known, deadline, "istiod has not seen the change")
        path = f"/lab-mark/{next(self._marks)}"
        self._apply(_mark(path))
        for probe in asked:
            self._until(partial(self._marked, probe, path), deadline, f"{probe.target} has not got the change")
        self._until(lambda: not self._istiod.unsettled(), deadline, "a sidecar has not acknowledged the change")

    def _marked(self, probe: Probe, path: str) -> bool:
        answer = self._ask(Probe(self._observer, probe.kind, probe.target, probe.port, "HTTP", "GET", path))
        # The filter's answer has no body; the application's has its name.
        return answer == Answer("200", "")

    def _until(self, done: Callable[[], bool], deadline: float, wrong: str) -> None:
        while not done():
            self._istiod.check()
            if time.monotonic() > deadline:
                raise LabError(f"{wrong} after {_WITHIN:.0f} s")
            time.sleep(_POLL)


def to_each_sidecar(observer: str, members: Iterable[Member], services: Iterable[Service]) -> list[Probe]:
    """Give one probe to each sidecar but the observer's that some Service has an HTTP port for."""
    members = [member for member in members if member.sidecar and member.name != observer]
    found: dict[str, Probe] = {}
    for service in services:
        port = next((p["port"] for p in service["spec"]["ports"] if p.get("name", "").startswith("http")), None)
        name = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        receivers = list(selected(service, members))
        if port is not None and len(receivers) == 1:
            found.setdefault(receivers[0].name, Probe(observer, "service", name, port))
    return list(found.values())


def _mark(path: str) -> dict[str, Any]:
    """Give the filter that answers `path` in front of every HTTP server, before any policy is asked."""
    answer = {
        "name": "lab.mark",
        "typed_config": {
            "@type": f"type.googleapis.com/{_HTTP}.health_check.v3.HealthCheck",
            "pass_through_mode": False,
            "headers": [{"name": ":path", "string_match": {"exact": path}}],
        },
    }
    manager = {"filter": {"name": "envoy.filters.network.http_connection_manager"}}
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "SIDECAR_INBOUND", "listener": {"filterChain": manager}},
        "patch": {"operation": "INSERT_FIRST", "value": answer},
    }
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "lab-mark", "namespace": ROOT_NAMESPACE},
        "spec": {"configPatches": [patch]},
    }
