"""Routes of Linkerd's let through exactly the requests that callers may make, whoever else may make which."""

import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipesegment.compile.linkerd_routes import MAX_PATHS, covers, routes, sayable
from pipesegment.compile.segment import compile_segment
from pipesegment.evaluate.ambient import Http
from pipesegment.evaluate.endpoints import PodEnd
from pipesegment.evaluate.linkerd import Caller, Linkerd
from pipesegment.reach.edges import HttpRule, Mesh, Mode, PodPeer, PortRange, Principal, Tunnel
from tests.unit.compile.building import NAMESPACE, ingress, reach, selector_of, stage

PATHS = ("/", "/*", "/v1", "/v1*", "/v1/*", "/v1/a", "/v1/a*", "/v1/ab/*", "/v.*", "/healthz")
ASKED = (
    "/",
    "/v1",
    "/v1/",
    "/v1x",
    "/v1/a",
    "/v1/ab",
    "/v1/ab/",
    "/v1/ab/c",
    "/v1/b",
    "/vx",
    "/v.x",
    "/healthz",
    "//",
    "*",
    "",
)
METHODS = ("GET", "POST", "PURGE")
ANY = HttpRule()
CACHE = PodEnd(NAMESPACE, "cache", dict(selector_of("cache").labels), service_account="cache", linkerd="deny")

_rule = st.builds(
    HttpRule,
    st.sampled_from(((), ("GET",), ("GET", "POST"))),
    st.lists(st.sampled_from(PATHS), max_size=3, unique=True).map(tuple),
)
_rules = st.lists(_rule, min_size=1, max_size=3).map(frozenset)
_callers = st.dictionaries(st.sampled_from("abc"), _rules, min_size=1)


def compiled(callers: Any, probes: Any = (), mode: Mode = Mode.ENFORCE) -> Any:
    """Compile a stage that callers, by their accounts, may ask at port 8080."""
    edges = tuple(
        ingress(
            PodPeer(NAMESPACE, selector_of(account)),
            ports=(PortRange("TCP", 8080),),
            principals=(Principal(NAMESPACE, account),),
            tunnel=Tunnel(guarded=True),
            because=account,
            http=() if ANY in rules else tuple(sorted(rules)),
        )
        for account, rules in callers.items()
    )
    return compile_segment(reach(stage("cache", mesh=Mesh.LINKERD, ingress=edges, mode=mode, probes=probes)))


def passes(objects: Any, account: str, method: str, path: str) -> bool:
    identity = f"{account}.{NAMESPACE}.serviceaccount.identity.linkerd.cluster.local"
    caller = Caller((NAMESPACE, account, identity) if account else None, None)
    return Linkerd(objects).verdict(CACHE, 8080, caller, Http(method, path)).allowed


def means(rule: HttpRule, method: str, path: str) -> bool:
    def fits(own: str) -> bool:
        return path.startswith(own[:-1]) if own.endswith("*") else path == own

    return (not rule.methods or method in rule.methods) and (not rule.paths or any(map(fits, rule.paths)))


@settings(max_examples=150, deadline=None)
@given(callers=_callers, probed=st.booleans())
@example(callers={"a": frozenset({HttpRule((), ("/v1*",))}), "b": frozenset({ANY})}, probed=False)
@example(callers={"a": frozenset({HttpRule(("GET",))}), "b": frozenset({HttpRule((), ("/v1/*",))})}, probed=True)
@example(callers={"a": frozenset({HttpRule((), ("/",))}), "b": frozenset({ANY})}, probed=True)
def test_exactly_what_a_caller_may_ask_passes(callers, probed):
    desired = compiled(callers, ((8080, "/healthz"),) if probed else ())
    assert desired.gaps == ()
    for account, rules in callers.items():
        for method in METHODS:
            for path in ASKED:
                declared = any(means(rule, method, path) for rule in rules)
                free = any(ANY in each for each in callers.values())
                routed = any(ANY not in each for each in callers.values())
                probe = probed and routed and (method, path) == ("GET", "/healthz")
                # What no path is beside a route for every request: the longer match is that route's.
                odd = free and not path.startswith("/")
                found = passes(desired.objects, account, method, path)
                assert found == (declared or probe) or (odd and not found), (account, method, path)


@settings(max_examples=150, deadline=None)
@given(callers=_callers)
def test_no_two_paths_fit_one_request_and_whoever_is_at_a_route_may_ask_all_of_it(callers):
    rules = {Principal("a", account): found for account, found in callers.items()}
    found = list(routes(rules, beside_all=False))

    def fits(match: Any, path: str) -> bool:
        return bool(re.fullmatch(match["value"], path)) if match["type"] != "Exact" else match["value"] == path

    for path in ASKED:
        assert len({route.path["value"] for route in found if fits(route.path, path)}) <= 1
        for route in found:
            for method in route.methods or METHODS:
                for who in route.callers if fits(route.path, path) else ():
                    assert any(means(rule, method, path) for rule in rules[who])


def test_a_prefix_that_linkerd_would_take_for_whole_segments_is_an_expression():
    (route,) = routes({Principal("a", "x"): frozenset({HttpRule((), ("/v1/*",))})}, beside_all=False)
    assert route.path == {"type": "RegularExpression", "value": "^/v1/.*$"}
    assert covers("/v1*", "/v1")
    assert covers("/v1*", "/v1/*")
    assert not covers("/v1/*", "/v1")
    assert not covers("/v1", "/v1*")


def test_a_probe_is_let_through_beside_routes_alone_and_by_get():
    objects = compiled({"a": {HttpRule((), ("/v1/*",))}}, ((8080, "/healthz"), (9090, "/other"))).objects
    assert passes(objects, "", "GET", "/healthz")
    assert not passes(objects, "", "POST", "/healthz")
    assert not passes(objects, "", "GET", "/other")
    without = compiled({"a": {ANY}}, ((8080, "/healthz"),)).objects
    assert {o["kind"] for o in without} & {"HTTPRoute", "NetworkAuthentication"} == set()


def test_what_is_audited_has_no_routes():
    desired = compiled({"a": {HttpRule((), ("/v1/*",))}}, ((8080, "/healthz"),), Mode.OBSERVE)
    assert not [o for o in desired.objects if o["kind"] == "HTTPRoute"]
    assert passes(desired.objects, "b", "POST", "/other")
    (policy,) = [o for o in desired.objects if o["kind"] == "AuthorizationPolicy"]
    assert policy["spec"]["targetRef"]["kind"] == "Server"


def test_a_caller_more_leaves_routes_that_its_paths_are_not_in_as_they_are():
    def named(callers: Any) -> set[str]:
        return {o["metadata"]["name"] for o in compiled(callers).objects if o["kind"] == "HTTPRoute"}

    one = {"a": {HttpRule((), ("/v1/*",))}}
    assert named(one) < named({**one, "b": {HttpRule((), ("/v2/*", "/healthz"))}})


def test_too_many_paths_and_too_long_ones_are_gaps():
    assert sayable([HttpRule((), tuple(f"/{n}" for n in range(MAX_PATHS)))])
    assert not sayable([HttpRule((), tuple(f"/{n}" for n in range(MAX_PATHS + 1)))])
    assert not sayable([HttpRule((), ("/*", "/" + "a" * 200))])
    (gap,) = compiled({"a": {HttpRule((), ("/*",))}, "b": {HttpRule((), ("/" + "a" * 200,))}}).gaps[:1]
    assert gap.reason == "HttpNotEnforced"
