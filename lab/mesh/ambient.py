"""The ambient half of the mesh lab: what istiod makes of objects for ztunnel, which itself is not here.

Pods are objects alone; nothing runs in them. What is told is complete when a mark that was set last has arrived: istiod
follows each kind in the order of its changes, and works them off in that order.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

from lab import crds
from lab.api import Object
from lab.errors import LabError
from lab.mesh import pods, ztunnel
from lab.mesh.binaries import Binaries
from lab.mesh.control import Control
from lab.mesh.istiod import ROOT_NAMESPACE
from lab.mesh.ztunnel import Told

#: Says that ztunnel stands in front of a pod; the agent on its node writes it.
CAPTURED: Final[Mapping[str, str]] = {"ambient.istio.io/redirection": "enabled"}
#: What the mark's namespace, its pod and its policies are called.
_MARK: Final = "lab-mark"
_MARKED: Final = {"name": _MARK, "namespace": _MARK}
_MARK_KEY: Final = f"{_MARK}/{_MARK}"
_STRICT: Final = f"{ROOT_NAMESPACE}/istio_converted_static_strict"
_POLICY: Final = "security.istio.io/v1", "AuthorizationPolicy"
_ORDER: Final = {"Namespace": 0, "ServiceAccount": 1, "Pod": 3, "Gateway": 3}
#: These stay, whatever a block made: others may be in them.
_STAYING: Final = frozenset({"Namespace", "ServiceAccount"})
_CLASS: Final = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "istio-waypoint"},
    "spec": {"controllerName": "istio.io/mesh-controller"},
}
_WITHIN: Final = 20.0
_POLL: Final = 0.01


class AmbientLab:
    """A control plane and istiod in ambient mode; a context manager. Its methods block, and are not for coroutines."""

    def __init__(self) -> None:
        self._control = Control(Binaries.built(), [*crds.istio(), *crds.gateways()], ambient=True)
        try:
            self._addresses = (f"10.244.{1 + number // 250}.{1 + number % 250}" for number in count())
            self._odd = False
            self._create(
                [
                    _CLASS,
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _MARK}},
                    pod(_MARK, _MARK, labels={"lab": _MARK}),
                    {"apiVersion": _POLICY[0], "kind": _POLICY[1], "metadata": _MARKED, "spec": _selecting("nobody")},
                ]
            )
            self._await(lambda told: _MARK_KEY in told.workloads, "knows the mark's pod")
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything that was started."""
        self._control.stop()

    @contextlib.contextmanager
    def told(self, objects: Sequence[Object]) -> Iterator[Told]:
        """Keep these objects in the cluster during the block, and give what istiod tells ztunnel of them.

        Pods run and waypoints are ready, accounts are made for pods; no other pod and no other policy is there.
        """
        made: list[Object] = []
        try:
            self._create(objects, made)
            yield self._settled(made)
            self._control.check()
        finally:
            for obj in reversed(made):
                if obj["kind"] not in _STAYING:
                    self._control.delete(obj)
            self._settled(())

    def at_waypoint(self, policy: Object) -> str:
        """Wait until istiod has bound a policy with targetRefs to a waypoint, and give its words for it.

        Raises LabError with what it said last when that does not come.
        """
        meta = policy["metadata"]
        found = self._control.run(
            self._control.api.wait(*_POLICY, meta["name"], meta["namespace"], until=_accepted, within=_WITHIN)
        )
        return str(_accepted(found))

    def _create(self, objects: Iterable[Object], made: list[Object] | None = None) -> None:
        made = [] if made is None else made
        accounts = [_account(obj) for obj in objects if obj["kind"] == "Pod"]
        for obj in sorted([*accounts, *objects], key=lambda obj: _ORDER.get(obj["kind"], 2)):
            if obj["kind"] == "Pod":
                made.append(self._control.create_pod(obj, next(self._addresses)))
            else:
                made.append(self._control.apply(obj))
            if obj["kind"] == "Gateway":
                self._ready(obj)

    def _ready(self, gateway: Object) -> None:
        """Say what a waypoint's controller says once the waypoint runs."""
        meta = gateway["metadata"]
        change = {"status": {"addresses": [{"type": "IPAddress", "value": next(self._addresses)}]}}
        self._control.run(
            self._control.api.patch(
                gateway["apiVersion"], "Gateway", meta["name"], change, meta["namespace"], subresource="status"
            )
        )

    def _settled(self, made: Sequence[Object]) -> Told:
        """Wait until istiod has taken in everything that was changed until now; `made` are all objects but the mark's."""
        self._odd = not self._odd
        mode = "STRICT" if self._odd else "PERMISSIVE"
        whom = _selecting(_MARK if self._odd else "nobody")
        for kind, spec in (("PeerAuthentication", _selecting(_MARK) | {"mtls": {"mode": mode}}), (_POLICY[1], whom)):
            self._control.apply({"apiVersion": _POLICY[0], "kind": kind, "metadata": _MARKED, "spec": spec})
        marks = frozenset({_MARK_KEY, _STRICT}) if self._odd else frozenset()
        expected = {_key(obj) for obj in made if obj["kind"] == "Pod"} | {_MARK_KEY}

        def complete(told: Told) -> bool:
            here = told.workloads.keys() == expected
            return here and told.workloads[_MARK_KEY].policies == marks

        return self._await(complete, "has taken in the change")

    def _await(self, complete: Callable[[Told], bool], what: str) -> Told:
        deadline = time.monotonic() + _WITHIN
        while not complete(told := ztunnel.read(self._control.istiod.for_ztunnel())):
            self._control.check()
            if time.monotonic() > deadline:
                raise LabError(f"it is not so after {_WITHIN:.0f} s that istiod {what}; it knows {told.workloads}")
            time.sleep(_POLL)
        return told


def pod(namespace: str, name: str, *, labels: Mapping[str, str], account: str = "default") -> Object:
    """Give a pod that ztunnel captures."""
    metadata = {"namespace": namespace, "name": name, "labels": dict(labels), "annotations": dict(CAPTURED)}
    container = {"name": "main", "image": "registry.example.com/main"}
    spec = {"serviceAccountName": account, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _account(obj: Object) -> Object:
    plan = pods.plan(obj)
    meta = {"namespace": plan.namespace, "name": plan.account}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}


def _selecting(value: str) -> dict[str, Any]:
    return {"selector": {"matchLabels": {"lab": value}}}


def _key(obj: Object) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _accepted(policy: Object) -> str:
    conditions = policy.get("status", {}).get("conditions", ())
    return next((str(c["message"]) for c in conditions if (c["type"], c["status"]) == ("WaypointAccepted", "True")), "")
