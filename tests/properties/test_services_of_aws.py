"""Ways to services of AWS: what the objects let through is what was declared, whatever is known of the VPC's endpoints.

The declaration is judged by `declared`, the objects by `evaluate`; neither reads the edges of `resolve`.
"""

from itertools import product
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.evaluate.endpoints import AddressEnd, Port
from pipesegment.facts import vpc
from tests.properties.surroundings import cluster, pod
from tests.properties.worlds import Compiled, World, checked, differing, document, untold

pytestmark = pytest.mark.thorough
#: service -> where it answers; those of S3 are a prefix list's.
ANSWERS = {
    "kms": ("10.0.1.10", "2a05:d018::10"),
    "sts": ("10.0.1.11",),
    "ecr.api": ("10.0.1.12",),
    "ecr.dkr": ("10.0.1.13",),
    "s3": ("52.218.0.0/17", "2a05:d07a:a000::/40"),
}
ASKED = (
    *(address for service in ANSWERS if service != "s3" for address in ANSWERS[service]),
    *("52.218.3.4", "52.219.0.1", "2a05:d07a:a000::1", "8.8.8.8", "10.0.1.14", "169.254.170.23", "10.244.0.9"),
)
PORTS = (Port("TCP", 443), Port("TCP", 80), Port("UDP", 443))


@st.composite
def endpoints(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw what EC2 tells: some endpoints, in the class's VPC or in another, and most of their addresses."""
    made, interfaces, lists = [], [], []
    for number, service in enumerate(draw(st.lists(st.sampled_from(sorted(ANSWERS)), unique=True, max_size=5))):
        gateway = service == "s3"
        region = draw(st.sampled_from(("eu-west-1", "eu-west-1", "eu-west-1", "us-east-1")))
        made.append(
            {
                "VpcEndpointId": f"vpce-{number}",
                "VpcId": draw(st.sampled_from(("vpc-1", "vpc-1", "vpc-1", "vpc-2"))),
                "ServiceName": f"com.amazonaws.{region}.{service}",
                "VpcEndpointType": "Gateway" if gateway else "Interface",
                "State": draw(st.sampled_from(("available", "available", "available", "deleting"))),
                "NetworkInterfaceIds": [] if gateway else [f"eni-{number}"],
            }
        )
        if draw(st.integers(0, 4)) == 0:
            continue
        if gateway:
            name = f"com.amazonaws.{region}.s3"
            lists.append({"PrefixListId": "pl-1", "PrefixListName": name, "Cidrs": list(ANSWERS["s3"])})
        else:
            six = [{"Ipv6Address": a} for a in ANSWERS[service] if ":" in a]
            first = {"PrivateIpAddress": ANSWERS[service][0]}
            interfaces.append({"NetworkInterfaceId": f"eni-{number}", **first, "Ipv6Addresses": six})
    told = {"VpcEndpoints": made, "NetworkInterfaces": interfaces, "PrefixLists": lists}
    return [vpc.wrapped(told, "facts")] if draw(st.integers(0, 5)) else []


@st.composite
def stages(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Draw a stage that declares services, has rights, or both."""
    found: dict[str, Any] = {"name": name}
    entries = []
    for service in draw(st.lists(st.sampled_from(("kms", "s3", "ecr", "sts", "sqs")), unique=True, max_size=2)):
        region = draw(st.sampled_from(({}, {}, {"region": "us-east-1"})))
        ports = draw(st.sampled_from(({}, {"ports": [{"port": 80, "endPort": 443}]})))
        entries.append({"awsService": {"name": service, **region}, **ports})
    if entries:
        found["reaches"] = entries
    if draw(st.booleans()):
        actions = draw(
            st.lists(
                st.sampled_from(("kms:Decrypt", "s3:Get*", "ecr:BatchGetImage", "sts:GetCallerIdentity")), min_size=1
            )
        )
        found["aws"] = {
            "permissions": [{"actions": sorted(set(actions)), "resources": ["*"]}],
            "reachServices": draw(st.sampled_from(("Derived", "Derived", "Declared"))),
            "identity": draw(st.sampled_from(("IRSA", "PodIdentity"))),
        }
    return found


@st.composite
def classes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the class: with a VPC and a region or not, coarse or not, with guardrails or none."""
    network = {
        "allowInternet": draw(st.sampled_from((True, True, False))),
        "inexact": {"awsService": draw(st.sampled_from(("Deny", "Coarse")))},
        "clusterCIDRs": ["10.244.0.0/16"],
    }
    aws = {"allowedActions": ["*"]}
    aws |= draw(st.sampled_from(({"vpcID": "vpc-1"}, {"vpcID": "vpc-1"}, {})))
    aws |= draw(st.sampled_from(({"region": "eu-west-1"}, {"region": "eu-west-1"}, {})))
    spec: dict[str, Any] = {"network": network, "aws": aws}
    spec |= draw(
        st.sampled_from(({}, {}, {"guardrails": {"targets": ["stage"]}}, {"guardrails": {"cidrs": ["10.0.0.0/8"]}}))
    )
    return document(names.CLASS, "default", spec, uid="u-class")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a segment of two stages, its class, and what is known around it."""
    made = [draw(stages(name)) for name in ("build", "test")]
    labels = [{names.SEGMENT_LABEL: "shop", names.STAGE_LABEL: stage["name"]} for stage in made]
    pods = [pod(f"shop-{n}", "ci", each, n) for n, each in enumerate(labels, start=1)]
    if draw(st.integers(0, 3)) == 0:
        # Somebody has the address of an endpoint by now.
        taken = pod("taken", "prod", {"app": "taken"}, 9)
        taken["status"]["podIP"] = "10.0.1.10"
        pods.append(taken)
    return World(
        segments=(document(names.SEGMENT, "shop", {"stages": made}, "ci", uid="u-shop"),),
        classes=(draw(classes()),),
        facts=(*cluster(), *pods, *draw(endpoints())),
    )


@checked(250)
@given(worlds())
def test_objects_let_through_exactly_the_services_that_are_declared(world: World) -> None:
    compiled = Compiled(world)
    assume(not compiled.refused)
    sources = [end for end in compiled.ends if str(end).startswith("ci/")]
    assert differing(compiled, product(sources, map(AddressEnd, ASKED), PORTS)) == []


@checked(100)
@given(worlds())
def test_a_service_that_stays_closed_is_told(world: World) -> None:
    compiled = Compiled(world)
    assume(not compiled.refused)
    assert untold(compiled) == []
