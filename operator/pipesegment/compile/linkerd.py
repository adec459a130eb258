"""Linkerd: a Server for each port at which a stage is called, and who may call there.

A Server turns away everybody at its port whom no AuthorizationPolicy authorizes; in Observe its `accessPolicy: audit` only
records that. An AuthorizationPolicy hangs on one Server and requires one authentication: several in one would all have to
hold, and one without any would authorize everybody. Hence one for each caller, whom a MeshTLSAuthentication names by
identity (account, namespace, trust domain). Names follow content and nothing but a Server ever changes: a caller comes by
one object and goes by another, and nobody else is turned away meanwhile.

Where callers may make some requests only, the Server has HTTPRoutes (`linkerd_routes`), and the AuthorizationPolicies of
these callers hang on those; all others are authorized at the Server, and so at each of its routes. A request that fits no
route is refused: hence one for every request where somebody may make any.

At ports without a Server the pod's default holds, which no object can set (`reach.tunnels`). Probes keep working: Linkerd
authorizes them at Servers without routes, and beside routes we do. A port that is known to carry bytes says so: the Server's word takes the place of
the `opaque-ports` annotation, and looking for HTTP first would keep protocols waiting in which servers speak first.

Sources: Linkerd's reference on authorization policy, its page on the feature, and its list of opaque ports.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.capture import admitted, numbers
from pipesegment.compile.linkerd_routes import KUBELET, Rules, routes
from pipesegment.compile.objects import owned
from pipesegment.facts.selectors import Selector
from pipesegment.reach.edges import HttpRule, Mesh, Mode, Principal
from pipesegment.reach.graph import Reach, StageReach

GROUP: Final = "policy.linkerd.io"
#: The first version in which a Server has an `accessPolicy`.
SERVER_VERSION: Final = f"{GROUP}/v1beta3"
VERSION: Final = f"{GROUP}/v1alpha1"
SERVER: Final = "Server"
AUTHENTICATION: Final = "MeshTLSAuthentication"
POLICY: Final = "AuthorizationPolicy"
ROUTE: Final = "HTTPRoute"
NETWORK: Final = "NetworkAuthentication"

#: From where probes come: a node has addresses that nothing tells beforehand. Linkerd lets in as many where it authorizes them.
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")
#: The most matches of one rule.
_MATCHES: Final = 8

#: What Linkerd takes for bytes unless told otherwise: SMTP, MySQL, Galera, PostgreSQL, Redis, Elasticsearch, Memcached.
OPAQUE: Final = frozenset({25, 587, 3306, 4444, 5432, 6379, 9300, 11211})


def linkerd_objects(reach: Reach) -> list[dict[str, Any]]:
    """Render the policies of every stage in Linkerd that takes any calls."""
    stages = (s for s in reach.stages if s.mesh is Mesh.LINKERD and not s.closed)
    return [obj for stage in stages for obj in _stage_objects(reach, stage)]


def identity(principal: Principal, trust_domain: str) -> str:
    """Write a caller's identity; a `*` in front of a domain means every account of the namespace."""
    account = principal.account or "*"
    return f"{account}.{principal.namespace}.serviceaccount.identity.linkerd.{trust_domain}"


def _stage_objects(reach: Reach, stage: StageReach) -> Iterator[dict[str, Any]]:
    callers: dict[int, dict[Principal, set[HttpRule]]] = {}
    for edge in admitted(stage):
        for port in numbers(edge.ports, Mesh.LINKERD):
            for who in edge.principals:
                # What is audited lets every request through, and has no routes.
                rules = edge.http if stage.mode is Mode.ENFORCE else ()
                callers.setdefault(port, {}).setdefault(who, set()).update(rules or (HttpRule(),))
    domain = reach.governance.spec.mesh.trust_domain
    for who in sorted({each for found in callers.values() for each in found}, key=str):
        made = owned(reach, VERSION, AUTHENTICATION, _from(stage, who, domain), stage)
        yield made | {"spec": {"identities": [identity(who, domain)]}}
    probed = False
    for port, found in sorted(callers.items()):
        yield _server(reach, stage, port)
        free = [who for who, rules in found.items() if HttpRule() in rules]
        for who in sorted(free, key=str):
            yield _authorization(reach, stage, port, who)
        held = {who: frozenset(rules) for who, rules in found.items() if who not in free}
        if held:
            paths = tuple(path for at, path in stage.probes if at == port)
            probed = probed or bool(paths)
            probes: Rules = {KUBELET: frozenset({HttpRule(("GET",), paths)})} if paths else {}
            yield from _routed(reach, stage, port, {**held, **probes}, beside_all=bool(free))
    if probed:
        made = owned(reach, VERSION, NETWORK, _from(stage, KUBELET, domain), stage)
        yield made | {"spec": {"networks": [{"cidr": block} for block in _ANYWHERE]}}


def _routed(reach: Reach, stage: StageReach, port: int, held: Rules, *, beside_all: bool) -> Iterator[dict[str, Any]]:
    """Part the requests at a port into routes, and authorize at each who may make them."""
    if beside_all:
        yield _route(reach, stage, port, "all", [{"path": {"type": "PathPrefix", "value": "/"}}])
    for route in routes(held, beside_all=beside_all):
        matches = route.matches()
        suffix = f"http-{sha256(canonical_bytes(matches)).hexdigest()[:12]}"
        yield _route(reach, stage, port, suffix, matches)
        for who in sorted(route.callers, key=str):
            yield _authorization(reach, stage, port, who, suffix)


def _route(reach: Reach, stage: StageReach, port: int, suffix: str, matches: list[dict[str, Any]]) -> dict[str, Any]:
    made = owned(reach, SERVER_VERSION, ROUTE, _name(stage, f"port-{port}-{suffix}"), stage)
    made["spec"] = {
        "parentRefs": [{"group": GROUP, "kind": SERVER, "name": _server_name(stage, port)}],
        "rules": [{"matches": matches[n : n + _MATCHES]} for n in range(0, len(matches), _MATCHES)],
    }
    return made


def _authorization(reach: Reach, stage: StageReach, port: int, who: Principal, route: str = "") -> dict[str, Any]:
    """Authorize one caller at one port, or at one route there."""
    domain = reach.governance.spec.mesh.trust_domain
    server = _server_name(stage, port)
    at = {"kind": ROUTE, "name": _name(stage, f"port-{port}-{route}")} if route else {"kind": SERVER, "name": server}
    name = _name(stage, f"{port}-{route}-{_caller(who, domain)}" if route else f"{port}-{_caller(who, domain)}")
    # The safe order looks at one object at a time, and a route is one of some Server's.
    marks = {names.SERVER_ANNOTATION: server} if route else None
    made = owned(reach, VERSION, POLICY, name, stage, annotations=marks)
    kind = NETWORK if who == KUBELET else AUTHENTICATION
    made["spec"] = {
        "targetRef": {"group": GROUP, **at},
        "requiredAuthenticationRefs": [{"group": GROUP, "kind": kind, "name": _from(stage, who, domain)}],
    }
    return made


def _server_name(stage: StageReach, port: int) -> str:
    return _name(stage, f"port-{port}")


def _server(reach: Reach, stage: StageReach, port: int) -> dict[str, Any]:
    made = owned(reach, SERVER_VERSION, SERVER, _server_name(stage, port), stage)
    bytes_alone = port in OPAQUE or port in stage.opaque
    made["spec"] = {
        "podSelector": _pods(stage.selector),
        "port": port,
        "proxyProtocol": "opaque" if bytes_alone else "unknown",
        "accessPolicy": "audit" if stage.mode is Mode.OBSERVE else "deny",
    }
    return made


def _pods(selector: Selector) -> dict[str, Any]:
    """Render a selector as labels or as expressions: Linkerd takes one of both."""
    rendered = selector.render()
    if "matchExpressions" not in rendered:
        return rendered
    labels = ({"key": k, "operator": "In", "values": [v]} for k, v in rendered.get("matchLabels", {}).items())
    return {"matchExpressions": [*labels, *rendered["matchExpressions"]]}


def _from(stage: StageReach, who: Principal, trust_domain: str) -> str:
    return _name(stage, _caller(who, trust_domain))


def _caller(who: Principal, trust_domain: str) -> str:
    """Name a caller: whoever has another identity has another name."""
    if who == KUBELET:
        return "from-anywhere"
    digest = sha256(identity(who, trust_domain).encode()).hexdigest()[:8]
    return f"from-{digest}-{who.namespace}-{(who.account or 'all').replace('.', '-')}"


def _name(stage: StageReach, suffix: str) -> str:
    return names.suffixed_name(stage.key.segment, stage.key.stage, suffix)
