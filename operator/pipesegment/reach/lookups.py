"""What the answer to a lookup may open: whoever answers for a name, or stands between, could say any address.

Never the cluster, nor addresses that are no host's, nor metadata services. Private ones only for names that the class
itself names, and where the class says in blocks that they are meant: a public name that suddenly leads inside is what an
attack by DNS looks like (rebinding).
"""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final

from pipesegment.facts.ends import End
from pipesegment.facts.ends import address as read
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach import addresses, covering
from pipesegment.reach.addresses import network
from pipesegment.reach.scene import Scene
from pipesegment.spec.ports import within
from pipesegment.spec.segmentclass import SegmentClassSpec

#: How many names are followed for one segment.
MOST_NAMES: Final = 256
PRIVATE: Final = "no public address"


def may_follow(scene: Scene, name: str) -> bool:
    """Tell whether a segment's names are not too many with this one."""
    asked = scene.once(("names",), set[str])
    if name not in asked and len(asked) >= MOST_NAMES:
        return False
    asked.add(name)
    return True


def why(rules: SegmentClassSpec, snapshot: Snapshot, address: str, *, by_class: bool) -> str:
    """Say what an address is that a lookup may not open; '' when it may."""
    block, ip = addresses.host(address), ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return "an IPv4 address in the clothes of IPv6"
    if ip.is_loopback or ip.is_unspecified or ip.is_multicast:
        return "no address of a host elsewhere"
    if addresses.touching(block, (), addresses.metadata()) is not None:
        return "a metadata or link-local address"
    if covering.is_of_the_cluster(read(address), rules, snapshot):
        return "an address of the cluster itself"
    if not addresses.is_public(block) and not (by_class and _is_named(rules, block)):
        return PRIVATE
    return ""


def name_of(names: Iterable[str], end: End, rules: SegmentClassSpec, snapshot: Snapshot, *, by_class: bool) -> str:
    """Give the first of these names that leads to an end, by an address that it may have; '' for none."""
    mine = covering.addresses(end)
    for name in names:
        known = (snapshot.host_names or {}).get(name)
        open_to = known.addresses if known is not None and not (known.trouble or known.many) else ()
        if any(read(a) in mine and not why(rules, snapshot, a, by_class=by_class) for a in open_to):
            return name
    return ""


def order(address: str) -> tuple[int, int]:
    """Order addresses by family and number."""
    ip = ip_address(address)
    return (ip.version, int(ip))


def _is_named(rules: SegmentClassSpec, block: str) -> bool:
    """Tell whether the class has an address in some block that it allows, or that is a destination."""
    blocks = (*rules.guardrails.cidrs, *(cidr for each in rules.destinations for cidr in each.cidrs))
    mine = network(block).version
    return any(network(outer).version == mine and within(block, outer) for outer in blocks)
