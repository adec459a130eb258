"""What is declared, way by way: every target, every source, and whose word is needed."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab import yaml
from pipesegment.declared.declaration import Declaration
from pipesegment.declared.question import Answer, Request
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port, live
from pipesegment.facts.parse import snapshot

TOWN = """
{kind: Namespace, metadata: {name: ci, uid: uid-ci}}
---
{kind: Namespace, metadata: {name: prod, uid: uid-prod}}
---
kind: Service
metadata: {namespace: prod, name: api}
spec:
  selector: {app: api}
  ports: [{name: web, port: 80, targetPort: 8080}, {name: metrics, port: 9100, targetPort: metrics}]
---
{kind: Service, metadata: {namespace: prod, name: ledger}, spec: {ports: [{name: sql, port: 5432}]}}
---
kind: EndpointSlice
metadata: {namespace: prod, name: ledger-1, labels: {kubernetes.io/service-name: ledger}}
addressType: IPv4
endpoints: [{addresses: [198.51.100.7]}]
ports: [{name: sql, port: 5433}]
---
{kind: Service, metadata: {namespace: default, name: kubernetes}, spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443}]}}
---
kind: EndpointSlice
metadata: {namespace: default, name: kubernetes, labels: {kubernetes.io/service-name: kubernetes}}
addressType: IPv4
endpoints: [{addresses: [192.0.2.1, 192.0.2.2]}]
ports: [{name: https, port: 6443}]
---
kind: Service
metadata: {namespace: kube-system, name: kube-dns}
spec: {selector: {k8s-app: dns}, ports: [{name: dns, port: 53, protocol: UDP, targetPort: 5353}, {name: metrics, port: 9153}]}
"""


def pod(namespace: str, name: str, **labels: str) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]
    return {
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "ports": ports}], "serviceAccountName": name},
    }


PODS = [
    pod("prod", "api", app="api"),
    pod("prod", "payments", app="payments"),
    pod("ci", "stray", app="stray"),
    pod("kube-system", "coredns", **{"k8s-app": "dns"}),
]


def stage_pods(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    meta = raw["metadata"]
    for stage in raw["spec"]["stages"]:
        if "podSelector" not in stage:
            labels = {"pipesegment.dev/segment": meta["name"], "pipesegment.dev/stage": stage["name"]}
            yield pod(meta["namespace"], f"{meta['name']}-{stage['name']}", **labels)


def segment(spec: str, name: str = "shop", namespace: str = "ci", **meta: str) -> dict[str, Any]:
    return {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": {"namespace": namespace, "name": name, **meta},
        "spec": yaml.safe_load(spec),
    }


def grant(spec: str, namespace: str = "prod", **status: Any) -> dict[str, Any]:
    meta = {"namespace": namespace, "name": "grant"}
    return {
        "kind": "SegmentGrant",
        "apiVersion": "pipesegment.dev/v1alpha1",
        "metadata": meta,
        "spec": yaml.safe_load(spec),
        "status": status,
    }


def class_(spec: str) -> dict[str, Any]:
    return {
        "kind": "SegmentClass",
        "apiVersion": "pipesegment.dev/v1alpha1",
        "metadata": {"name": "default"},
        "spec": yaml.safe_load(spec),
    }


class World:
    """A town, some documents and the pods of their stages."""

    def __init__(self, *documents: dict[str, Any], facts: str = "") -> None:
        segments = [d for d in documents if d["kind"] == "PipelineSegment"]
        pods = [p for s in segments for p in stage_pods(s)]
        objects = [*yaml.safe_load_all(TOWN), *yaml.safe_load_all(facts), *PODS, *pods, *documents]
        found = snapshot([o for o in objects if o])
        assert not [s.refusals for by in found.segments.values() for s in by.values() if s.refusals]
        assert not [g.refusals for by in found.grants.values() for g in by.values() if g.refusals]
        assert not [c.refusals for c in found.classes.values() if c.refusals]
        self._declaration = Declaration(found)
        self._ends: dict[str, End] = {str(end): end for end in live(found)}

    def ask(self, source: str, destination: str, port: str, http: Request | None = None) -> Answer:
        return self._declaration.judge(self._end(source), self._end(destination), Port.parse(port), http)

    def open(self, source: str, destination: str, port: str, http: Request | None = None) -> bool:
        return self.ask(source, destination, port, http).allowed

    def _end(self, name: str) -> End:
        return self._ends[name] if "/" in name else AddressEnd(name)


def one(entry: str, *documents: dict[str, Any]) -> World:
    """A world whose only stage has one entry in `reaches`."""
    return World(segment(f"stages: [{{name: build, dns: None, reaches: [{entry}]}}]"), *documents)


BUILD = "ci/shop-build"


class TestTargets:
    """Each target means its destinations and no other."""

    @pytest.mark.parametrize(
        ("entry", "opens", "closed"),
        [
            (
                "{service: {name: api, namespace: prod}}",
                [("prod/api", "TCP/8080"), ("prod/api", "TCP/9090")],
                [
                    ("prod/api", "TCP/80"),
                    ("prod/api", "TCP/9100"),
                    ("prod/payments", "TCP/8080"),
                    ("prod/api", "UDP/8080"),
                ],
            ),
            (
                "{service: {name: api, namespace: prod}, ports: [{port: 80}]}",
                [("prod/api", "TCP/8080")],
                [("prod/api", "TCP/9090")],
            ),
            (
                "{service: {name: api, namespace: prod}, ports: [{port: metrics}]}",
                [("prod/api", "TCP/9090")],
                [("prod/api", "TCP/8080")],
            ),
            (
                "{service: {name: api, namespace: prod}, ports: [{port: 9000, endPort: 9200}]}",
                [("prod/api", "TCP/9090")],
                [("prod/api", "TCP/8080")],
            ),
            (
                "{service: {name: ledger, namespace: prod}}",
                [("198.51.100.7", "TCP/5433")],
                [("198.51.100.7", "TCP/5432"), ("198.51.100.8", "TCP/5433")],
            ),
            ("{service: {name: absent, namespace: prod}}", [], [("prod/api", "TCP/8080")]),
            ("{service: {name: api}}", [], [("prod/api", "TCP/8080")]),
            (
                "{pods: {podSelector: {matchLabels: {app: api}}, namespace: prod}, ports: [{port: http}]}",
                [("prod/api", "TCP/8080")],
                [("prod/api", "TCP/9090"), ("prod/payments", "TCP/8080")],
            ),
            (
                "{pods: {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [api]}]}, namespace: prod}, ports: [{port: 1, endPort: 9000}]}",
                [("prod/payments", "TCP/8080")],
                [("prod/api", "TCP/8080"), ("prod/payments", "TCP/9090"), ("ci/stray", "TCP/8080")],
            ),
            (
                "{pods: {podSelector: {matchLabels: {app: stray}}}, ports: [{port: 8080}]}",
                [("ci/stray", "TCP/8080")],
                [("prod/api", "TCP/8080")],
            ),
            (
                "{cidr: {block: 10.9.0.0/24, except: [10.9.0.128/25]}, ports: [{port: 443}]}",
                [("10.9.0.1", "TCP/443")],
                [("10.9.0.129", "TCP/443"), ("10.9.1.1", "TCP/443"), ("10.9.0.1", "TCP/80"), ("10.9.0.1", "UDP/443")],
            ),
            (
                "{cidr: {block: '2001:db8::/32'}, ports: [{port: 443}]}",
                [("2001:db8::1", "TCP/443")],
                [("10.9.0.1", "TCP/443")],
            ),
            (
                "{internet: {}, ports: [{port: 443}]}",
                [("1.1.1.1", "TCP/443"), ("2606:4700:4700::1111", "TCP/443")],
                [
                    ("1.1.1.1", "TCP/80"),
                    *((a, "TCP/443") for a in ("10.9.0.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "224.0.0.1")),
                ],
            ),
            (
                "{internet: {}, ports: [{port: 443}]}",
                [],
                [
                    (a, "TCP/443")
                    for a in (
                        "168.63.129.16",
                        "100.100.100.200",
                        "fd00::1",
                        "fe80::1",
                        "64:ff9b::1",
                        "2002::1",
                        "ff02::1",
                        "240.0.0.1",
                    )
                ],
            ),
            (
                "{kubernetesAPI: {}}",
                [("192.0.2.1", "TCP/6443"), ("192.0.2.2", "TCP/6443"), ("10.96.0.1", "TCP/443")],
                [("192.0.2.3", "TCP/6443"), ("192.0.2.1", "UDP/6443"), ("10.96.0.2", "TCP/443")],
            ),
        ],
    )
    def test_a_target(self, entry: str, opens: list[tuple[str, str]], closed: list[tuple[str, str]]) -> None:
        """What it means is open, its neighbours are not."""
        world = one(entry)
        assert [(d, p) for d, p in opens if not world.open(BUILD, d, p)] == []
        assert [(d, p) for d, p in closed if world.open(BUILD, d, p)] == []

    def test_a_destination_of_the_class(self) -> None:
        """By its blocks less its exceptions, and by its Service; at its own ports unless the entry has some."""
        governing = class_(
            "{destinations: [{name: forge, cidrs: [203.0.113.0/24], except: [203.0.113.9/32], ports: [{port: 22}]},"
            " {name: web, cidrs: [203.0.113.0/24]}, {name: api, service: {name: api, namespace: prod}, ports: [{port: 80}]}]}"
        )
        forge = one("{destination: {name: forge}}", governing)
        assert forge.open(BUILD, "203.0.113.1", "TCP/22")
        assert not forge.open(BUILD, "203.0.113.1", "TCP/443")
        assert not forge.open(BUILD, "203.0.113.9", "TCP/22")
        assert one("{destination: {name: web}}", governing).open(BUILD, "203.0.113.9", "TCP/443")
        assert one("{destination: {name: web}, ports: [{port: 80}]}", governing).open(BUILD, "203.0.113.9", "TCP/80")
        api = one("{destination: {name: api}}", governing)
        assert api.open(BUILD, "prod/api", "TCP/8080")
        assert not api.open(BUILD, "prod/api", "TCP/9090")
        assert not one("{destination: {name: absent}}", governing).open(BUILD, "203.0.113.1", "TCP/22")

    def test_the_metadata_service_only_when_the_class_allows_it(self) -> None:
        """Both families, at port 80."""
        allowed = one("{imds: {}}", class_("{network: {allowIMDS: true}}"))
        assert allowed.open(BUILD, "169.254.169.254", "TCP/80")
        assert allowed.open(BUILD, "fd00:ec2::254", "TCP/80")
        assert not allowed.open(BUILD, "169.254.169.254", "TCP/443")
        assert not one("{imds: {}}").open(BUILD, "169.254.169.254", "TCP/80")

    @pytest.mark.parametrize(
        ("rules", "entry", "address"),
        [
            ("{network: {allowInternet: false}}", "{internet: {}, ports: [{port: 443}]}", "1.1.1.1"),
            ("{network: {allowInternet: false}}", "{cidr: {block: 1.0.0.0/8}, ports: [{port: 443}]}", "1.1.1.1"),
            ("{guardrails: {targets: [service]}}", "{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}", "10.9.0.1"),
            ("{guardrails: {cidrs: [10.8.0.0/16]}}", "{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}", "10.9.0.1"),
            (
                "{network: {clusterCIDRs: [10.9.0.0/16]}}",
                "{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}",
                "10.9.0.1",
            ),
            ("{network: {clusterCIDRs: [1.1.1.0/24]}}", "{internet: {}, ports: [{port: 443}]}", "1.1.1.1"),
            ("{}", "{cidr: {block: 169.254.0.0/16}, ports: [{port: 443}]}", "169.254.1.1"),
        ],
    )
    def test_what_the_class_does_not_allow_is_not_declared(self, rules: str, entry: str, address: str) -> None:
        """The entry counts for nothing."""
        assert not one(entry, class_(rules)).open(BUILD, address, "TCP/443")

    @pytest.mark.parametrize(
        ("rules", "address", "opens"),
        [
            ("priority: 0", "10.9.0.1", True),
            ("priority: 0", "1.1.1.1", True),
            ("network: {allowInternet: false}", "1.1.1.1", False),
            ("priority: 0", "169.254.169.254", False),
            ("network: {allowIMDS: true}", "169.254.169.254", True),
            ("network: {clusterCIDRs: [10.9.0.0/16]}", "10.9.0.1", False),
            ("priority: 0", "10.96.0.1", False),
            ("guardrails: {cidrs: [10.8.0.0/16]}", "10.9.0.1", False),
            ("priority: 0", "127.0.0.1", False),
            ("priority: 0", "224.0.0.1", False),
        ],
    )
    def test_an_address_that_a_slice_gives_is_held_to_the_classs_word(
        self, rules: str, address: str, opens: bool
    ) -> None:
        """Whoever writes slices could name any."""
        facts = (
            "{kind: Service, metadata: {namespace: ci, name: given}, spec: {ports: [{name: sql, port: 5432}]}}\n---\n"
            "{kind: EndpointSlice, metadata: {namespace: ci, name: given, labels: {kubernetes.io/service-name: given}},"
            f" addressType: IPv4, endpoints: [{{addresses: [{address}]}}], ports: [{{name: sql, port: 5432}}]}}"
        )
        mine = segment("stages: [{name: build, reaches: [{service: {name: given}}]}]")
        assert World(mine, class_(f"{{{rules}}}"), facts=facts).open(BUILD, address, "TCP/5432") is opens

    def test_a_reason_names_the_place(self) -> None:
        """Open: both halves; closed: who closes."""
        world = one("{service: {name: api, namespace: prod}}")
        assert world.ask(BUILD, "prod/api", "TCP/8080")[:3] == (
            True,
            "ci/shop spec.stages[0].reaches[0]; nothing declared closes prod/api",
            False,
        )
        closed = "ci/shop-build is closed by stage build of ci/shop, and nothing that it reaches means it"
        assert world.ask(BUILD, "prod/payments", "TCP/8080")[:3] == (False, closed, False)


class TestStages:
    """Inside a segment the caller's word is enough; between segments both speak."""

    def test_inside_a_segment(self) -> None:
        """One way, at the declared ports."""
        world = World(
            segment("stages: [{name: build, reaches: [{stage: {name: cache}, ports: [{port: 8080}]}]}, {name: cache}]")
        )
        assert world.open("ci/shop-build", "ci/shop-cache", "TCP/8080")
        assert not world.open("ci/shop-build", "ci/shop-cache", "TCP/9090")
        assert not world.open("ci/shop-cache", "ci/shop-build", "TCP/8080")
        assert not world.open("ci/stray", "ci/shop-cache", "TCP/8080")

    def test_inside_a_segment_a_second_word_narrows(self) -> None:
        """Where two sides declare, both must mean the port."""
        world = World(
            segment(
                "stages: [{name: build, reaches: [{stage: {name: cache}, ports: [{port: 8080}, {port: 9090}]}]},"
                " {name: cache, accepts: [{stage: {name: build}, ports: [{port: 9090}]}]}]"
            )
        )
        assert not world.open("ci/shop-build", "ci/shop-cache", "TCP/8080")
        assert world.open("ci/shop-build", "ci/shop-cache", "TCP/9090")

    @pytest.mark.parametrize(
        ("accepts", "opens"),
        [
            ("[]", False),
            ("[{stage: {name: build, segment: shop}, ports: [{port: 8080}]}]", True),
            ("[{stage: {name: build, segment: shop}, ports: [{port: 9090}]}]", False),
            ("[{stage: {name: build, segment: shop}, ports: [{port: http}]}]", False),
            ("[{stage: {name: test, segment: shop}, ports: [{port: 8080}]}]", False),
            ("[{stage: {anyStage: true, segment: shop}, ports: [{port: 8080}]}]", True),
            ("[{stage: {name: build, anySegment: true}, ports: [{port: 8080}]}]", True),
            ("[{stage: {anyStage: true, anySegment: true, namespace: prod}, ports: [{port: 8080}]}]", False),
            ("[{stage: {anyStage: true}, ports: [{port: 8080}]}]", False),
        ],
    )
    def test_between_segments(self, accepts: str, opens: bool) -> None:
        """The other side accepts the stage at the port, by the same name or number."""
        shop = segment("stages: [{name: build, reaches: [{stage: {name: sign, segment: pay}, ports: [{port: 8080}]}]}]")
        pay = segment(f"stages: [{{name: sign, accepts: {accepts}}}]", "pay")
        assert World(shop, pay).open("ci/shop-build", "ci/pay-sign", "TCP/8080") is opens

    def test_an_accepting_stage_alone_opens_nothing(self) -> None:
        """The caller must have said that it comes, even where nothing closes it."""
        accepts = "[{stage: {name: build, segment: shop}, ports: [{port: 8080}]}]"
        pay = segment(f"stages: [{{name: sign, accepts: {accepts}}}]", "pay")
        for mode in ("Enforce", "Observe"):
            shop = segment(f"stages: [{{name: build, mode: {mode}}}]")
            assert not World(shop, pay).open("ci/shop-build", "ci/pay-sign", "TCP/8080")

    def test_a_stage_in_observe_restricts_nothing(self) -> None:
        """Its pods reach and take everything, but another stage's fence stands."""
        world = World(segment("stages: [{name: build, mode: Observe}, {name: test}]"))
        assert world.open("ci/shop-build", "1.1.1.1", "TCP/443")
        assert world.open("ci/stray", "ci/shop-build", "TCP/443")
        assert not world.open("ci/shop-build", "ci/shop-test", "TCP/443")
        assert not world.open("ci/shop-test", "ci/shop-build", "TCP/443")

    def test_pods_of_a_stage_accept_only_what_it_says(self) -> None:
        """A caller of another segment that means them by their labels still needs their word."""
        reach = "{pods: {podSelector: {matchLabels: {pipesegment.dev/stage: sign}}}, ports: [{port: 8080}]}"
        shop = segment(f"stages: [{{name: build, reaches: [{reach}]}}]")
        assert not World(shop, segment("stages: [{name: sign}]", "pay")).open(
            "ci/shop-build", "ci/pay-sign", "TCP/8080"
        )
        accepts = "[{pods: {podSelector: {matchLabels: {pipesegment.dev/segment: shop}}}, ports: [{port: 8080}]}]"
        willing = segment(f"stages: [{{name: sign, accepts: {accepts}}}]", "pay")
        assert World(shop, willing).open("ci/shop-build", "ci/pay-sign", "TCP/8080")

    @pytest.mark.parametrize(
        ("selector", "opens"),
        [
            ("{matchLabels: {pipesegment.dev/stage: build}}", True),
            ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", False),
        ],
    )
    def test_a_word_for_all_of_a_stages_pods_is_a_word_for_the_stage(self, selector: str, opens: bool) -> None:
        """When it provably has them all; that it has the pods that are there is not enough."""
        shop = segment("stages: [{name: build, reaches: [{stage: {name: sign, segment: pay}, ports: [{port: 8080}]}]}]")
        pay = segment(
            f"stages: [{{name: sign, accepts: [{{pods: {{podSelector: {selector}}}, ports: [{{port: 8080}}]}}]}}]",
            "pay",
        )
        assert World(shop, pay).open("ci/shop-build", "ci/pay-sign", "TCP/8080") is opens

    def test_a_word_for_one_stage_is_none_for_another_with_the_same_pods(self) -> None:
        """An entry that names another segment's stage does not come in by the own segment's door."""
        both = "podSelector: {matchLabels: {app: stray}}"
        reach = "{stage: {name: sign, segment: pay}, ports: [{port: 8080}]}"
        shop = segment(
            f"stages: [{{name: build, mode: Observe, reaches: [{reach}]}}, {{name: test, {both}}}]",
            creationTimestamp="2030-01-01T00:00:00Z",
        )
        pay = segment(f"stages: [{{name: sign, mode: Observe, {both}}}]", "pay")
        assert not World(shop, pay).open("ci/shop-build", "ci/stray", "TCP/8080")

    def test_pods_and_addresses_may_come_in(self) -> None:
        """By labels and namespace, by block."""
        accepts = (
            "[{pods: {podSelector: {matchLabels: {app: api}}, namespace: prod}, ports: [{port: http}]},"
            " {cidr: {block: 10.9.0.0/24, except: [10.9.0.9/32]}, ports: [{port: 9090}]}]"
        )
        world = World(segment(f"stages: [{{name: cache, accepts: {accepts}}}]"))
        assert world.open("prod/api", "ci/shop-cache", "TCP/8080")
        assert not world.open("prod/api", "ci/shop-cache", "TCP/9090")
        assert not world.open("prod/payments", "ci/shop-cache", "TCP/8080")
        assert world.open("10.9.0.1", "ci/shop-cache", "TCP/9090")
        assert not world.open("10.9.0.9", "ci/shop-cache", "TCP/9090")
        assert not world.open("10.9.0.1", "ci/shop-cache", "TCP/8080")

    @pytest.mark.parametrize(
        ("rules", "block", "address"),
        [
            ("network: {allowInternet: false}", "1.0.0.0/8", "1.1.1.1"),
            ("network: {clusterCIDRs: [10.9.0.0/16]}", "10.9.0.0/24", "10.9.0.1"),
            ("guardrails: {cidrs: [10.8.0.0/16]}", "10.9.0.0/24", "10.9.0.1"),
            ("priority: 0", "169.254.0.0/16", "169.254.1.1"),
        ],
    )
    def test_addresses_that_the_class_does_not_allow_do_not_come_in(self, rules: str, block: str, address: str) -> None:
        """By an own entry or a common one; what the class says itself counts."""
        accepts = f"accepts: [{{cidr: {{block: {block}}}, ports: [{{port: 9090}}]}}]"
        own, common = f"{{name: cache, {accepts}}}]", f"{{name: cache}}], common: {{{accepts}}}"
        for said in (own, common):
            assert not World(segment(f"{{stages: [{said}}}"), class_(f"{{{rules}}}")).open(
                address, "ci/shop-cache", "TCP/9090"
            )
        baseline = World(segment("stages: [{name: cache}]"), class_(f"{{{rules}, baseline: {{{accepts}}}}}"))
        assert baseline.open(address, "ci/shop-cache", "TCP/9090")

    def test_common_entries_and_the_baseline_count_for_every_stage(self) -> None:
        """Each with its own place."""
        spec = (
            "{stages: [{name: build}, {name: test}],"
            " common: {reaches: [{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}]}}"
        )
        baseline = class_(
            "{baseline: {accepts: [{pods: {podSelector: {matchLabels: {app: api}}, namespace: prod}, ports: [{port: 9090}]}]},"
            " guardrails: {targets: [cidr]}}"
        )
        world = World(segment(spec), baseline)
        for stage in ("build", "test"):
            assert world.ask(f"ci/shop-{stage}", "10.9.0.1", "TCP/443").because.startswith(
                "ci/shop spec.common.reaches[0];"
            )
            answer = world.ask("prod/api", f"ci/shop-{stage}", "TCP/9090")
            assert answer.because.endswith("SegmentClass/default spec.baseline.accepts[0]")

    def test_requests(self) -> None:
        """Both sides' http must admit a request that is asked about."""
        world = World(
            segment(
                "stages: [{name: build, reaches: [{stage: {name: cache}, ports: [{port: 8080}], http: [{paths: ['/a/*']}]}]},"
                " {name: cache, accepts: [{stage: {name: build}, ports: [{port: 8080}], http: [{methods: [GET]}]}]}]"
            )
        )
        cases = {("GET", "/a/x"): True, ("PUT", "/a/x"): False, ("GET", "/b"): False}
        found = {c: world.open("ci/shop-build", "ci/shop-cache", "TCP/8080", Request(*c)) for c in cases}
        assert found == cases
        assert world.open("ci/shop-build", "ci/shop-cache", "TCP/8080")


class TestOverlap:
    """Two segments that mean one pod."""

    SELECTOR = "podSelector: {matchLabels: {app: stray}}"
    OPEN = "reaches: [{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}]"

    def world(self, shop: dict[str, str], pay: dict[str, str], *more: dict[str, Any]) -> World:
        one_ = segment(f"stages: [{{name: build, {self.SELECTOR}}}]", "shop", **shop)
        two = segment(f"stages: [{{name: sign, {self.SELECTOR}, {self.OPEN}}}]", "pay", **pay)
        return World(one_, two, *more)

    @pytest.mark.parametrize(
        ("shop", "pay", "opens"),
        [
            ({"creationTimestamp": "2030-01-01T00:00:00Z"}, {"creationTimestamp": "2030-01-02T00:00:00Z"}, False),
            ({"creationTimestamp": "2030-01-02T00:00:00Z"}, {"creationTimestamp": "2030-01-01T00:00:00Z"}, True),
            (
                {"creationTimestamp": "2030-01-01T00:00:00Z", "uid": "a"},
                {"creationTimestamp": "2030-01-01T00:00:00Z", "uid": "b"},
                False,
            ),
            (
                {"creationTimestamp": "2030-01-01T00:00:00Z", "uid": "b"},
                {"creationTimestamp": "2030-01-01T00:00:00Z", "uid": "a"},
                True,
            ),
            ({}, {"creationTimestamp": "2030-01-01T00:00:00Z"}, True),
            ({"creationTimestamp": "2030-01-01T00:00:00Z"}, {}, False),
            ({}, {}, False),
        ],
    )
    def test_the_younger_one_is_refused(self, shop: dict[str, str], pay: dict[str, str], opens: bool) -> None:
        """By time, then by uid; what does not exist yet is younger, and of two such both give way."""
        assert self.world(shop, pay).open("ci/stray", "10.9.0.1", "TCP/443") is opens

    def test_a_class_may_ask_for_the_union(self) -> None:
        """Then both count."""
        assert self.world({}, {}, class_("{guardrails: {overlap: Union}}")).open("ci/stray", "10.9.0.1", "TCP/443")

    def test_an_account_belongs_to_one_stage(self) -> None:
        """Two segments that give their pods one account overlap as well."""
        one_ = segment("stages: [{name: build, serviceAccount: {name: builder}}]")
        two = segment(f"stages: [{{name: sign, serviceAccount: {{name: builder}}, {self.OPEN}}}]", "pay")
        assert not World(one_, two).open("ci/pay-sign", "10.9.0.1", "TCP/443")


class TestGrants:
    """Consent across namespaces."""

    REACH = "{service: {name: api, namespace: prod}}"
    REQUIRE = "{network: {requireGrants: true}}"

    def test_without_require_grants_an_ungranted_way_is_declared(self) -> None:
        """Nobody there has spoken."""
        assert one(self.REACH).ask(BUILD, "prod/api", "TCP/8080")[::2] == (True, False)

    @pytest.mark.parametrize(
        ("spec", "opens"),
        [
            ("{from: [{namespace: ci}], to: {service: {name: api}}}", True),
            (
                "{from: [{namespace: ci, segment: shop, stage: build}], to: {service: {name: api}}, ports: [{port: 80}]}",
                True,
            ),
            ("{from: [{namespace: ci}], to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 8080}]}", True),
            ("{from: [{namespace: ci}], to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 9090}]}", False),
            (
                "{from: [{namespace: ci}], to: {podSelector: {matchLabels: {app: payments}}}, ports: [{port: 8080}]}",
                False,
            ),
            ("{from: [{namespace: ci}], to: {service: {name: api}}, ports: [{port: 9100}]}", False),
            ("{from: [{namespace: cd}], to: {service: {name: api}}}", False),
            ("{from: [{namespace: ci, segment: pay}], to: {service: {name: api}}}", False),
            ("{from: [{namespace: ci, stage: test}], to: {service: {name: api}}}", False),
        ],
    )
    def test_require_grants(self, spec: str, opens: bool) -> None:
        """A grant must be for this stage, these pods and this port."""
        assert one(self.REACH, class_(self.REQUIRE), grant(spec)).open(BUILD, "prod/api", "TCP/8080") is opens

    def test_require_grants_holds_for_services_without_pods(self) -> None:
        """Their addresses are the other namespace's word too."""
        reach = "{service: {name: ledger, namespace: prod}}"
        assert not one(reach, class_(self.REQUIRE)).open(BUILD, "198.51.100.7", "TCP/5433")
        granted = grant("{from: [{namespace: ci}], to: {service: {name: ledger}}}")
        assert one(reach, class_(self.REQUIRE), granted).open(BUILD, "198.51.100.7", "TCP/5433")

    @pytest.mark.parametrize(("isolate", "opens"), [("Nobody", True), ("Callers", False), ("Everyone", False)])
    def test_a_grant_holds_its_callers_to_its_ports(self, isolate: str, opens: bool) -> None:
        """Unless it says that it holds nobody."""
        spec = (
            f"{{from: [{{namespace: ci}}], to: {{service: {{name: api}}}}, ports: [{{port: 80}}], isolate: {isolate}}}"
        )
        world = one(self.REACH, grant(spec))
        assert world.open(BUILD, "prod/api", "TCP/8080")
        assert world.open(BUILD, "prod/api", "TCP/9090") is opens

    @pytest.mark.parametrize(("isolate", "opens"), [("Nobody", True), ("Callers", True), ("Everyone", False)])
    def test_a_grant_may_close_its_pods_to_everyone_else(self, isolate: str, opens: bool) -> None:
        """Once some stage reaches what it opens."""
        given = grant(f"{{from: [{{namespace: ci}}], to: {{service: {{name: api}}}}, isolate: {isolate}}}")
        assert one(self.REACH, given).open("ci/stray", "prod/api", "TCP/8080") is opens
        assert one("{kubernetesAPI: {}}", given).open("ci/stray", "prod/api", "TCP/8080")

    def test_a_grant_for_some_of_the_pods_covers_none(self) -> None:
        """A grant counts for an entry whose pods are all the grant's."""
        given = grant("{from: [{namespace: ci}], to: {podSelector: {matchLabels: {app: api}}}, ports: [{port: 8080}]}")
        wide = "{pods: {podSelector: {matchExpressions: [{key: app, operator: In, values: [api, payments]}]}, namespace: prod}, ports: [{port: 8080}]}"
        assert not one(wide, class_(self.REQUIRE), given).open(BUILD, "prod/api", "TCP/8080")
        exact = "{pods: {podSelector: {matchLabels: {app: api, tier: web}}, namespace: prod}, ports: [{port: 8080}]}"
        assert not one(exact, class_(self.REQUIRE), given).open(BUILD, "prod/api", "TCP/8080")

    def test_a_grant_is_bound_to_the_namespaces_uid(self) -> None:
        """A namespace made again under its name must be granted anew."""
        spec = "{from: [{namespace: ci}], to: {service: {name: api}}}"
        bound = grant(spec, namespaces=[{"namespace": "ci", "uid": "uid-ci"}])
        stale = grant(spec, namespaces=[{"namespace": "ci", "uid": "uid-before"}])
        assert one(self.REACH, class_(self.REQUIRE), bound).open(BUILD, "prod/api", "TCP/8080")
        assert not one(self.REACH, class_(self.REQUIRE), stale).open(BUILD, "prod/api", "TCP/8080")

    def test_isolated_namespaces(self) -> None:
        """A class closes pods of no stage; a grant opens them, in the own namespace too."""
        isolating = class_("{network: {isolation: {mode: Namespace, exceptPods: [{matchLabels: {app: payments}}]}}}")
        granted = grant("{from: [{namespace: ci}], to: {service: {name: api}}}")
        assert one(self.REACH, isolating).ask(BUILD, "prod/api", "TCP/8080").ungranted
        answer = one(self.REACH, isolating, granted).ask(BUILD, "prod/api", "TCP/8080")
        assert (answer.allowed, answer.ungranted) == (True, False)
        observing = segment(f"stages: [{{name: build, mode: Observe, reaches: [{self.REACH}]}}]", namespace="cd")
        let_in = grant("{from: [{namespace: cd}], to: {service: {name: api}}}")
        outside = class_(
            "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: prod}}, network: {isolation: {mode: Namespace}}}"
        )
        assert not World(observing, let_in, outside).open("cd/shop-build", "prod/api", "TCP/8080")
        mixed = "{pods: {podSelector: {matchExpressions: [{key: app, operator: Exists}]}}, ports: [{port: 8080}]}"
        free = class_("{network: {isolation: {mode: Namespace, exceptPods: [{matchLabels: {app: stray}}]}}}")
        assert one(mixed, free).open(BUILD, "ci/stray", "TCP/8080")
        world = one("{pods: {podSelector: {matchLabels: {app: stray}}}, ports: [{port: 8080}]}", isolating)
        assert not world.open(BUILD, "ci/stray", "TCP/8080")
        assert not world.open("1.1.1.1", "ci/stray", "TCP/8080")
        assert not world.open("ci/stray", "1.1.1.1", "TCP/8080")
        assert world.open("1.1.1.1", "prod/payments", "TCP/8080")
        here = grant(
            "{from: [{namespace: ci}], to: {podSelector: {matchLabels: {app: stray}}}, ports: [{port: 8080}]}", "ci"
        )
        reach = "{pods: {podSelector: {matchLabels: {app: stray}}}, ports: [{port: 8080}]}"
        assert one(reach, isolating, here).open(BUILD, "ci/stray", "TCP/8080")


class TestNames:
    """DNS: the cluster's resolvers, at their own ports."""

    DNS = ("kube-system/coredns", "UDP/5353")

    @pytest.mark.parametrize(
        ("stage", "opens"),
        [
            ("{name: build}", False),
            ("{name: build, dns: Cluster}", True),
            ("{name: build, reaches: [{service: {name: api, namespace: prod}}]}", True),
            ("{name: build, dns: None, reaches: [{service: {name: api, namespace: prod}}]}", False),
            ("{name: build, reaches: [{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}]}", False),
        ],
    )
    def test_when(self, stage: str, opens: bool) -> None:
        """When something that the stage reaches has a name, or the stage says so."""
        world = World(segment(f"stages: [{stage}]"))
        assert world.open(BUILD, *self.DNS) is opens
        assert not world.open(BUILD, "kube-system/coredns", "TCP/9153")
        assert not world.open(BUILD, "1.1.1.1", "UDP/53")

    def test_the_class_may_name_the_resolvers(self) -> None:
        """Then those and no others."""
        own = class_(
            "{network: {dns: {cidrs: [10.9.0.53/32], pods: [{podSelector: {matchLabels: {app: api}}, namespace: prod}]}}}"
        )
        world = World(segment("stages: [{name: build, dns: Cluster}]"), own)
        assert world.open(BUILD, "10.9.0.53", "UDP/53")
        assert world.open(BUILD, "10.9.0.53", "TCP/53")
        assert world.open(BUILD, "prod/api", "UDP/53")
        assert not world.open(BUILD, *self.DNS)

    def test_the_node_local_cache_where_it_is(self) -> None:
        """Its address counts only when its pods are seen."""
        spec = "stages: [{name: build, dns: Cluster}]"
        agent = "{kind: Pod, metadata: {namespace: kube-system, name: agent, labels: {k8s-app: node-local-dns}}}"
        assert not World(segment(spec)).open(BUILD, "169.254.20.10", "UDP/53")
        assert World(segment(spec), facts=agent).open(BUILD, "169.254.20.10", "UDP/53")


class TestEngines:
    """Presets: whose pods they are, and what the engine needs."""

    def test_pods_that_no_stage_names_are_closed(self) -> None:
        """A task that nobody declared reaches nothing; where a stage only observes, nothing is closed for it."""
        tasks = "".join(
            f"---\n{{kind: Pod, metadata: {{namespace: ci, name: {t}, labels: {{tekton.dev/pipeline: shop, tekton.dev/pipelineTask: {t}}}}}}}\n"
            for t in ("build", "lint")
        )
        engine = "engine: {type: Tekton, tekton: {pipeline: shop}}"
        entry = "{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}"
        world = World(segment(f"{{{engine}, stages: [{{name: build, reaches: [{entry}]}}]}}"), facts=tasks)
        assert world.open("ci/build", "10.9.0.1", "TCP/443")
        assert not world.open("ci/lint", "10.9.0.1", "TCP/443")
        assert not world.open("ci/stray", "ci/lint", "TCP/443")
        observing = World(segment(f"{{{engine}, mode: Observe, stages: [{{name: build}}]}}"), facts=tasks)
        assert observing.open("ci/lint", "10.9.0.1", "TCP/443")

    def test_siblings_talk_at_every_port(self) -> None:
        """Woodpecker's steps and services of one repository."""
        steps = "".join(
            f"---\n{{kind: Pod, metadata: {{namespace: ci, name: {s}, labels: {{woodpecker-ci.org/repo-id: '7', woodpecker-ci.org/step: {s}}}}}}}\n"
            for s in ("build", "db")
        )
        world = World(
            segment("{engine: {type: Woodpecker, woodpecker: {repoID: 7}}, stages: [{name: build}, {name: db}]}"),
            facts=steps,
        )
        assert world.open("ci/build", "ci/db", "TCP/5432")
        assert world.open("ci/db", "ci/build", "UDP/9")
        assert not world.open("ci/stray", "ci/db", "TCP/5432")
        assert not world.open("ci/build", "ci/stray", "TCP/5432")

    @pytest.mark.parametrize(("web_socket", "agent"), [("false", True), ("true", False)])
    def test_the_jenkins_controller(self, web_socket: str, agent: bool) -> None:
        """Its Service, less the port that it has for agents when they come by WebSocket."""
        facts = (
            "{kind: Pod, metadata: {namespace: ci, name: agent, labels: {jenkins/label: maven}}}\n---\n"
            "{kind: Pod, metadata: {namespace: prod, name: jenkins, labels: {app: jenkins}}}\n---\n"
            "{kind: Service, metadata: {namespace: prod, name: jenkins}, spec: {selector: {app: jenkins},"
            " ports: [{name: http, port: 80, targetPort: 8080}, {name: agent, port: 50000, targetPort: 5000}]}}"
        )
        spec = (
            f"{{engine: {{type: Jenkins, jenkins: {{controller: {{service: jenkins, namespace: prod}}, webSocket: {web_socket}}}}},"
            " stages: [{name: build, engine: {labels: [maven]}}]}"
        )
        world = World(segment(spec), facts=facts)
        assert world.open("ci/agent", "prod/jenkins", "TCP/8080")
        assert world.open("ci/agent", "prod/jenkins", "TCP/5000") is agent
        assert not world.open("ci/agent", "prod/jenkins", "TCP/50000")
        assert not world.open("ci/agent", "prod/jenkins", "TCP/22")

    @pytest.mark.parametrize(
        ("targets", "open_"), [("[]", True), ("[service, kubernetesAPI]", True), ("[cidr]", False)]
    )
    def test_an_engine_is_no_way_round_the_classs_targets(self, targets: str, open_: bool) -> None:
        """What it needs by an entry, and Jenkins' controller."""
        facts = (
            "{kind: Pod, metadata: {namespace: ci, name: agent, labels: {jenkins/label: maven, job: build}}}\n---\n"
            "{kind: Pod, metadata: {namespace: prod, name: jenkins, labels: {app: jenkins}}}\n---\n"
            "{kind: Service, metadata: {namespace: prod, name: jenkins}, spec: {selector: {app: jenkins}, ports: [{port: 80}]}}"
        )
        governed = class_(f"{{guardrails: {{targets: {targets}}}}}")
        argo = "{engine: {type: ArgoWorkflows}, stages: [{name: build, podSelector: {matchLabels: {job: build}}}]}"
        assert World(segment(argo), governed, facts=facts).open("ci/agent", "192.0.2.1", "TCP/6443") is open_
        jenkins = (
            "{engine: {type: Jenkins, jenkins: {controller: {service: jenkins, namespace: prod}}},"
            " stages: [{name: build, engine: {labels: [maven]}}]}"
        )
        assert World(segment(jenkins), governed, facts=facts).open("ci/agent", "prod/jenkins", "TCP/80") is open_

    def test_runner_pods_have_the_engines_needs_alone(self) -> None:
        """ARC in Kubernetes mode: job pods have the declared reach, runners the API server."""
        facts = (
            "{kind: Pod, metadata: {namespace: ci, name: job, labels: {job: build}}}\n---\n"
            "{kind: Pod, metadata: {namespace: ci, name: runner, labels: {actions.github.com/scale-set-name: linux, app.kubernetes.io/component: runner}}}"
        )
        spec = (
            "{engine: {type: ActionsRunnerController, actionsRunnerController: {containerMode: Kubernetes}}, stages: [{name: build,"
            " engine: {scaleSets: [linux], jobPods: {matchLabels: {job: build}}}, reaches: [{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}]}]}"
        )
        world = World(segment(spec), facts=facts)
        assert world.open("ci/job", "10.9.0.1", "TCP/443")
        assert not world.open("ci/job", "192.0.2.1", "TCP/6443")
        assert world.open("ci/runner", "192.0.2.1", "TCP/6443")
        assert not world.open("ci/runner", "10.9.0.1", "TCP/443")


def test_a_sidecar_reaches_its_control_plane_once_the_stage_declares_anything() -> None:
    """And its resolver with it."""
    facts = "{kind: Pod, metadata: {namespace: istio-system, name: istiod, labels: {app: istiod}}}"
    entry = "{cidr: {block: 10.9.0.0/24}, ports: [{port: 443}]}"
    for mesh, reaches, opens in (("Istio", f"[{entry}]", True), ("Istio", "[]", False), ("None", f"[{entry}]", False)):
        world = World(
            segment(f"stages: [{{name: build, reaches: {reaches}}}]"),
            class_(f"{{mesh: {{provider: {mesh}}}}}"),
            facts=facts,
        )
        assert world.open(BUILD, "istio-system/istiod", "TCP/15012") is opens
        assert world.open(BUILD, "kube-system/coredns", "UDP/5353") is opens
        assert not world.open(BUILD, "istio-system/istiod", "TCP/15010")


@pytest.mark.parametrize(
    ("spec", "labels"),
    [
        ("{stages: [{name: build, dns: Cluster}]}", "pipesegment.dev/segment: shop, pipesegment.dev/stage: build"),
        (
            "{engine: {type: Woodpecker, woodpecker: {repoID: 7}}, stages: [{name: build}]}",
            "woodpecker-ci.org/repo-id: '7', woodpecker-ci.org/step: build",
        ),
        (
            (
                "{engine: {type: ActionsRunnerController, actionsRunnerController: {containerMode: Kubernetes}}, stages:"
                " [{name: build, engine: {scaleSets: [linux], jobPods: {matchLabels: {job: build}}}}]}"
            ),
            "actions.github.com/scale-set-name: linux, app.kubernetes.io/component: runner",
        ),
        (
            '{stages: [{name: build, aws: {permissions: [{actions: ["s3:GetObject"], resources: ["arn:aws:s3:::releases/*"]}]}}]}',
            "pipesegment.dev/segment: shop, pipesegment.dev/stage: build",
        ),
    ],
    ids=["dns", "siblings", "runner pods", "rights in AWS"],
)
def test_whatever_a_stage_has_makes_its_sidecar_find_the_control_plane(spec: str, labels: str) -> None:
    """DNS, its engine's siblings, its runner pods, rights whose services have names; `mesh: None` takes it out of the mesh."""
    facts = (
        f"{{kind: Pod, metadata: {{namespace: ci, name: some, labels: {{{labels}}}}}}}\n---\n"
        "{kind: Pod, metadata: {namespace: istio-system, name: istiod, labels: {app: istiod}}}"
    )
    meshed = World(segment(spec), class_("{mesh: {provider: Istio}}"), facts=facts)
    assert meshed.open("ci/some", "istio-system/istiod", "TCP/15012")
    plain = World(
        segment(spec.replace("{name: build", "{name: build, mesh: None")),
        class_("{mesh: {provider: Istio}}"),
        facts=facts,
    )
    assert not plain.open("ci/some", "istio-system/istiod", "TCP/15012")


def test_a_call_that_the_class_refuses_lets_no_sidecar_out() -> None:
    facts = "{kind: Pod, metadata: {namespace: istio-system, name: istiod, labels: {app: istiod}}}"
    spec = "{stages: [{name: build, reaches: [{stage: {name: test}, ports: [{port: 8080}]}]}, {name: test}]}"
    for targets, opens in (("[stage]", True), ("[cidr]", False)):
        governing = class_(f"{{mesh: {{provider: Istio}}, guardrails: {{targets: {targets}}}}}")
        world = World(segment(spec), governing, facts=facts)
        assert world.open("ci/shop-test", "istio-system/istiod", "TCP/15012") is opens


def test_everybody_else_is_free() -> None:
    """Pods of no segment reach each other and the world; a pod reaches itself."""
    world = World(segment("stages: [{name: build}]"))
    assert world.open("ci/stray", "prod/api", "TCP/8080")
    assert world.open("prod/api", "1.1.1.1", "TCP/443")
    assert world.open("1.1.1.1", "prod/api", "TCP/443")
    assert world.open(BUILD, BUILD, "TCP/1")
    assert not world.open(BUILD, "ci/stray", "TCP/8080")


def test_a_host_network_pod_is_meant_as_an_address() -> None:
    """The API server's own pods, where the facts hold them."""
    world = one("{kubernetesAPI: {}}")
    node = PodEnd("kube-system", "kube-apiserver", ips=("192.0.2.1",), host_network=True)
    source = world._end(BUILD)
    assert world._declaration.judge(source, node, Port("TCP", 6443)).allowed
    inside = PodEnd("kube-system", "not-the-node", ips=("192.0.2.1",))
    assert not world._declaration.judge(source, inside, Port("TCP", 6443)).allowed
