"""What Istio's proxies let through: PeerAuthentication decides who is known, AuthorizationPolicy what they may.

Sidecars and ztunnel stand in front of a workload. ztunnel reads no requests, and knows no DISABLE: whoever comes through
the tunnel has an identity. A waypoint stands in front of Services, and only policies that hang on these or on its Gateway
are its own (Istio's pages on ambient L4 policy and waypoints).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal, cast

from pipesegment.evaluate import authorization
from pipesegment.evaluate.authorization import Policy, Request
from pipesegment.evaluate.endpoints import PodEnd
from pipesegment.evaluate.verdict import Verdict
from pipesegment.facts.meta import Key

Raw = Mapping[str, Any]
Mode = Literal["STRICT", "PERMISSIVE", "DISABLE"]

KIND: Final = "PeerAuthentication"
GROUP: Final = "security.istio.io/"
ROOT_NAMESPACE: Final = "istio-system"
_MESH, _NAMESPACE, _WORKLOAD = range(3)


@dataclass(frozen=True, slots=True)
class _PeerAuthentication:
    """A PeerAuthentication; modes are None where unset."""

    name: str
    namespace: str
    created: str
    labels: Mapping[str, str]
    mode: Mode | None
    ports: Mapping[int, Mode | None]


class Istio:
    """A mesh's security objects, read once and asked often. Takes plain objects; other kinds are passed over."""

    def __init__(self, objects: Iterable[Raw], *, root_namespace: str = ROOT_NAMESPACE) -> None:
        self._root = root_namespace
        self._policies: list[Policy] = []
        self._authentications: list[_PeerAuthentication] = []
        for obj in objects:
            if not str(obj.get("apiVersion", "")).startswith(GROUP):
                continue
            if obj.get("kind") == KIND:
                self._authentications.append(_read(obj))
            elif obj.get("kind") == authorization.KIND:
                policy = authorization.read(obj)
                if policy is not None:
                    self._policies.append(policy)
        self._authentications.sort(key=lambda a: (a.created, a.name))
        self._of: dict[PodEnd, tuple[Policy, ...]] = {}

    def verdict(self, workload: PodEnd, request: Request) -> Verdict:
        """Judge a request at a workload's proxy; a workload outside the mesh takes everything."""
        if workload.ambient:
            request = replace(request, http=False, at_ztunnel=True)
        elif not workload.meshed:
            return Verdict(True, f"{workload} has no sidecar")
        mode, because = self.mutual_tls(workload, request.port)
        if mode == "STRICT" and request.principal is None:
            return Verdict(False, f"plaintext is refused by {because}")
        if mode == "DISABLE" and not workload.ambient:
            request = replace(request, principal=None)
        return authorization.judge(self._selecting(workload), request)

    def at_waypoint(self, gateway: Key, service: Key | None, request: Request) -> Verdict:
        """Judge a request at a waypoint: for one of its Services, or (None) for a pod that is called by its address."""
        targets = {(gateway.namespace, "Gateway", gateway.name)}
        if service is not None:
            targets.add((service.namespace, "Service", service.name))
        return authorization.judge([p for p in self._policies if self._hangs_on(p, targets)], request)

    def _hangs_on(self, policy: Policy, targets: Collection[tuple[str, str, str]]) -> bool:
        if policy.namespace == self._root and any(kind == "GatewayClass" for kind, _ in policy.targets):
            return True
        return any((policy.namespace, *target) in targets for target in policy.targets)

    def mentioned(self) -> Iterator[IPv4Network | IPv6Network]:
        """Give every block that a policy names."""
        for policy in self._policies:
            yield from authorization.mentioned(policy)

    def mutual_tls(self, workload: PodEnd, port: int) -> tuple[Mode, str]:
        """Find a port's mode and the object that sets it: the narrowest scope wins, within a scope the oldest object.

        The root namespace's selectors count for nothing; ports are only set beside a selector.
        """
        scopes: dict[int, _PeerAuthentication] = {}
        for found in self._authentications:
            scope = self._scope(found, workload)
            if scope is not None:
                scopes.setdefault(scope, found)
        mode: Mode = "PERMISSIVE"
        because = "the mesh's default"
        for _, found in sorted(scopes.items()):
            if found.mode is not None:
                mode, because = found.mode, f"{KIND} {found.name}"
        own = scopes.get(_WORKLOAD)
        of_port = own.ports.get(port) if own else None
        if own is None or of_port is None:
            return mode, because
        return of_port, f"{KIND} {own.name} portLevelMtls[{port}]"

    def _scope(self, found: _PeerAuthentication, workload: PodEnd) -> int | None:
        if found.namespace == self._root:
            return None if found.labels else _MESH
        if found.namespace != workload.namespace:
            return None
        if not found.labels:
            return _NAMESPACE
        return _WORKLOAD if all(workload.labels.get(k) == v for k, v in found.labels.items()) else None

    def _selecting(self, workload: PodEnd) -> tuple[Policy, ...]:
        found = self._of.get(workload)
        if found is None:
            found = tuple(p for p in self._policies if p.selects(workload, self._root))
            self._of[workload] = found
        return found


def _read(obj: Raw) -> _PeerAuthentication:
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    namespace = meta.get("namespace") or "default"
    ports = {int(port): _mode(mtls) for port, mtls in (spec.get("portLevelMtls") or {}).items()}
    return _PeerAuthentication(
        f"{namespace}/{meta.get('name', '')}",
        namespace,
        str(meta.get("creationTimestamp") or ""),
        (spec.get("selector") or {}).get("matchLabels") or {},
        _mode(spec.get("mtls")),
        ports,
    )


def _mode(raw: Raw | None) -> Mode | None:
    mode = (raw or {}).get("mode")
    return None if mode in {None, "UNSET"} else cast("Mode", mode)
