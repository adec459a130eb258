"""What sidecars let through: AuthorizationPolicy and PeerAuthentication, rule by rule."""

from typing import Any

import pytest

from pipesegment.evaluate.authorization import Request
from pipesegment.evaluate.endpoints import PodEnd
from pipesegment.evaluate.istio import Istio

BUILD = "cluster.local/ns/ci/sa/shop-build"
TEST = "cluster.local/ns/ci/sa/shop-test"
OTHER = "cluster.local/ns/shop/sa/web"
POD = PodEnd("ci", "pod", {"app": "cache", "tier": "data"}, meshed=True)


def authorization(spec: dict[str, Any], name: str = "one", namespace: str = "ci", **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": namespace, **meta},
        "spec": spec,
    }


def authentication(spec: dict[str, Any], name: str = "one", namespace: str = "ci", created: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created or None},
        "spec": spec,
    }


def http(principal: str | None = BUILD, method: str = "GET", path: str = "/", port: int = 8080) -> Request:
    return Request(principal, port, http=True, method=method, path=path)


def tcp(principal: str | None = BUILD, port: int = 8080) -> Request:
    return Request(principal, port)


def allowed(request: Request, *specs: dict[str, Any], pod: PodEnd = POD) -> bool:
    return Istio(authorization(spec, f"p{i}") for i, spec in enumerate(specs)).verdict(pod, request).allowed


def rule(source: dict[str, Any] | None = None, operation: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = dict(more)
    if source is not None:
        found["from"] = [{"source": source}]
    if operation is not None:
        found["to"] = [{"operation": operation}]
    return found


def allow(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"action": "ALLOW", "rules": list(rules)}


def deny(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"action": "DENY", "rules": list(rules)}


class TestEmptiness:
    """Absent and empty mean different things at each level."""

    def test_no_policy_allows(self) -> None:
        """A workload that no policy selects takes everything."""
        assert allowed(tcp())

    @pytest.mark.parametrize("spec", [{}, {"action": "ALLOW"}, {"rules": []}, {"action": "ALLOW", "rules": None}])
    def test_an_allow_without_rules_denies_everything(self, spec: dict[str, Any]) -> None:
        """It matches nothing, and an ALLOW that exists must match."""
        assert not allowed(tcp(), spec)
        assert not allowed(http(), spec)

    @pytest.mark.parametrize("found", [{}, None, {"from": [], "to": [], "when": []}])
    def test_a_rule_without_conditions_matches_everything(self, found: dict[str, Any] | None) -> None:
        """As an ALLOW it opens, as a DENY it closes."""
        assert allowed(tcp(None), {"rules": [found]})
        assert not allowed(tcp(), {"action": "DENY", "rules": [found]})

    def test_a_deny_without_rules_denies_nothing(self) -> None:
        """It matches nothing."""
        assert allowed(tcp(), deny())

    def test_empty_fields_mean_any(self) -> None:
        """Empty lists are lists that are not there."""
        assert allowed(http(OTHER, "PUT"), allow(rule({"principals": []}, {"methods": [], "paths": []})))


class TestCombination:
    """Several policies on one workload."""

    def test_one_allow_that_matches_is_enough(self) -> None:
        """ALLOWs are a union."""
        assert allowed(tcp(TEST), allow(rule({"principals": [BUILD]})), allow(rule({"principals": [TEST]})))
        assert not allowed(tcp(OTHER), allow(rule({"principals": [BUILD]})), allow(rule({"principals": [TEST]})))

    def test_deny_wins(self) -> None:
        """A DENY that matches beats every ALLOW."""
        assert not allowed(tcp(), allow({}), deny(rule({"principals": [BUILD]})))
        assert allowed(tcp(TEST), allow({}), deny(rule({"principals": [BUILD]})))

    def test_the_root_namespace_adds_its_own(self) -> None:
        """Its policies hold for every namespace, with their selector."""
        here = authorization(allow({}))
        everywhere = authorization(deny(rule({"principals": [BUILD]})), namespace="istio-system")
        selected = authorization(
            {**deny(rule({"principals": [TEST]})), "selector": {"matchLabels": {"app": "cache"}}}, "sel", "istio-system"
        )
        istio = Istio([here, everywhere, selected])
        assert [istio.verdict(POD, tcp(p)).allowed for p in (BUILD, TEST, OTHER)] == [False, False, True]
        assert istio.verdict(PodEnd("shop", "web", {"app": "web"}, meshed=True), tcp(TEST)).allowed

    def test_another_namespace_has_no_say(self) -> None:
        """Nor has a root namespace of another name."""
        assert Istio([authorization({}, namespace="shop")]).verdict(POD, tcp()).allowed
        assert Istio([authorization({}, namespace="istio-system")], root_namespace="mesh").verdict(POD, tcp()).allowed

    @pytest.mark.parametrize(
        ("labels", "selected"),
        [
            ({}, True),
            ({"app": "cache"}, True),
            ({"app": "cache", "tier": "data"}, True),
            ({"app": "cache", "x": "y"}, False),
        ],
    )
    def test_a_selector_needs_every_label(self, labels: dict[str, str], selected: bool) -> None:
        """A selector with one label too many selects nothing."""
        assert allowed(tcp(), {"selector": {"matchLabels": labels}}) is not selected

    @pytest.mark.parametrize("action", ["AUDIT", "CUSTOM"])
    def test_other_actions_do_not_act(self, action: str) -> None:
        """They neither open nor, as far as can be told, close."""
        assert allowed(tcp(), {"action": action, "rules": [{}]})
        assert not allowed(tcp(), {"action": action, "rules": [{}]}, {})

    @pytest.mark.parametrize(
        ("value", "acts"), [("true", False), ("1", False), ("false", True), ("yes", True), (None, True)]
    )
    def test_a_dry_run_does_not_act(self, value: str | None, acts: bool) -> None:
        """The annotation leaves the workload as if the policy were not there."""
        annotations = {} if value is None else {"istio.io/dry-run": value}
        assert Istio([authorization({}, annotations=annotations)]).verdict(POD, tcp()).allowed is not acts

    @pytest.mark.parametrize(
        "field", [{"targetRefs": [{"kind": "Service", "name": "a"}]}, {"targetRef": {"name": "a"}}]
    )
    def test_policies_of_waypoints_are_not_the_sidecars(self, field: dict[str, Any]) -> None:
        """They attach to something else."""
        assert allowed(tcp(), field)

    def test_a_workload_without_a_sidecar_takes_everything(self) -> None:
        """There is nobody to enforce."""
        bare = PodEnd("ci", "pod", {"app": "cache"})
        assert Istio([authorization({})]).verdict(bare, tcp(None)) == (True, "ci/pod has no sidecar")


@pytest.mark.parametrize(
    ("source", "principal", "matches"),
    [
        ({"principals": [BUILD]}, BUILD, True),
        ({"principals": [BUILD]}, f"{BUILD}er", False),
        ({"principals": [f"spiffe://{BUILD}"]}, BUILD, False),
        ({"principals": [BUILD]}, None, False),
        ({"principals": ["*"]}, BUILD, True),
        ({"principals": ["*"]}, None, False),
        ({"principals": ["cluster.local/ns/ci/*"]}, BUILD, True),
        ({"principals": ["cluster.local/ns/ci/*"]}, OTHER, False),
        ({"principals": ["*/sa/shop-build"]}, BUILD, True),
        ({"principals": ["*/sa/shop-build"]}, TEST, False),
        ({"principals": [TEST, BUILD]}, BUILD, True),
        ({"notPrincipals": [BUILD]}, BUILD, False),
        ({"notPrincipals": [BUILD]}, TEST, True),
        ({"notPrincipals": ["*"]}, BUILD, False),
        ({"notPrincipals": ["*"]}, None, True),
        ({"principals": ["cluster.local/ns/ci/*"], "notPrincipals": [BUILD]}, TEST, True),
        ({"principals": ["cluster.local/ns/ci/*"], "notPrincipals": [BUILD]}, BUILD, False),
        ({"namespaces": ["ci"]}, BUILD, True),
        ({"namespaces": ["c*"]}, BUILD, True),
        ({"namespaces": ["ci"]}, OTHER, False),
        ({"namespaces": ["ci"]}, None, False),
        ({"notNamespaces": ["ci"]}, BUILD, False),
        ({"notNamespaces": ["ci"]}, OTHER, True),
        ({"notNamespaces": ["ci"]}, None, True),
        ({"serviceAccounts": ["ci/shop-build"]}, BUILD, True),
        ({"serviceAccounts": ["shop-build"]}, BUILD, True),
        ({"serviceAccounts": ["shop-build"]}, "cluster.local/ns/other/sa/shop-build", False),
        ({"serviceAccounts": ["ci/shop"]}, BUILD, False),
        ({"notServiceAccounts": ["ci/shop-build"]}, BUILD, False),
        ({"notServiceAccounts": ["ci/shop-build"]}, None, True),
        ({"principals": [BUILD], "namespaces": ["shop"]}, BUILD, False),
    ],
)
def test_sources(source: dict[str, Any], principal: str | None, matches: bool) -> None:
    """A source matches when all of its fields do; as an ALLOW it opens, as a DENY it closes."""
    assert allowed(tcp(principal), allow(rule(source))) is matches
    assert allowed(tcp(principal), deny(rule(source))) is not matches


@pytest.mark.parametrize(
    ("operation", "request_", "matches"),
    [
        ({"ports": ["8080"]}, tcp(port=8080), True),
        ({"ports": ["8080"]}, tcp(port=80), False),
        ({"notPorts": ["8080"]}, tcp(port=8080), False),
        ({"notPorts": ["8080"]}, tcp(port=80), True),
        ({"ports": ["80", "8080"]}, http(port=8080), True),
        ({"methods": ["GET"]}, http(method="GET"), True),
        ({"methods": ["GET"]}, http(method="PUT"), False),
        ({"methods": ["get"]}, http(method="GET"), False),
        ({"notMethods": ["GET"]}, http(method="GET"), False),
        ({"notMethods": ["GET"]}, http(method="PUT"), True),
        ({"methods": ["*"]}, http(method="PUT"), True),
        ({"paths": ["/api"]}, http(path="/api"), True),
        ({"paths": ["/api"]}, http(path="/api?x=1"), True),
        ({"paths": ["/api"]}, http(path="/api/"), False),
        ({"paths": ["/api/*"]}, http(path="/api/v1/x"), True),
        ({"paths": ["/api/*"]}, http(path="/api"), False),
        ({"paths": ["*/info"]}, http(path="/a/info"), True),
        ({"paths": ["*/info"]}, http(path="/a/info2"), False),
        ({"paths": ["*"]}, http(path="/"), True),
        ({"notPaths": ["/admin*"]}, http(path="/admin/x"), False),
        ({"notPaths": ["/admin*"]}, http(path="/x"), True),
        ({"ports": ["8080"], "methods": ["GET"], "paths": ["/api"]}, http(path="/api"), True),
        ({"ports": ["80"], "methods": ["GET"], "paths": ["/api"]}, http(path="/api"), False),
    ],
)
def test_operations(operation: dict[str, Any], request_: Request, matches: bool) -> None:
    """An operation matches when all of its fields do."""
    assert allowed(request_, allow(rule(operation=operation))) is matches
    assert allowed(request_, deny(rule(operation=operation))) is not matches


def test_sources_and_operations_are_alternatives_among_themselves() -> None:
    """One of `from`, one of `to`, every `when`."""
    found = {
        "from": [{"source": {"principals": [BUILD]}}, {"source": {"principals": [TEST]}}],
        "to": [{"operation": {"ports": ["80"]}}, {"operation": {"ports": ["81"], "methods": ["GET"]}}],
        "when": [{"key": "source.namespace", "values": ["ci"]}],
    }
    cases = {
        (BUILD, 80, "PUT"): True,
        (TEST, 81, "GET"): True,
        (TEST, 81, "PUT"): False,
        (OTHER, 80, "GET"): False,
        (BUILD, 82, "GET"): False,
    }
    assert {c: allowed(http(c[0], c[2], port=c[1]), allow(found)) for c in cases} == cases


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ({"key": "source.principal", "values": [BUILD]}, True),
        ({"key": "source.principal", "notValues": [BUILD]}, False),
        ({"key": "source.namespace", "values": ["shop"]}, False),
        ({"key": "source.serviceAccount", "values": ["ci/shop-build"]}, True),
        ({"key": "source.ip", "values": ["10.0.0.0/8"]}, True),
        ({"key": "source.ip", "values": ["10.0.0.2"]}, False),
        ({"key": "remote.ip", "notValues": ["10.0.0.0/8"]}, False),
        ({"key": "destination.ip", "values": ["10.0.0.9"]}, True),
        ({"key": "destination.port", "values": ["8080"]}, True),
        ({"key": "destination.port", "notValues": ["8080"]}, False),
    ],
)
def test_when(when: dict[str, Any], matches: bool) -> None:
    """Conditions of `when` that the question fixes."""
    request = Request(BUILD, 8080, source_ip="10.0.0.1", destination_ip="10.0.0.9")
    assert allowed(request, allow(rule(when=[when]))) is matches
    assert allowed(request, deny(rule(when=[when]))) is not matches


@pytest.mark.parametrize(
    "found",
    [
        rule(operation={"hosts": ["a.example.com"]}),
        rule(operation={"notHosts": ["a.example.com"]}),
        rule(operation={"paths": ["/a/{*}"]}),
        rule({"requestPrincipals": ["issuer/subject"]}),
        rule({"notRequestPrincipals": ["*"]}),
        rule(when=[{"key": "request.headers[x-a]", "values": ["1"]}]),
        rule(when=[{"key": "request.auth.claims[a]", "values": ["1"]}]),
        rule(when=[{"key": "connection.sni", "values": ["a"]}]),
        rule({"ipBlocks": ["192.0.2.0/24"]}),
    ],
)
def test_what_the_question_leaves_open_is_the_callers_to_choose(found: dict[str, Any]) -> None:
    """It satisfies an ALLOW and dodges a DENY."""
    assert allowed(http(), allow(found))
    assert allowed(http(), deny(found))


class TestBytes:
    """HTTP fields where the sidecar does not read HTTP."""

    @pytest.mark.parametrize(
        "found",
        [
            rule(operation={"methods": ["GET"]}),
            rule(operation={"paths": ["/"], "ports": ["8080"]}),
            rule({"requestPrincipals": ["*"]}),
            rule({"principals": [BUILD]}, {"hosts": ["a"]}),
            rule(when=[{"key": "request.headers[a]", "values": ["b"]}]),
        ],
    )
    def test_an_allow_rule_with_http_matches_no_bytes(self, found: dict[str, Any]) -> None:
        """The rule is dropped whole."""
        assert not allowed(tcp(), allow(found))

    def test_one_http_operation_drops_its_neighbours_too(self) -> None:
        """The whole rule goes, not the operation."""
        found = {"to": [{"operation": {"ports": ["8080"]}}, {"operation": {"methods": ["GET"]}}]}
        assert not allowed(tcp(), allow(found))
        assert allowed(http(), allow(found))

    def test_another_rule_still_matches(self) -> None:
        """Rules are dropped one by one."""
        assert allowed(tcp(), allow(rule(operation={"methods": ["GET"]}), rule({"principals": [BUILD]})))

    def test_a_deny_rule_loses_its_http_part_and_denies_more(self) -> None:
        """What is left of the rule still matches."""
        spec = deny(rule({"principals": [BUILD]}, {"methods": ["PUT"], "ports": ["8080"]}))
        assert allowed(http(method="GET"), spec)
        assert not allowed(tcp(), spec)
        assert allowed(tcp(TEST), spec)
        assert allowed(tcp(port=80), spec)

    def test_a_deny_rule_of_http_alone_denies_all_bytes(self) -> None:
        """Nothing is left of the rule, and so it matches everything."""
        assert not allowed(tcp(TEST), deny(rule(operation={"methods": ["PUT"]})))


class TestOpenRequests:
    """Without a method and a path the question is whether any passes."""

    any_ = Request(BUILD, 8080, http=True)

    @pytest.mark.parametrize(
        ("specs", "passes"),
        [
            ([allow(rule(operation={"methods": ["GET"], "paths": ["/api/*"]}))], True),
            ([allow(rule(operation={"methods": ["GET"]})), deny(rule(operation={"methods": ["GET"]}))], False),
            ([allow(rule(operation={"paths": ["/a*"]})), deny(rule(operation={"paths": ["/a"]}))], True),
            ([allow(rule(operation={"paths": ["/a", "/b"]})), deny(rule(operation={"paths": ["/a"]}))], True),
            ([allow(rule(operation={"paths": ["/a"]})), deny(rule(operation={"paths": ["/*"]}))], False),
            ([allow(rule(operation={"paths": ["/a*"]})), deny(rule(operation={"notPaths": ["*z"]}))], True),
            ([deny(rule(operation={"notMethods": ["GET"]})), deny(rule(operation={"methods": ["GET"]}))], False),
            ([deny(rule(operation={"notMethods": ["GET", "PUT"], "paths": ["*"]}))], True),
        ],
    )
    def test_any_passes(self, specs: list[dict[str, Any]], passes: bool) -> None:
        """The search finds a request wherever there is one."""
        assert allowed(self.any_, *specs) is passes


class TestMutualTLS:
    """PeerAuthentication decides whether a caller is known at all."""

    @pytest.mark.parametrize(
        ("mode", "plain", "known"),
        [
            ("STRICT", False, True),
            ("PERMISSIVE", True, True),
            ("DISABLE", True, False),
            ("UNSET", True, True),
            (None, True, True),
        ],
    )
    def test_modes(self, mode: str | None, plain: bool, known: bool) -> None:
        """STRICT refuses plaintext; DISABLE knows nobody."""
        spec = {} if mode is None else {"mtls": {"mode": mode}}
        istio = Istio([authentication(spec)])
        assert istio.verdict(POD, tcp(None)).allowed is plain
        strict = Istio([authentication(spec), authorization(allow(rule({"principals": [BUILD]})))])
        assert strict.verdict(POD, tcp()).allowed is known

    def test_the_default_is_permissive(self) -> None:
        """Without any object plaintext passes."""
        assert Istio([]).mutual_tls(POD, 80) == ("PERMISSIVE", "the mesh's default")

    def test_the_narrowest_scope_wins(self) -> None:
        """Mesh, then namespace, then workload."""
        mesh = authentication({"mtls": {"mode": "STRICT"}}, "mesh", "istio-system")
        namespace = authentication({"mtls": {"mode": "PERMISSIVE"}}, "ns")
        own = authentication({"selector": {"matchLabels": {"app": "cache"}}, "mtls": {"mode": "DISABLE"}}, "own")
        foreign = authentication({"selector": {"matchLabels": {"app": "web"}}, "mtls": {"mode": "STRICT"}}, "foreign")
        assert Istio([mesh]).mutual_tls(POD, 80) == ("STRICT", "PeerAuthentication istio-system/mesh")
        assert Istio([mesh, namespace, foreign]).mutual_tls(POD, 80) == ("PERMISSIVE", "PeerAuthentication ci/ns")
        assert Istio([own, mesh, namespace]).mutual_tls(POD, 80) == ("DISABLE", "PeerAuthentication ci/own")

    def test_unset_inherits(self) -> None:
        """A scope that sets no mode leaves the wider one's."""
        mesh = authentication({"mtls": {"mode": "STRICT"}}, "mesh", "istio-system")
        namespace = authentication({"mtls": {"mode": "UNSET"}}, "ns")
        own = authentication({"selector": {"matchLabels": {"app": "cache"}}}, "own")
        assert Istio([mesh, namespace, own]).mutual_tls(POD, 80)[0] == "STRICT"

    def test_a_port_may_differ(self) -> None:
        """Only beside a selector, and only when set."""
        ports = {80: {"mode": "PERMISSIVE"}, "81": {"mode": "UNSET"}}
        selector = {"matchLabels": {"app": "cache"}}
        own = Istio([authentication({"selector": selector, "mtls": {"mode": "STRICT"}, "portLevelMtls": ports})])
        assert [own.mutual_tls(POD, port)[0] for port in (80, 81, 82)] == ["PERMISSIVE", "STRICT", "STRICT"]
        wide = Istio([authentication({"mtls": {"mode": "STRICT"}, "portLevelMtls": ports})])
        assert wide.mutual_tls(POD, 80)[0] == "STRICT"

    def test_the_oldest_of_one_scope_counts(self) -> None:
        """As istiod sorts them."""
        young = authentication({"mtls": {"mode": "STRICT"}}, "a", created="2030-02-01T00:00:00Z")
        old = authentication({"mtls": {"mode": "DISABLE"}}, "b", created="2030-01-01T00:00:00Z")
        assert Istio([young, old]).mutual_tls(POD, 80)[0] == "DISABLE"

    def test_a_selector_in_the_root_namespace_counts_for_nothing(self) -> None:
        """As istiod has it."""
        selector = {"matchLabels": {"app": "cache"}}
        found = authentication({"selector": selector, "mtls": {"mode": "STRICT"}}, namespace="istio-system")
        assert Istio([found]).mutual_tls(POD, 80)[0] == "PERMISSIVE"

    def test_the_refusal_names_the_object(self) -> None:
        """People find the object by the reason."""
        verdict = Istio([authentication({"mtls": {"mode": "STRICT"}})]).verdict(POD, tcp(None))
        assert verdict == (False, "plaintext is refused by PeerAuthentication ci/one")


def test_reasons_name_policy_and_rule() -> None:
    """Every verdict says which rule, or which policies lack one."""
    istio = Istio([authorization(allow(rule({"principals": [TEST]}), rule({"principals": [BUILD]})))])
    assert istio.verdict(POD, tcp()).because == "allowed by AuthorizationPolicy ci/one rules[1]"
    assert istio.verdict(POD, tcp(OTHER)).because == "no rule of AuthorizationPolicy ci/one allows it"
    assert (
        Istio([authorization(deny({}))]).verdict(POD, tcp()).because == "denied by AuthorizationPolicy ci/one rules[0]"
    )


def test_objects_of_other_groups_are_passed_over() -> None:
    """A kind of the same name elsewhere is not Istio's."""
    foreign = {**authorization({}), "apiVersion": "policy.linkerd.io/v1alpha1"}
    assert Istio([foreign]).verdict(POD, tcp()).allowed
