"""What the compiled objects let through is what was declared, pair by pair, in either reading of ipBlock.

The declaration is read by `declared`, the objects by `evaluate`; in between lie `resolve` and the compilers, which
neither of them uses.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from pipesegment.compile.isolation import isolation
from pipesegment.compile.segment import compile_segment
from pipesegment.declared.declaration import Declaration
from pipesegment.declared.question import Request
from pipesegment.errors import Refused
from pipesegment.evaluate.ambient import Http
from pipesegment.evaluate.endpoints import DEFAULT_POLICY, AddressEnd, End, live
from pipesegment.evaluate.world import World
from pipesegment.facts.parse import snapshot
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.governance import govern
from pipesegment.reach.resolve import resolve
from pipesegment.reach.withheld import withheld
from tests.properties import tunnel_worlds
from tests.properties.segment_worlds import (
    ADDRESSES,
    NAMES,
    PORTS,
    ambient_worlds,
    cilium_worlds,
    linkerd_worlds,
    meshed_worlds,
    worlds,
)
from tests.properties.soak import examples

pytestmark = pytest.mark.thorough
Object = dict[str, Any]


def compiled(snap: Snapshot) -> list[Any]:
    """Compile everything that the operator would own; raises Refused where it would write nothing."""
    objects: list[Any] = []
    for by_name in snap.segments.values():
        for segment in by_name.values():
            if segment.spec is None:
                raise Refused(segment.refusals)
            reach = withheld(resolve(segment, snap))
            if reach.refusals:
                raise Refused(reach.refusals)
            objects += compile_segment(reach).objects
    for namespace in snap.namespaces:
        found = govern(namespace, snap)
        if found.name:
            objects += isolation(found.name, found.uid, found.spec, {namespace: ""}).objects
    return objects


#: The things outside, as Cilium knows them: the API server as what it is, hosts by the names they were looked up under.
KNOWN = {
    "192.0.2.1": AddressEnd("192.0.2.1", entities=("kube-apiserver",)),
    **{name: AddressEnd("192.0.2.77", (name,)) for name in NAMES},
}


def disagreements(
    raw: list[Object],
    met: Counter[bool],
    *,
    exactly: bool = True,
    outside: Mapping[str, AddressEnd] = {},
    now: datetime | None = None,
    requests: Sequence[Http] = (),
) -> list[str]:
    """Ask both about every pair of ends at every port, and about `requests` there; unless `exactly`, only what is open beyond the declaration counts.

    A way into an isolated namespace that nobody granted counts as declared by contract, and stays closed.
    """
    snap = replace(snapshot(raw), now=now)
    try:
        objects = compiled(snap)
    except Refused:
        return []
    services = [service for by_name in snap.services.values() for service in by_name.values()]
    gateways = [gateway for by_name in snap.gateways.values() for gateway in by_name.values()]
    world, declaration = World(objects, services, gateways), Declaration(snap)
    ends: list[End] = [*live(snap), *(outside.get(a, AddressEnd(a)) for a in dict.fromkeys((*ADDRESSES, *outside)))]
    found = []
    for source in ends:
        for destination in ends:
            for port in PORTS:
                declared = declaration.judge(source, destination, port)
                enforced = world.judge(source, destination, port)
                met[declared.allowed] += 1
                missing = declared.allowed and not (enforced.enforced and enforced.certain) and not declared.ungranted
                if (enforced.enforced and not declared.allowed) or (missing and exactly):
                    found.append(f"{source} → {destination} {port}: {declared} but {enforced.because}")
                for http in requests if enforced.enforced and port.protocol == "TCP" else ():
                    asked = declaration.judge(source, destination, port, Request(*http))
                    got = world.judge(source, destination, port, http)
                    if got.enforced and not asked.allowed:
                        found.append(f"{source} → {destination} {port} {http}: {asked} but {got.because}")
    return found


# Shrinking a whole world takes minutes and the message names the way: the first example found is shown as it is.
THOROUGH = settings(
    max_examples=examples(40),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_objects_allow_what_is_declared() -> None:
    """Without a mesh every answer agrees, and neither answer is rare."""
    met: Counter[bool] = Counter()

    @THOROUGH
    @given(raw=worlds())
    def agree(raw: list[Object]) -> None:
        assert disagreements(raw, met) == []

    agree()
    assert min(met[True], met[False]) > met.total() / 20


def test_objects_allow_what_is_declared_where_cilium_enforces() -> None:
    """Host names included. A stage without DNS learns none, and they stay closed: a gap."""
    met: Counter[bool] = Counter()

    @THOROUGH
    @given(raw=cilium_worlds())
    def agree(raw: list[Object]) -> None:
        found = disagreements(raw, met, outside=KNOWN)
        assert [way for way in found if "example.com" not in way or "Answer(allowed=False" in way] == []

    agree()
    assert min(met[True], met[False]) > met.total() / 20


def test_objects_allow_no_more_than_declared_in_a_mesh() -> None:
    """In the mesh ways stay closed that it cannot express (a gap each), but nothing is open that was not declared."""
    met: Counter[bool] = Counter()

    @THOROUGH
    @given(raw=meshed_worlds())
    def agree(raw: list[Object]) -> None:
        assert disagreements(raw, met, exactly=False) == []

    agree()
    assert min(met[True], met[False]) > met.total() / 20


def test_where_nobody_knows_who_governs_both_say_no() -> None:
    """Two classes tie for one of the namespaces, or for all: nothing of the stages there is open, by either account."""
    met: Counter[bool] = Counter()

    def tied(raw: list[Object], selector: Object) -> list[Object]:
        api = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentClass"}
        rivals = [
            {**api, "metadata": {"name": name}, "spec": {"priority": 9, "namespaceSelector": selector}} for name in "ab"
        ]
        return [*raw, *rivals]

    here = {"matchLabels": {"kubernetes.io/metadata.name": "ci"}}

    @THOROUGH
    @given(raw=st.builds(tied, worlds(), st.sampled_from(({}, here))))
    def agree(raw: list[Object]) -> None:
        assert disagreements(raw, met) == []

    agree()
    assert min(met[True], met[False]) > met.total() / 50


def guarded(raw: list[Object]) -> Callable[[str], bool]:
    """Tell of a way whether a policy of ours holds it: an ALLOW in front of the pod, or a DENY there for the caller."""
    snap = snapshot(raw)
    policies = [obj for obj in compiled(snap) if obj["kind"] == "AuthorizationPolicy" and "selector" in obj["spec"]]
    everyone, some = set(), set()
    for policy in policies:
        spec, labels = policy["spec"], policy["spec"]["selector"]["matchLabels"].items()
        pods = [p for p in live(snap) if p.namespace == policy["metadata"]["namespace"] and labels <= p.labels.items()]
        everyone |= {str(pod) for pod in pods if spec["action"] == "ALLOW"}
        for rule in spec.get("rules", ()) if spec["action"] == "DENY" else ():
            denied = {name for each in rule["from"] for name in each["source"]["principals"]}
            callers = [p for p in live(snap) if f"cluster.local/ns/{p.namespace}/sa/{p.service_account}" in denied]
            some |= {(str(caller), str(pod)) for caller in callers for pod in pods}

    def held(way: str) -> bool:
        source, _, rest = way.partition(" → ")
        destination = rest.partition(" ")[0]
        return destination in everyone or (source, destination) in some

    return held


def test_objects_allow_no_more_than_declared_in_the_ambient_mesh() -> None:
    """But towards captured pods that nothing of ours guards, where the tunnel carries every port: that is told."""
    met: Counter[bool] = Counter()
    coarse: Counter[bool] = Counter()

    @THOROUGH
    @given(raw=ambient_worlds())
    @example(raw=tunnel_worlds.unguarded())
    @example(raw=tunnel_worlds.granted("Callers"))
    @example(raw=tunnel_worlds.granted("Everyone"))
    @example(raw=tunnel_worlds.two_ports_of_one_namespace())
    @example(raw=tunnel_worlds.some_pods_by_a_waypoint())
    def no_wider(raw: list[Object]) -> None:
        found = disagreements(raw, met, exactly=False)
        if not found:
            return
        held = guarded(raw)
        wider = [way for way in found if held(way)]
        coarse[True] += len(found) - len(wider)
        assert wider == []

    no_wider()
    assert min(met[True], met[False]) > met.total() / 40
    assert coarse[True], "no world had captured pods that nothing guards"


#: What kubelet asks is for everybody, and not asked here.
REQUESTS = (Http("GET", "/"), Http("PUT", "/v1/a"), Http("POST", "/v1/b"), Http("PUT", "/v1"))


def test_objects_allow_no_more_than_declared_in_linkerd() -> None:
    """But towards pods whose default lets in more than nothing, where one port carries every other: that is told.

    Where every stage's namespace denies what no Server names, stages are held to exactly what is declared.
    """
    met: Counter[bool] = Counter()
    coarse: Counter[bool] = Counter()

    @THOROUGH
    @given(raw=linkerd_worlds())
    @example(raw=tunnel_worlds.unguarded(linkerd=True))
    @example(raw=tunnel_worlds.two_ports_of_one_namespace(linkerd=True))
    def no_wider(raw: list[Object]) -> None:
        found = disagreements(raw, met, exactly=False, requests=REQUESTS)
        if not found:
            return
        snap = snapshot(raw)
        denying = {n for n, found in snap.namespaces.items() if found.meta.annotations.get(DEFAULT_POLICY) == "deny"}
        objects = compiled(snap)
        shut = [(o["metadata"]["namespace"], o["spec"]["podSelector"]) for o in objects if o["kind"] == "NetworkPolicy"]
        observing = {
            str(pod)
            for pod in live(snap)
            if not any(pod.namespace == n and Selector.parse(s).matches(pod.labels) for n, s in shut)
        }
        wider = [
            way
            for way in found
            if (target := way.partition(" → ")[2].partition(" ")[0]).partition("/")[0] in denying
            and target not in observing
        ]
        coarse[True] += len(found) - len(wider)
        assert wider == []

    no_wider()
    assert min(met[True], met[False]) > met.total() / 40
    assert coarse[True], "no world had pods in Linkerd that nothing guards"
