"""What holds for every Reach: nothing empty that means everything, legal unique names, the same bytes each time."""

import re
from dataclasses import replace
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.compile.canonical import fingerprint, sort_key, to_yaml
from pipesegment.compile.desired import ObjectID
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import AddressPeer, HttpRule, Mesh, Mode, PodPeer, PortRange, Principal, StageKey, Target
from pipesegment.reach.graph import Account, Reach, RunnerReach, StageReach
from tests.unit.compile.building import NAMESPACE, egress, governed, grant, ingress, linked, stage

pytestmark = pytest.mark.thorough
#: A busy machine is not a defect.
patient = settings(deadline=None)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

protocols = st.sampled_from(("TCP", "UDP", "SCTP"))
ports = st.lists(
    st.one_of(
        st.builds(PortRange, protocols, st.sampled_from((80, 443, 8080, 15020))),
        st.builds(PortRange, protocols, st.just(9000), st.sampled_from((9001, 9100))),
        st.builds(PortRange, protocols, st.just("web")),
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
http = st.lists(
    st.sampled_from((HttpRule(("GET",)), HttpRule(("GET", "PUT"), ("/a", "/b/*")), HttpRule((), ("/{x}",)))), max_size=2
).map(tuple)
addresses = st.sampled_from(
    (
        AddressPeer("0.0.0.0/0", ("10.0.0.0/8", "169.254.0.0/16")),
        AddressPeer("10.0.0.0/8", ("10.0.0.0/8",)),
        AddressPeer("203.0.113.0/24"),
        AddressPeer("2001:db8::/32", ("2001:db8::/48",)),
    )
)
pods = st.builds(
    PodPeer,
    st.sampled_from((NAMESPACE, "web")),
    st.sampled_from((Selector.of({"app": "x"}), Selector.of({}, Requirement("app", "Exists")))),
)
outgoing = st.builds(
    lambda peers, p, h, hosts: egress(*peers, ports=p, http=h, hosts=hosts),
    st.lists(st.one_of(addresses, pods), min_size=1, max_size=3),
    st.one_of(st.just(()), ports),
    http,
    st.sampled_from(((), ("web/web.web.svc.cluster.local",))),
)
incoming = st.builds(
    lambda peer, p, h, principals, known: ingress(
        peer,
        ports=p,
        http=h,
        principals=principals,
        other_mesh=known,
        target=Target.CIDR if isinstance(peer, AddressPeer) else Target.PODS,
    ),
    st.one_of(addresses, pods),
    ports,
    http,
    st.lists(st.builds(Principal, st.sampled_from(("web", "x")), st.sampled_from((None, "a", "b"))), max_size=2).map(
        tuple
    ),
    st.sampled_from((None, Mesh.ISTIO, Mesh.NONE)),
)
selecting = st.sampled_from(
    (
        Requirement("task", "In", ("One", "three", "two")),
        Requirement("task", "NotIn", ("x",)),
        Requirement("task", "In", ("only",)),
        None,
    )
)
fronted = st.sampled_from(({}, {"hosts": ()}, {"hosts": (), "fronts": ("ci/web",)}))
label = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@st.composite
def reaches(draw: st.DrawFn) -> Reach:
    segment = draw(label)
    stages: list[StageReach] = []
    for index, name in enumerate(draw(st.lists(label, min_size=1, max_size=4, unique=True))):
        extra = draw(selecting)
        stages.append(
            stage(
                name,
                index,
                key=StageKey(NAMESPACE, segment, name),
                selector=Selector.of({"stage": name}, *([extra] if extra else [])),
                mode=draw(st.sampled_from(Mode)),
                mesh=draw(st.sampled_from(Mesh)),
                account=Account(f"account-{index}", create=draw(st.booleans()), automount=False),
                closed=draw(st.integers(0, 5)) == 0,
                egress=tuple(draw(st.lists(outgoing, max_size=3))),
                ingress=tuple(draw(st.lists(incoming, max_size=3))),
                runner=RunnerReach(Selector.of({"runner": name}), (draw(outgoing),)) if draw(st.booleans()) else None,
            )
        )
    for _ in range(draw(st.integers(0, 4)) if len(stages) > 1 else 0):
        a, b = draw(st.lists(st.integers(0, len(stages) - 1), min_size=2, max_size=2, unique=True))
        stages[a], stages[b] = linked(stages[a], stages[b], ports=draw(ports), http=draw(http), **draw(fronted))
    grants = tuple(
        grant(stage=s.key, grant=Key("web", f"g{i}"), discriminator=f"g{i}") for i, s in enumerate(stages) if i % 2
    )
    return Reach(
        Key(NAMESPACE, segment),
        draw(st.sampled_from(("", "u1"))),
        governed(
            network={
                "exceptStyle": draw(st.sampled_from(("Auto", "Except", "Prefixes"))),
                "inexact": {"http": draw(st.sampled_from(("Deny", "Coarse")))},
            }
        ),
        tuple(stages),
        closing=tuple(Selector.of({"pipeline": str(n)}) for n in range(draw(st.integers(0, 2)))),
        granted=grants,
    )


def specs(desired, kind, group=""):
    return [o["spec"] for o in desired.objects if o["kind"] == kind and o["apiVersion"].startswith(group)]


@patient
@given(reaches())
def test_no_list_that_means_everything_is_empty(reach):
    desired = compile_segment(reach)
    for spec in specs(desired, "NetworkPolicy"):
        assert spec["podSelector"]
        for side, peers in (("ingress", "from"), ("egress", "to")):
            assert (side in spec) is (side.capitalize() in spec["policyTypes"])
            for rule in spec.get(side, ()):
                assert rule[peers]
                assert rule.get("ports", True)
                for peer in rule[peers]:
                    assert peer.keys() in ({"ipBlock"}, {"namespaceSelector", "podSelector"})
                    assert peer.get("namespaceSelector", True)
    for spec in specs(desired, "AuthorizationPolicy", "security.istio.io/"):
        assert spec["action"] == "ALLOW"
        assert spec["selector"]["matchLabels"]
        assert spec.get("rules", True)
        for rule in spec.get("rules", ()):
            assert rule["from"]
            assert all(any(source["source"].values()) and all(source["source"].values()) for source in rule["from"])
            assert rule.get("to", True)
            assert all(to["operation"] and all(to["operation"].values()) for to in rule.get("to", ()))
    for spec in specs(desired, "AuthorizationPolicy", "policy.linkerd.io/"):
        assert spec["requiredAuthenticationRefs"]
    for spec in specs(desired, "MeshTLSAuthentication"):
        assert spec["identities"]
    for spec in specs(desired, "PeerAuthentication"):
        assert spec["selector"]["matchLabels"]
    for spec in specs(desired, "Sidecar"):
        assert spec["workloadSelector"]["labels"]
        assert spec["egress"][0]["hosts"]


@patient
@given(reaches())
def test_every_name_is_legal_and_unique(reach):
    desired = compile_segment(reach)
    ids = [ObjectID.of(o) for o in desired.objects]
    assert len(set(ids)) == len(ids)
    for i in ids:
        assert DNS_LABEL.fullmatch(i.name)
        assert len(i.name) <= 63


@patient
@given(reaches(), st.randoms(use_true_random=False))
def test_same_bytes_each_time_and_in_any_order(reach, random):
    desired = compile_segment(reach)
    first = orjson.dumps(desired.objects)
    assert orjson.dumps(compile_segment(reach).objects) == first
    assert to_yaml(desired.objects) == to_yaml(reversed(desired.objects))

    def shuffled(items):
        return tuple(random.sample(items, len(items)))

    stages = tuple(replace(s, egress=shuffled(s.egress), ingress=shuffled(s.ingress)) for s in reach.stages)
    turned = replace(reach, stages=shuffled(stages), granted=shuffled(reach.granted))
    assert orjson.dumps(compile_segment(turned).objects, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        desired.objects, option=orjson.OPT_SORT_KEYS
    )


@patient
@given(reaches())
def test_objects_are_sorted_and_carry_their_fingerprint(reach):
    objects = compile_segment(reach).objects
    assert all(sort_key(a) < sort_key(b) for a, b in pairwise(objects))
    assert all(o["metadata"]["annotations"][names.HASH_ANNOTATION] == fingerprint(o) for o in objects)


@patient
@given(reaches())
def test_edge_between_enforced_stages_stands_on_both_or_on_neither(reach):
    desired = compile_segment(reach)
    policies = {o["metadata"]["labels"].get(names.STAGE_LABEL): o["spec"] for o in desired.objects if _own(o, reach)}
    by_selector = {s.selector: s for s in reach.stages}

    def ways(side, peers):
        found = set()
        for name, spec in policies.items():
            for rule in spec[side]:
                for peer in rule[peers]:
                    other = by_selector.get(Selector.parse(peer.get("podSelector")))
                    if other is not None and other.key.stage in policies:
                        pair = (name, other.key.stage) if side == "egress" else (other.key.stage, name)
                        found.add((*pair, orjson.dumps(rule.get("ports"))))
        return found

    assert ways("egress", "to") == ways("ingress", "from")


def _own(obj, reach):
    """Tell the policy that bears a stage's own name: not its runner's, nor the pipeline's."""
    stage_name = obj["metadata"]["labels"].get(names.STAGE_LABEL)
    plain = stage_name and names.object_name(reach.segment.name, stage_name)
    return obj["kind"] == "NetworkPolicy" and obj["metadata"]["name"] == plain


@patient
@given(reaches())
def test_what_is_told_names_a_path_a_reason_and_a_way_out(reach):
    desired = compile_segment(reach)
    for finding in (*desired.gaps, *desired.coarse):
        assert finding.path
        assert finding.reason
        assert finding.message
        assert finding.fix
        assert finding.object == str(reach.segment)
    assert desired.gaps == tuple(sorted(set(desired.gaps)))
    assert not desired.coarse or reach.governance.spec.network.inexact.http == "Coarse"
