"""What Linkerd's sidecars let in: Servers, who is authorized there, and the pod's default everywhere else.

The rules, and where Linkerd's documentation has them (reference 'Authorization Policy', feature 'Authorization Policy',
common errors 'Network Policy', 'Proxy configuration'):

- A Server selects pods of its namespace at one port, by number or by a container port's name. All that comes there is denied
  unless it is authorized, or its `accessPolicy` says otherwise; `audit` lets everything through. (§ Server)
- An AuthorizationPolicy authorizes at a Server, or (`kind: Namespace`) at every Server of its own namespace; of its
  `requiredAuthenticationRefs` all must hold. (§ AuthorizationPolicy) One that names what does not exist counts for nothing;
  one that requires nothing authorizes everybody.
- A MeshTLSAuthentication holds for the identities that it lists, `*` in front meaning every one in a domain and `*` alone
  every one at all, and for the ServiceAccounts and namespaces that it refers to. (§ MeshTLSAuthentication) A ServiceAccount
  may stand in the AuthorizationPolicy itself.
- A NetworkAuthentication holds for addresses in a block and outside of its exceptions. (§ NetworkAuthentication)
- Where no Server names the port, the pod's default decides. (§ Default policies)
- Meshed pods call each other at 4143, whatever port is called (common errors); older ones at the port itself. Both are asked.
- Some ports pass the sidecar by. (proxy configuration: `skip-inbound-ports`, and its own)

- Of a Server's HTTPRoutes a request is the one's that fits it best, by the length of what fits of the path, then by whether the
  method is named; one that fits none is refused. It is authorized by what hangs on that route, or on the Server. Bytes have no
  routes. (§ HTTPRoute; linkerd2-proxy, crate linkerd-http-route)

Where more than one route fits equally, or a route asks for more than path and method, any of them may be it. Without routes
Linkerd lets everybody make the requests of kubelet's probes: pods are asked for what is not that. ServerAuthorizations
authorize whomever they like, as far as is judged here: that only ever makes more of what passes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from pipesegment.evaluate.ambient import Http
from pipesegment.evaluate.endpoints import Address, PodEnd, Port
from pipesegment.evaluate.verdict import Verdict
from pipesegment.facts.selectors import Selector

Raw = Mapping[str, Any]

GROUP: Final = "policy.linkerd.io/"
#: Where a sidecar is called by others.
INBOUND: Final = Port("TCP", 4143)
#: Defaults by whether they ask for an identity; `deny` is none of them.
_DEFAULTS: Final[Mapping[str, bool]] = {
    "all-unauthenticated": False,
    "cluster-unauthenticated": False,
    "audit": False,
    "all-authenticated": True,
    "cluster-authenticated": True,
}
_PASSED_BY: Final = frozenset({4190, 4191, 4567, 4568})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who comes: the account behind mutual TLS as (namespace, account, identity), None without; and from where."""

    account: tuple[str, str, str] | None
    ip: Address | None


_Test = Callable[[Caller], bool]


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    namespace: str
    pods: Selector
    port: int | str
    access: str

    def is_at(self, pod: PodEnd, port: int) -> bool:
        named = {p.name for p in pod.ports if p.name and (p.port, p.protocol) == (port, "TCP")}
        return self.namespace == pod.namespace and self.pods.matches(pod.labels) and self.port in {port, *named}


@dataclass(frozen=True, slots=True)
class _Route:
    name: str
    namespace: str
    servers: frozenset[str]
    matches: tuple[Raw, ...]
    hosts: bool

    def fits(self, http: Http) -> Iterator[tuple[tuple[int, bool], bool]]:
        """Tell how well it fits a request, each way that it does: the better the more, and whether that is certain."""
        for match in self.matches:
            method = match.get("method")
            length = _length(match.get("path") or {}, http.path)
            if length is not None and method in {None, http.method}:
                certain = not (self.hosts or match.get("headers") or match.get("queryParams"))
                yield (length, method is not None), certain


class Linkerd:
    """Linkerd's policies, read once and asked often. Takes plain objects; other kinds are passed over."""

    def __init__(self, objects: Iterable[Raw]) -> None:
        self._servers: list[_Server] = []
        self._routes: list[_Route] = []
        self._policies: list[Raw] = []
        self._open: dict[str, list[tuple[Raw, str]]] = defaultdict(list)
        self._authentications: dict[tuple[str, str, str], _Test] = {}
        for obj in objects:
            if str(obj.get("apiVersion", "")).startswith(GROUP):
                self._read(obj)

    def _read(self, obj: Raw) -> None:
        meta, spec, kind = obj.get("metadata") or {}, obj.get("spec") or {}, obj.get("kind")
        namespace, name = meta.get("namespace") or "default", meta.get("name", "")
        if kind == "Server" and spec.get("podSelector") is not None:
            pods = Selector.parse(spec["podSelector"])
            self._servers.append(
                _Server(name, namespace, pods, spec.get("port", 0), spec.get("accessPolicy") or "deny")
            )
        elif kind == "HTTPRoute":
            parents = frozenset(p["name"] for p in spec.get("parentRefs") or () if p.get("kind") == "Server")
            every: tuple[Raw, ...] = ({},)
            matches = tuple(match for rule in spec.get("rules") or () for match in rule.get("matches") or every)
            self._routes.append(_Route(name, namespace, parents, matches, bool(spec.get("hostnames"))))
        elif kind == "AuthorizationPolicy":
            self._policies.append(obj)
        elif kind == "ServerAuthorization":
            self._open[namespace].append((spec.get("server") or {}, name))
        elif kind == "MeshTLSAuthentication":
            self._authentications[kind, namespace, name] = _mesh_tls(spec, namespace)
        elif kind == "NetworkAuthentication":
            self._authentications[kind, namespace, name] = _network(spec)

    def verdict(self, pod: PodEnd, port: int, caller: Caller, http: Http | None = None) -> Verdict:
        """Judge a call at a pod's sidecar, or one HTTP request; without `http` any request that passes will do."""
        if port in _PASSED_BY:
            return Verdict(True, f"Linkerd passes port {port} by")
        servers = [server for server in self._servers if server.is_at(pod, port)]
        if not servers:
            return _by_default(pod.linkerd, caller, f"the default of {pod} ({pod.linkerd})")
        for server in servers:
            name = f"Server {server.namespace}/{server.name}"
            own = [r for r in self._routes if r.namespace == server.namespace and server.name in r.servers]
            routes = own if http is None else _found(own, http)
            if own and not routes:
                continue
            by = self._authorized(server, routes, caller)
            if by:
                return Verdict(True, f"authorized at {name} by {by}")
            found = _by_default(server.access, caller, f"accessPolicy {server.access} of {name}")
            if found.allowed:
                return found
        return Verdict(
            False, f"nothing authorizes it at {', '.join(f'Server {s.namespace}/{s.name}' for s in servers)}"
        )

    def _authorized(self, server: _Server, routes: Iterable[_Route], caller: Caller) -> str:
        """Name what authorizes a caller at a Server, or at some of its routes; '' when nothing does."""
        meant = {("Server", server.name), ("Namespace", server.namespace), *(("HTTPRoute", r.name) for r in routes)}
        for policy in self._policies:
            meta, spec = policy["metadata"], policy.get("spec") or {}
            namespace = meta.get("namespace") or "default"
            target = spec.get("targetRef") or {}
            if namespace != server.namespace or (target.get("kind"), target.get("name")) not in meant:
                continue
            tests = [self._test(ref, namespace) for ref in spec.get("requiredAuthenticationRefs") or ()]
            if all(test is not None and test(caller) for test in tests):
                return f"AuthorizationPolicy {namespace}/{meta.get('name', '')}"
        for reference, name in self._open[server.namespace]:
            if reference.get("name") in {None, server.name}:
                return f"ServerAuthorization {server.namespace}/{name}"
        return ""

    def _test(self, ref: Raw, namespace: str) -> _Test | None:
        kind, where, name = ref.get("kind", ""), ref.get("namespace") or namespace, ref.get("name", "")
        if kind in {"ServiceAccount", "Namespace"}:
            return _referred([ref], namespace)
        return self._authentications.get((kind, where, name))


def _found(routes: Iterable[_Route], http: Http) -> list[_Route]:
    """Give the routes that a request may be one of."""
    fits = [(route, *fit) for route in routes for fit in route.fits(http)]
    best = max((rank for _, rank, certain in fits if certain), default=(0, False))
    return [route for route, rank, _ in fits if rank >= best]


def _length(match: Raw, path: str) -> int | None:
    """Measure how much of a path fits; None where it does not."""
    kind, value = match.get("type") or "PathPrefix", match.get("value") or "/"
    if kind == "Exact":
        return len(value) if value == path else None
    if kind == "RegularExpression":
        return len(path) if re.fullmatch(value, path) else None
    if value == "/":
        return 1
    stem = value.rstrip("/")
    rest = path.rstrip("/").removeprefix(stem) if path.startswith(stem) else None
    return len(stem) if rest is not None and (not rest or rest.startswith("/")) else None


def _by_default(policy: str, caller: Caller, because: str) -> Verdict:
    asks = _DEFAULTS.get(policy)
    allowed = asks is False or (asks is True and caller.account is not None)
    return Verdict(allowed, f"{'allowed' if allowed else 'denied'} by {because}")


def _mesh_tls(spec: Raw, namespace: str) -> _Test:
    identities, referred = spec.get("identities") or (), _referred(spec.get("identityRefs") or (), namespace)
    return lambda caller: (
        caller.account is not None
        and (any(_is_identity(pattern, caller.account[2]) for pattern in identities) or referred(caller))
    )


def _is_identity(pattern: str, identity: str) -> bool:
    return identity.endswith(pattern[1:]) if pattern.startswith("*") else identity == pattern


def _referred(refs: Iterable[Raw], namespace: str) -> _Test:
    wanted = {
        (ref.get("name"), None)
        if ref.get("kind") == "Namespace"
        else (ref.get("namespace") or namespace, ref.get("name"))
        for ref in refs
    }
    return lambda caller: (
        caller.account is not None
        and not wanted.isdisjoint({(caller.account[0], None), (caller.account[0], caller.account[1])})
    )


def _network(spec: Raw) -> _Test:
    blocks = [
        (ip_network(each["cidr"], strict=False), [ip_network(hole, strict=False) for hole in each.get("except") or ()])
        for each in spec.get("networks") or ()
    ]
    return lambda caller: any(
        caller.ip is None or (caller.ip in block and not any(caller.ip in hole for hole in holes))
        for block, holes in blocks
    )
