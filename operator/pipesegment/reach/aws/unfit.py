"""Addresses that no VPC endpoint has, whatever is said of it: what is known of endpoints may be old, or somebody's mistake.

The class's own ranges do not count: pods and endpoints share the subnets of a VPC.
"""

from typing import Final

from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach import addresses, covering
from pipesegment.reach.addresses import network
from pipesegment.spec.segmentclass import SegmentClassSpec

#: Where no service of AWS is by its public addresses.
_PRIVATE: Final = tuple(
    network(b) for b in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def why(rules: SegmentClassSpec, snapshot: Snapshot, block: str, *, gateway: bool) -> str:
    """Say whose an address of an endpoint is; '' when it may be the endpoint's.

    A gateway's blocks are the public ones of its service; an interface's are single addresses of the VPC's subnets.
    """
    if gateway:
        held = addresses.touching(block, (), (*_PRIVATE, *addresses.metadata()))
        return f"no block of public addresses, for it holds some of {held}" if held is not None else ""
    if addresses.touching(block, (), addresses.metadata()) is not None:
        return "a metadata or link-local address"
    if not rules.network.allow_internet and addresses.is_public(block):
        return "a public address, while the SegmentClass does not allow the internet"
    nodes = {ip for node in snapshot.nodes.values() for ip in node.addresses}
    for whose, theirs in (("the API server", map(str, covering.api_servers(snapshot))), ("a node", nodes)):
        if addresses.touching(block, (), (network(addresses.host(ip)) for ip in theirs)) is not None:
            return f"an address of {whose}"
    if snapshot.seen.first_in(network(block)) is not None:
        return "an address of a pod or Service of the cluster"
    return ""
