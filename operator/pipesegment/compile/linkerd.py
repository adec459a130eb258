"""Linkerd: a Server for each port at which a stage is called, and who may call there.

A Server turns away everybody at its port whom no AuthorizationPolicy authorizes; in Observe its `accessPolicy: audit` only
records that. An AuthorizationPolicy hangs on one Server and requires one authentication: several in one would all have to
hold, and one without any would authorize everybody. Hence one for each caller, whom a MeshTLSAuthentication names by
identity (account, namespace, trust domain). Names follow content and nothing but a Server ever changes: a caller comes by
one object and goes by another, and nobody else is turned away meanwhile.

At ports without a Server the pod's default holds, which no object can set (`reach.tunnels`). Probes keep working: Linkerd
authorizes them at Servers without routes. A port that is known to carry bytes says so: the Server's word takes the place of
the `opaque-ports` annotation, and looking for HTTP first would keep protocols waiting in which servers speak first.

Sources: Linkerd's reference on authorization policy, its page on the feature, and its list of opaque ports.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.capture import admitted, numbers
from pipesegment.compile.objects import owned
from pipesegment.facts.selectors import Selector
from pipesegment.reach.graph import Mesh, Mode, Principal, Reach, StageReach

GROUP: Final = "policy.linkerd.io"
#: The first version in which a Server has an `accessPolicy`.
SERVER_VERSION: Final = f"{GROUP}/v1beta3"
VERSION: Final = f"{GROUP}/v1alpha1"
SERVER: Final = "Server"
AUTHENTICATION: Final = "MeshTLSAuthentication"
POLICY: Final = "AuthorizationPolicy"

#: What Linkerd takes for bytes unless told otherwise: SMTP, MySQL, Galera, PostgreSQL, Redis, Elasticsearch, Memcached.
_OPAQUE: Final = frozenset({25, 587, 3306, 4444, 5432, 6379, 9300, 11211})


def linkerd_objects(reach: Reach) -> list[dict[str, Any]]:
    """Render the policies of every stage in Linkerd that takes any calls."""
    stages = (s for s in reach.stages if s.mesh is Mesh.LINKERD and not s.closed)
    return [obj for stage in stages for obj in _stage_objects(reach, stage)]


def identity(principal: Principal, trust_domain: str) -> str:
    """Write a caller's identity; a `*` in front of a domain means every account of the namespace."""
    account = principal.account or "*"
    return f"{account}.{principal.namespace}.serviceaccount.identity.linkerd.{trust_domain}"


def _stage_objects(reach: Reach, stage: StageReach) -> Iterator[dict[str, Any]]:
    callers: dict[int, set[Principal]] = {}
    for edge in admitted(stage):
        for port in numbers(edge.ports, Mesh.LINKERD):
            callers.setdefault(port, set()).update(edge.principals)
    domain = reach.governance.spec.mesh.trust_domain
    for who in sorted({each for found in callers.values() for each in found}, key=str):
        made = owned(reach, VERSION, AUTHENTICATION, _from(stage, who, domain), stage)
        yield made | {"spec": {"identities": [identity(who, domain)]}}
    for port, found in sorted(callers.items()):
        yield _server(reach, stage, port)
        for who in sorted(found, key=str):
            yield _authorization(reach, stage, port, who)


def _authorization(reach: Reach, stage: StageReach, port: int, who: Principal) -> dict[str, Any]:
    """Authorize one caller at one port."""
    domain = reach.governance.spec.mesh.trust_domain
    made = owned(reach, VERSION, POLICY, _name(stage, f"{port}-{_caller(who, domain)}"), stage)
    made["spec"] = {
        "targetRef": {"group": GROUP, "kind": SERVER, "name": _name(stage, f"port-{port}")},
        "requiredAuthenticationRefs": [{"group": GROUP, "kind": AUTHENTICATION, "name": _from(stage, who, domain)}],
    }
    return made


def _server(reach: Reach, stage: StageReach, port: int) -> dict[str, Any]:
    made = owned(reach, SERVER_VERSION, SERVER, _name(stage, f"port-{port}"), stage)
    bytes_alone = port in _OPAQUE or port in stage.opaque
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
    digest = sha256(identity(who, trust_domain).encode()).hexdigest()[:8]
    return f"from-{digest}-{who.namespace}-{(who.account or 'all').replace('.', '-')}"


def _name(stage: StageReach, suffix: str) -> str:
    return names.suffixed_name(stage.key.segment, stage.key.stage, suffix)
