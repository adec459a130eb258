"""The policies that we compile for Cilium, judged by its own engine: exactly what is declared, and nothing beside it.

The worlds are the golden cases' own; names count when the stage may look them up, as with the DNS proxy.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import yaml
from lab.oracle.judges import POLICY_KINDS, Engine
from lab.oracle.world import External, World
from pipesegment.evaluate.endpoints import PodEnd, Port
from pipesegment.facts.snapshot import ContainerPort

pytest_plugins = ["lab.oracle.fixtures"]
pytestmark = pytest.mark.oracle

Raw = Mapping[str, Any]
CASES = Path(__file__).parents[1] / "golden" / "cases"
HTTPS = Port("TCP", 443)
DNS = (PodEnd("kube-system", "coredns", {"k8s-app": "kube-dns"}, ips=("10.0.9.1",)),)


def compiled(case: str) -> list[Raw]:
    objects = yaml.safe_load((CASES / f"{case}.out.yaml").read_text())["objects"]
    return [obj for obj in objects if obj["kind"] in POLICY_KINDS]


def leaving(judge: Engine, objects: Iterable[Raw], source: PodEnd, world: World, *ports: Port) -> set[tuple[str, str]]:
    """Give where a pod comes to, by what port."""
    whole = World((source, *world.pods), world.externals)
    return {
        (way.destination, way.port)
        for way in judge.matrix(objects, whole, ports, thorough=True)
        if way.source == str(source) != way.destination
    }


def stage(name: str, **labels: str) -> PodEnd:
    found = labels or {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": name}
    return PodEnd("ci", f"shop-{name}", found, ips=("10.0.0.1",))


def test_host_names(cilium: Engine) -> None:
    """Names that are declared are open at their ports, whole or by pattern; a name for the metadata service is not."""
    objects = compiled("with-cilium-host-names-are-enforced-and-learnt-from-the-stages-own-lookups")
    hosts = World(
        DNS,
        (
            External("git", ("203.0.113.1", "2001:db8::1"), ("git.example.com",)),
            External("cdn", ("203.0.113.2",), ("a.b.cdn.example.com",)),
            External("cdn itself", ("203.0.113.3",), ("cdn.example.com",)),
            External("other", ("203.0.113.4",), ("example.com",)),
            External("unnamed", ("203.0.113.5",)),
            External("registry", ("203.0.113.6",), ("registry.example.com",)),
            External("its address of old", ("203.0.113.10",)),
            External("mirror", ("203.0.113.7",), ("mirror.example.com",)),
            External("rebound", ("169.254.169.254",), ("git.example.com",)),
            External("rebound behind NAT64", ("64:ff9b::a9fe:a9fe",), ("git.example.com",)),
            External("ordinary behind NAT64", ("64:ff9b::cb00:7101",), ("git.example.com",)),
        ),
    )
    ports = (HTTPS, Port("TCP", 5000), Port("TCP", 8443), Port("UDP", 53))
    assert leaving(cilium, objects, stage("build"), hosts, *ports) == {
        ("git", "TCP/443"),
        ("ordinary behind NAT64", "TCP/443"),
        ("cdn", "TCP/443"),
        ("registry", "TCP/443"),
        ("registry", "TCP/5000"),
        ("mirror", "TCP/8443"),
        ("kube-system/coredns", "UDP/53"),
    }
    assert leaving(cilium, objects, stage("scan"), hosts, *ports) == set()


def test_without_its_dns_rule_nothing_is_learnt(cilium: Engine) -> None:
    """Why the DNS rule is there: the proxy learns from lookups that pass it, and only from those."""
    name = "with-cilium-host-names-are-enforced-and-learnt-from-the-stages-own-lookups"
    objects = compiled(name)
    build = next(o for o in objects if o["kind"] == "CiliumNetworkPolicy" and o["metadata"]["name"] == "shop-build")
    for rule in build["spec"]["egress"]:
        for item in rule["toPorts"]:
            item.pop("rules", None)
    hosts = World(DNS, (External("git", ("203.0.113.1",), ("git.example.com",)),))
    assert leaving(cilium, objects, stage("build"), hosts, HTTPS) == set()


def test_the_api_server_is_what_it_is(cilium: Engine) -> None:
    """It is reached on whatever node it runs, and the node's other ports are not."""
    objects = compiled("where-cilium-enforces-its-own-policies-open-and-networkpolicies-close")
    nodes = World(
        (),
        (
            External("api", ("192.0.2.10",), entities=("remote-node", "kube-apiserver")),
            External("api outside", ("198.51.100.1",), entities=("kube-apiserver",)),
            External("node", ("192.0.2.11",), entities=("remote-node",)),
            External("ClusterIP", ("10.96.0.1",)),
        ),
    )
    deploy = stage("deploy", **{"tekton.dev/pipeline": "shop", "tekton.dev/pipelineTask": "deploy"})
    assert leaving(cilium, objects, deploy, nodes, Port("TCP", 6443), HTTPS, Port("TCP", 10250)) == {
        ("api", "TCP/6443"),
        ("api outside", "TCP/6443"),
        ("ClusterIP", "TCP/443"),
    }


def test_a_stage_whose_policy_of_ciliums_is_gone_is_closed(cilium: Engine) -> None:
    """The NetworkPolicy alone closes it, both ways."""
    objects = compiled("where-cilium-enforces-its-own-policies-open-and-networkpolicies-close")
    plain = [obj for obj in objects if obj["kind"] == "NetworkPolicy"]
    tekton = {"tekton.dev/pipeline": "shop"}
    build = stage("build", **tekton, **{"tekton.dev/pipelineTask": "build"})
    metrics = (ContainerPort("metrics", 9090, "TCP"),)
    cache = PodEnd("ci", "cache", {**tekton, "tekton.dev/pipelineTask": "cache"}, ips=("10.0.0.2",), ports=metrics)
    world = World((*DNS, cache), (External("registry", ("203.0.113.1",)),))
    ports = (Port("TCP", 8080), Port("TCP", 9005), Port("TCP", 9011), Port("TCP", 9090), HTTPS)
    assert leaving(cilium, plain, build, world, *ports) == set()
    assert leaving(cilium, objects, build, world, *ports) == {
        ("ci/cache", "TCP/8080"),
        ("ci/cache", "TCP/9005"),
        ("ci/cache", "TCP/9090"),
        ("registry", "TCP/443"),
    }
