"""What one policy's words provably allow beside another's: True is a proof, False is 'not provable'."""

from typing import Any

import pytest

from pipesegment.plan import fences
from pipesegment.plan.fences import Fence, Plane, Rule, shut, with_rules
from pipesegment.plan.terms import ANYTHING, Term, Words, block, covers, fields, peer, ports
from tests.unit.plan.scenes import account, allow_policy, of, policy, strict, to

OWN = peer({"podSelector": {"matchLabels": {"app": "a"}}}, "ci")
ANY_OWN = peer({"podSelector": {}}, "ci")
NAMED = peer(
    {
        "podSelector": {"matchLabels": {"app": "a"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ci"}},
    },
    "x",
)
EVERY = peer({"podSelector": {"matchLabels": {"app": "a"}}, "namespaceSelector": {}}, "ci")
NET = block({"cidr": "10.0.0.0/8"})
HOLED = block({"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]})
SMALL = block({"cidr": "10.1.2.0/24"})
V6 = block({"cidr": "::/0"})
TCP = ports({"protocol": "TCP"})
P80, P80_90, P85 = ports({"port": 80}), ports({"port": 80, "endPort": 90}), ports({"port": 85})

COVERS: list[tuple[str, Term, Term, bool]] = [
    ("an absent list restricts nothing", ANYTHING, OWN, True),
    ("a selector is not everything", OWN, ANYTHING, False),
    ("fewer labels select more pods", ANY_OWN, OWN, True),
    ("more labels select fewer", OWN, ANY_OWN, False),
    ("the own namespace is the one of its name", OWN, NAMED, True),
    ("every namespace holds the own one", EVERY, OWN, True),
    ("the own namespace is not every one", OWN, EVERY, False),
    ("pods are not addresses", ANY_OWN, SMALL, False),
    ("addresses are not pods", NET, OWN, False),
    ("a block holds the smaller one", NET, SMALL, True),
    ("a smaller block does not hold the larger", SMALL, NET, False),
    ("a block with a hole does not hold what lies in it", HOLED, SMALL, False),
    ("a block with a hole holds what lies beside it", HOLED, block({"cidr": "10.2.0.0/16"}), True),
    ("a block holds the same with a hole", NET, HOLED, True),
    ("a block with a hole does not hold the whole", HOLED, NET, False),
    ("a hole that the narrow one has too is no hindrance", HOLED, block({"cidr": "10.0.0.0/8", "except": ["10.0.0.0/12"]}), True),
    ("families do not meet", V6, SMALL, False),
    ("a protocol holds its ports", TCP, P80, True),
    ("a protocol holds its named ports", TCP, ports({"port": "web"}), True),
    ("another protocol does not", ports({"protocol": "UDP"}), P80, False),
    ("a range holds its ports", P80_90, P85, True),
    ("a port does not hold the range", P80, P80_90, False),
    ("TCP is the default", ports({"port": 80, "protocol": "TCP"}), P80, True),
    ("a name is not a number", P80_90, ports({"port": "web"}), False),
    ("a number is not a name", ports({"port": "web"}), P80, False),
    ("a name is itself", ports({"port": "web"}), ports({"port": "web"}), True),
    ("fewer fields admit more", fields({}), fields({"principals": ["a"]}), True),
    ("more principals admit more", fields({"principals": ["a", "b"]}), fields({"principals": ["a"]}), True),
    ("another principal is another one", fields({"principals": ["a"]}), fields({"principals": ["b"]}), False),
    ("an absent field is any value", fields({"principals": ["a"]}), fields({}), False),
    ("a prefix holds a path", fields({"paths": ["/a/*"]}), fields({"paths": ["/a/b"]}), True),
    ("a prefix holds a longer prefix", fields({"paths": ["/a/*"]}), fields({"paths": ["/a/b/*"]}), True),
    ("a path does not hold a prefix", fields({"paths": ["/a/b"]}), fields({"paths": ["/a/*"]}), False),
    ("a suffix holds a text", fields({"paths": ["*.js"]}), fields({"paths": ["/x.js"]}), True),
    ("a suffix does not hold a prefix", fields({"paths": ["*.js"]}), fields({"paths": ["/x*"]}), False),
    ("excluding more admits less", fields({"notPorts": ["1"]}), fields({"notPorts": ["1", "2"]}), True),
    ("excluding less admits more", fields({"notPorts": ["1", "2"]}), fields({"notPorts": ["1"]}), False),
    ("conditions narrow", fields({}), fields({}, "when"), True),
    ("without the condition it is wider", fields({}, "when"), fields({}), False),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "wide", "narrow", "expected"), COVERS, ids=[case[0] for case in COVERS])
def test_covers(reason: str, wide: Term, narrow: Term, expected: bool) -> None:
    assert covers(wide, narrow) is expected, reason


WORDS = Words()


def fence(obj: Any) -> Fence | None:
    return fences.fence(obj, WORDS)


def within(rules: Any, limit: Any) -> tuple[Rule, ...]:
    return fences.within(rules, limit, WORDS)


def is_within(rules: Any, limit: Any) -> bool:
    return within(rules, limit) == tuple(rules)


def _with(obj: Any, **spec: Any) -> Any:
    return {**obj, "spec": {**obj["spec"], **spec}}


class TestFences:
    def test_a_network_policy_isolates_on_its_types(self) -> None:
        found = fence(policy("p", {"app": "a"}, [to({}, 80)], None))
        assert found is not None
        assert found.planes == {Plane.EGRESS}
        assert not found.shut

    def test_absent_types_mean_ingress_and_egress_only_where_it_has_rules(self) -> None:
        bare = policy("p", {"app": "a"})
        del bare["spec"]["policyTypes"]
        found = fence(bare)
        assert found is not None
        assert found.planes == {Plane.INGRESS}

    @pytest.mark.parametrize(
        ("reason", "obj"),
        [
            ("nothing", None),
            ("an account isolates nobody", account("a")),
            ("a dry run isolates nobody", allow_policy("a", {}, dry_run=True)),
            ("a waypoint's policy selects no workload", _with(allow_policy("a", {}), targetRefs=[{"name": "w"}])),
            ("a DENY isolates nobody", _with(allow_policy("a", {}), action="DENY")),
            ("permissive mTLS isolates nobody", _with(strict("a", {}), mtls={"mode": "PERMISSIVE"})),
        ],
    )
    def test_what_is_no_fence(self, reason: str, obj: Any) -> None:
        assert fence(obj) is None, reason

    def test_strict_mtls_lets_plaintext_through_on_its_lax_ports_only(self) -> None:
        found = fence(strict("a", {"app": "a"}, [80]))
        assert found is not None
        assert [rule.columns for rule in found.allows[Plane.MTLS]] == [(WORDS.number(ports({"port": 80})),)]

    def test_a_guard_selects_the_same_pods_on_the_same_planes_and_allows_nothing(self) -> None:
        for obj in (
            policy("p", {"app": "a"}, [to({}, 80)]),
            allow_policy("p", {"app": "a"}, [{}]),
            strict("p", {"app": "a"}, [80]),
        ):
            made, guard = fence(obj), fence(shut(obj, "guard"))
            assert made is not None
            assert guard is not None
            assert (guard.selector, guard.planes, guard.shut) == (made.selector, made.planes, True)

    def test_a_mesh_policy_without_rules_admits_nobody_and_is_not_rendered_as_one_that_admits_all(self) -> None:
        closed = with_rules(allow_policy("p", {"app": "a"}, [{}]), {Plane.MESH: ()})
        assert "rules" not in closed["spec"]


def rules(obj: Any, plane: Plane = Plane.EGRESS) -> Any:
    found = fence(obj)
    assert found is not None
    return found.allows[plane]


class TestWithin:
    mixed = policy(
        "p",
        {},
        [{"to": [{"podSelector": {"matchLabels": {"app": "b"}}}, {"podSelector": {"matchLabels": {"app": "c"}}}],
          "ports": [{"port": 80}, {"port": 81}]}],
    )  # fmt: skip

    def test_a_rule_is_cut_to_what_is_allowed_peer_by_peer_and_port_by_port(self) -> None:
        limit = rules(policy("p", {}, [to({"app": "b"}, 80, 81), to({"app": "c"}, 81)]))
        cut = [rule.raw for rule in within(rules(self.mixed), limit)]
        assert cut == [
            {"to": [{"podSelector": {"matchLabels": {"app": "b"}}}], "ports": [{"port": 80}, {"port": 81}]},
            {"to": [{"podSelector": {"matchLabels": {"app": "c"}}}], "ports": [{"port": 81}]},
        ]

    def test_a_rule_with_nothing_left_is_dropped_because_an_empty_list_would_mean_everything(self) -> None:
        assert within(rules(self.mixed), rules(policy("p", {}, [to({"app": "z"}, 80)]))) == ()

    def test_several_rules_together_allow_one(self) -> None:
        limit = rules(policy("p", {}, [to({"app": "b"}, 80), to({"app": "b"}, 81), to({"app": "c"}, 80, 81)]))
        assert is_within(rules(self.mixed), limit)

    def test_no_limit_limits_nothing_and_an_empty_one_everything(self) -> None:
        assert within(rules(self.mixed), None) == rules(self.mixed)
        assert within(rules(self.mixed), ()) == ()

    def test_rules_without_lists_are_everything(self) -> None:
        everything = rules(policy("p", {}, [{}]))
        assert is_within(rules(self.mixed), everything)
        assert within(everything, rules(self.mixed)) == ()

    def test_mesh_rules_are_cut_by_caller_and_call(self) -> None:
        a, b = ({"source": {"principals": [p]}} for p in ("a", "b"))
        call = {"operation": {"ports": ["80"]}}
        mine = rules(allow_policy("p", {}, [{"from": [a, b], "to": [call]}]), Plane.MESH)
        limit = rules(allow_policy("p", {}, [{"from": [b]}]), Plane.MESH)
        assert [rule.raw for rule in within(mine, limit)] == [{"from": [b], "to": [call]}]

    def test_a_condition_that_the_limit_asks_for_must_be_the_same(self) -> None:
        when = [{"key": "source.ip", "values": ["10.0.0.0/8"]}]
        a = {"source": {"principals": ["a"]}}
        free = rules(allow_policy("p", {}, [{"from": [a]}]), Plane.MESH)
        bound = rules(allow_policy("p", {}, [{"from": [a], "when": when}]), Plane.MESH)
        assert is_within(bound, free)
        assert not is_within(free, bound)

    def test_rules_beyond_every_measure_are_compared_as_equals_only_and_soon(self) -> None:
        peers = [{"ipBlock": {"cidr": f"10.{n // 256}.{n % 256}.0/24"}} for n in range(1000)]
        mine = rules(policy("p", {}, [{"to": peers, "ports": [{"port": 80}]}]))
        wide = rules(
            policy("p", {}, [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, *peers[1:]], "ports": [{"port": 80}]}])
        )
        assert [len(rule.rows) for rule in within(mine, wide)] == [999]

    def test_when_all_patience_is_spent_nothing_is_provable_which_costs_calls_and_opens_nothing(self) -> None:
        words = Words(left=10)
        found = fences.fence(self.mixed, words)
        assert found is not None
        rules_ = found.allows[Plane.EGRESS]
        assert fences.within(rules_, rules_, words) == rules_
        assert fences.within(rules_, rules_, words) == ()
        assert fences.within(rules_, None, words) == rules_

    def test_a_source_of_ingress_is_cut_likewise(self) -> None:
        mine = rules(policy("p", {}, (), [of({"app": "a"}, 80, 81)]), Plane.INGRESS)
        limit = rules(policy("p", {}, (), [of({"app": "a"}, 80)]), Plane.INGRESS)
        assert [rule.raw["ports"] for rule in within(mine, limit)] == [[{"port": 80, "protocol": "TCP"}]]
