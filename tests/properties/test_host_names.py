"""Host names that are looked up: what the objects let through is what was declared, whatever DNS answered.

The declaration is judged by `declared`, the objects by `evaluate`; neither reads the edges of `resolve`. That no
answer leads inside is said here in the plainest words, and shares nothing with either.
"""

from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.evaluate.endpoints import AddressEnd, Port
from tests.properties.surroundings import cluster, pod
from tests.properties.worlds import Compiled, World, checked, differing, document, untold

pytestmark = pytest.mark.thorough

NAMES = ("git.example.com", "web.example.com", "git.corp.example", "*.example.com")
PUBLIC = ("11.22.33.44", "11.22.33.55", "2a01:db7::44")
#: Private, some of it in a block that a destination of the class has.
PRIVATE = ("10.20.0.5", "10.30.0.5", "fd12:3456::5", "100.64.1.1", "172.16.0.9")
#: The cluster's pods, ranges and API server, and addresses that are no host's, in all their clothes.
FORBIDDEN = (
    *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", "fe80::1"),
    *("::ffff:11.22.33.44", "64:ff9b::a00:1", "2002:a00:1::1", "168.63.129.16", "10.244.0.9", "10.244.7.7", "11.9.9.9"),
)
CORP = "10.20.0.0/16"
PORTS = (Port("TCP", 443), Port("TCP", 8443))


@st.composite
def stages(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw a stage that means hosts: itself, by a destination, by a Service that is another name."""
    entries: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 3))):
        ports = draw(st.sampled_from(({}, {"ports": [{"port": 8443}]})))
        fqdn = {"fqdn": {"names": draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=2))}}
        entry = draw(st.sampled_from((fqdn, {"destination": {"name": "forge"}}, {"service": {"name": "mirror"}})))
        entries.append(entry | ({} if "service" in entry else ports))
    return {"name": name, **({"reaches": entries} if entries else {})}


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what DNS answered, as the status of some segment tells it."""
    found = []
    for name in draw(st.lists(st.sampled_from((*NAMES[:3], "mirror.example.com")), unique=True)):
        addresses = draw(st.lists(st.sampled_from((*PUBLIC, *PUBLIC, *PRIVATE, *FORBIDDEN)), unique=True, max_size=5))
        found.append({"name": name, "addresses": addresses})
    spec = {"stages": [{"name": "a", "podSelector": {"matchLabels": {"app": "other"}}}]}
    return {**document(names.SEGMENT, "other", spec, "pay", uid="u-other"), "status": {"hostNames": found}}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a segment of two stages, its class, and what was answered."""
    made = [draw(stages(name)) for name in ("build", "test")]
    labels = [{names.SEGMENT_LABEL: "shop", names.STAGE_LABEL: stage["name"]} for stage in made]
    pods = [pod(f"shop-{n}", "ci", each, n) for n, each in enumerate(labels, start=1)]
    taken = pod("taken", "prod", {"app": "taken"}, 9)
    taken["status"]["podIP"] = "11.9.9.9"
    mirror = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "mirror", "namespace": "ci"},
        "spec": {"type": "ExternalName", "externalName": "mirror.example.com"},
    }
    fqdn = draw(st.sampled_from(("Resolve", "Resolve", "Resolve", "Deny", "Coarse")))
    network = {
        "inexact": {"fqdn": fqdn},
        "clusterCIDRs": ["10.244.0.0/16"],
        "allowInternet": draw(st.sampled_from((True, True, False))),
    }
    destinations = [{"name": "forge", "fqdns": ["git.corp.example", "git.example.com"]}]
    destinations += draw(st.sampled_from(([], [{"name": "corp", "cidrs": [CORP]}])))
    spec = {"network": network, "destinations": destinations}
    return World(
        segments=(document(names.SEGMENT, "shop", {"stages": made}, "ci", uid="u-shop"),),
        classes=(document(names.CLASS, "default", spec, uid="u-class"),),
        facts=(*cluster(), *pods, taken, mirror, draw(answers())),
    )


@checked(250)
@given(worlds())
def test_objects_let_through_exactly_what_the_names_were_looked_up_as(world: World) -> None:
    compiled = Compiled(world)
    assume(not compiled.refused)
    sources = [end for end in compiled.ends if str(end).startswith("ci/")]
    assert differing(compiled, product(sources, map(AddressEnd, (*PUBLIC, *PRIVATE, *FORBIDDEN)), PORTS)) == []


@checked(150)
@given(worlds())
def test_no_answer_leads_inside(world: World) -> None:
    compiled = Compiled(world)
    assume(not compiled.refused)
    named = any(each["name"] == "corp" for each in world.classes[0]["spec"]["destinations"])
    blocks = {
        ip_network(peer["ipBlock"]["cidr"])
        for obj in compiled.objects
        if obj["kind"] == "NetworkPolicy"
        for rule in obj["spec"].get("egress") or ()
        for peer in rule["to"]
        if "ipBlock" in peer and "except" not in peer["ipBlock"]
    }
    for address in (*FORBIDDEN, *(a for a in PRIVATE if not (named and ip_address(a) in ip_network(CORP)))):
        assert ip_network(address) not in blocks, address


@checked(100)
@given(worlds())
def test_a_name_that_stays_closed_is_told(world: World) -> None:
    compiled = Compiled(world)
    assume(not compiled.refused)
    assert untold(compiled) == []
