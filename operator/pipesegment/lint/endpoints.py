"""What lint knows of VPC endpoints, and what it finds about those that a segment goes through."""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Finding
from pipesegment.lint.entry import Entry
from pipesegment.reach.graph import Reach

ENTRIES: Final = (
    Entry(
        "PS731",
        "EndpointMissing",
        "warning",
        "No VPC endpoint carries the service's calls",
        "The class's VPC has no endpoint for a service that the stage declares or its rights need, so there is no address to "
        "open; the edge stays closed.",
        "Create the endpoint, take the service out, or have the class be coarse (network.inexact.awsService).",
    ),
    Entry(
        "PS732",
        "PrivateDnsOff",
        "warning",
        "The service's name leads past its endpoint",
        "Without private DNS the name of the service leads to public addresses, which the stage does not reach. Clients have "
        "to be told the endpoint's own name.",
        "Switch private DNS on.",
    ),
    Entry(
        "PS733",
        "EndpointShut",
        "warning",
        "The endpoint's security groups do not let the pods in",
        "The stage may go there, and nobody is let in at TCP/443, or not all of the stage's pods.",
        "Let the pods' addresses in, or the nodes' where they translate.",
    ),
    Entry(
        "PS734",
        "EndpointPolicyOpen",
        "warning",
        "The endpoint's policy allows everything",
        "Whoever reaches the endpoint may call the service with any credentials, those of other accounts included: data can be "
        "carried into somebody else's bucket.",
        "Put the policy there that `pipesegment aws endpoints` prints.",
    ),
    Entry(
        "PS735",
        "PrefixListCoarse",
        "info",
        "A gateway is every address of its service",
        "S3 and DynamoDB through a gateway keep their public addresses, and the prefix list is all that the service has in the "
        "region. Exact is False.",
        "Hold the gateway's policy to what is meant, or use an interface endpoint.",
    ),
    Entry(
        "PS736",
        "AwsServiceCoarse",
        "warning",
        "Every public address stands for services of AWS",
        "There is no endpoint, and the class has every public address stand for the service (network.inexact.awsService: "
        "Coarse). The stage reaches more than it declares; Exact is False.",
        "Create the endpoint; the class may also deny (network.inexact.awsService: Deny).",
    ),
    Entry(
        "PS737",
        "EndpointsOld",
        "warning",
        "The VPC's endpoints were read long ago",
        "AWS gives no answer, and what was known of the endpoints goes on for a day. What has changed since is not known.",
        "Let the operator reach the EC2 API, with the rights that `pipesegment aws operator-policy` prints.",
    ),
)


def check(reach: Reach, snapshot: Snapshot) -> Iterator[Finding]:
    """Find the endpoints of a segment whose policies hold nobody to anything."""
    open_to_all = {each.id for each in snapshot.vpc_endpoints or () if each.allows_everything}
    for stage in reach.stages:
        for edge in stage.egress:
            used = edge.through.endpoint if edge.open and edge.through else ""
            if used in open_to_all:
                message = f"the policy of endpoint {used} lets anybody call anything, with credentials of any account"
                fix = "put the policy there that `pipesegment aws endpoints` prints"
                yield Finding(edge.because, "EndpointPolicyOpen", edge.described, message, fix, str(reach.segment))
