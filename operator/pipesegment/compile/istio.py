"""Istio in sidecar mode: who may call a stage, how, and what its sidecar knows.

These are an AuthorizationPolicy, a PeerAuthentication and a Sidecar for each stage, and ServiceEntries for the host names
that it reaches.

An ALLOW without `rules` admits nobody; a rule without `from` or `to` matches everything, so `rules: [{}]` never comes
from here (facts, security §0.8). Sources are exact principals: Istio's `serviceAccounts` field once took dots for
wildcards. Ports are the workload's own. UDP and SCTP pass the sidecar by; NetworkPolicy alone carries them.

A stage in Observe gets a dry-run AuthorizationPolicy and nothing else: STRICT would block plaintext, and a Sidecar turns
calls to unlisted Services into plaintext. A refused stage gets the AuthorizationPolicy that admits nobody and nothing
else: its pods are another stage's too, and Istio picks either of two Sidecars. ARC's runner pods are not the stage's
identity and accept nothing by NetworkPolicy.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.capture import admitted, has_tcp, numbers
from pipesegment.compile.objects import owned
from pipesegment.compile.outside import host_names, service_entries
from pipesegment.compile.selecting import combinations
from pipesegment.reach.edges import Edge, HttpRule, Mesh, Mode, PodPeer, Principal
from pipesegment.reach.graph import Reach, StageReach

SECURITY: Final = "security.istio.io/v1"
_NETWORKING: Final = "networking.istio.io/v1"
_DRY_RUN: Final = {"istio.io/dry-run": "true"}
#: Selects no Service at all.
_NO_HOST: Final = "~/*"


def istio_objects(reach: Reach) -> list[dict[str, Any]]:
    """Render the mesh objects of every stage whose pods Istio can select."""
    return [obj for stage in reach.stages if stage.mesh is Mesh.ISTIO for obj in _stage_objects(reach, stage)]


def of_combinations(stage: StageReach) -> list[tuple[str, Mapping[str, str]]]:
    """Name one object for each combination of labels; names follow content, so that one value more renames none."""
    key = stage.key
    found = combinations(stage.selector) or ()
    if len(found) == 1:
        return [(names.object_name(key.segment, key.stage), found[0])]
    digests = (sha256(canonical_bytes(labels)).hexdigest()[:8] for labels in found)
    return [(names.suffixed_name(key.segment, key.stage, d), labels) for d, labels in zip(digests, found, strict=True)]


def strict(reach: Reach, stage: StageReach, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Render the PeerAuthentication that lets in nobody without an identity."""
    made = owned(reach, SECURITY, "PeerAuthentication", name, stage)
    made["spec"] = {"selector": {"matchLabels": dict(labels)}, "mtls": {"mode": "STRICT"}}
    return made


def allow(
    reach: Reach,
    stage: StageReach,
    name: str,
    about: Mapping[str, Any],
    rules: Sequence[dict[str, Any]],
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Render an ALLOW about a selector or targets; without rules it admits nobody."""
    made = owned(reach, SECURITY, "AuthorizationPolicy", name, stage, annotations=annotations)
    made["spec"] = {**about, "action": "ALLOW", **({"rules": rules} if rules else {})}
    return made


def rule(edge: Edge, trust_domain: str, ports: Sequence[int]) -> dict[str, Any]:
    """Render who may come by an edge, at which ports and with which requests."""
    found = operations(ports, edge.http)
    return {"from": sources(edge.principals, trust_domain), **({"to": found} if found else {})}


def sources(principals: Sequence[Principal], trust_domain: str) -> list[dict[str, Any]]:
    """Render the callers. Fields of one source are ANDed, so accounts and whole namespaces are sources of their own."""
    exact = sorted({f"{trust_domain}/ns/{p.namespace}/sa/{p.account}" for p in principals if p.account is not None})
    whole = sorted({p.namespace for p in principals if p.account is None})
    found: list[dict[str, Any]] = []
    if exact:
        found.append({"source": {"principals": exact}})
    if whole:
        found.append({"source": {"namespaces": whole}})
    return found


def operations(ports: Sequence[int], http: Sequence[HttpRule]) -> list[dict[str, Any]]:
    """Render ports and requests; none for every port and every request."""
    at = {"ports": [str(n) for n in ports]} if ports else {}
    found = []
    for rule in http:
        methods = {"methods": sorted(set(rule.methods))} if rule.methods else {}
        paths = {"paths": sorted(set(rule.paths))} if rule.paths else {}
        found.append({"operation": {**at, **methods, **paths}})
    if not found and at:
        return [{"operation": at}]
    return distinct(found)


def distinct(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each of some values once, in an order that its content alone decides."""
    unique = {canonical_bytes(each): each for each in found}
    return [unique[key] for key in sorted(unique)]


def _stage_objects(reach: Reach, stage: StageReach) -> Iterator[dict[str, Any]]:
    found = of_combinations(stage)
    if found and stage.mode is Mode.ENFORCE and not stage.closed and _is_registered(stage):
        yield from service_entries(reach, stage)
    for name, labels in found:
        yield _authorization(reach, stage, name, labels)
        if stage.mode is Mode.ENFORCE and not stage.closed:
            yield strict(reach, stage, name, labels)
            yield _sidecar(reach, stage, name, labels)


def _authorization(reach: Reach, stage: StageReach, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    domain = reach.governance.spec.mesh.trust_domain
    rules = distinct(rule(edge, domain, numbers(edge.ports)) for edge in admitted(stage))
    dry_run = _DRY_RUN if stage.mode is Mode.OBSERVE else None
    return allow(reach, stage, name, {"selector": {"matchLabels": dict(labels)}}, rules, dry_run)


def _sidecar(reach: Reach, stage: StageReach, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    made = owned(reach, _NETWORKING, "Sidecar", name, stage)
    registered = _is_registered(stage)
    known = {host for edge in _leaving(stage) for host in _hosts(stage, edge, registered=registered)}
    made["spec"] = {
        "workloadSelector": {"labels": dict(labels)},
        "egress": [{"hosts": sorted(known) or [_NO_HOST]}],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY" if registered else "ALLOW_ANY"},
    }
    return made


def _leaving(stage: StageReach) -> list[Edge]:
    return [edge for edge in stage.egress if edge.open and has_tcp(edge.ports)]


def _is_registered(stage: StageReach) -> bool:
    """Tell whether a sidecar can know every target of its stage."""
    return all(edge.hosts or host_names(edge) for edge in _leaving(stage))


def _hosts(stage: StageReach, edge: Edge, *, registered: bool) -> Sequence[str]:
    """Give what a sidecar must know to make this edge's calls.

    Plain pods may stand behind a Service in the mesh: with that Service unknown, calls would leave as plaintext and be
    reset, so their namespace is listed. The promise rests on NetworkPolicy, which names the pods.
    """
    if edge.hosts:
        return edge.hosts
    if registered:
        return [f"{stage.key.namespace}/{name}" for name in host_names(edge)]
    return [f"{peer.namespace}/*" for peer in edge.peers if isinstance(peer, PodPeer)]
