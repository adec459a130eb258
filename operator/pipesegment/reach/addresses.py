"""Addresses that mean something: special ranges, metadata services, the cluster's own, and what 'internet' is.

Sources: IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its updates); clouds' documented metadata
and platform addresses.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_network
from typing import Final

from pipesegment.reach.edges import AddressPeer

Network = IPv4Network | IPv6Network

#: Not globally reachable, multicast, reserved, translation prefixes, and platform addresses inside public space.
_SPECIAL: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
    "100.100.100.200/32",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)

#: Metadata services and link-local addresses: AWS (both families), Azure's platform address, Alibaba Cloud.
_METADATA: Final = (
    "169.254.0.0/16",
    "fe80::/10",
    "fd00:ec2::/32",
    "fd20:ce::/32",
    "168.63.129.16/32",
    "100.100.100.200/32",
    # IPv4 inside IPv6: translators would carry these to every address that the blocks above forbid.
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
)

IMDS: Final = (AddressPeer("169.254.169.254/32"), AddressPeer("fd00:ec2::254/128"))
NODE_LOCAL_DNS: Final = "169.254.20.10"


@lru_cache(maxsize=65536)
def network(text: str) -> Network:
    """Read a CIDR or a single address."""
    return ip_network(text)


@lru_cache(maxsize=1)
def special() -> tuple[Network, ...]:
    """Give every block that is never part of 'internet', whatever the cluster looks like."""
    return tuple(network(block) for block in _SPECIAL)


@lru_cache(maxsize=1)
def metadata() -> tuple[Network, ...]:
    """Give the blocks that a `cidr` may not touch unless the class allows the metadata service."""
    return tuple(network(block) for block in _METADATA)


@lru_cache(maxsize=1)
def metadata_of_blocks() -> tuple[Network, ...]:
    """Give those of them that a block can be kept clear of.

    IPv4-mapped addresses are on no wire, and neither we nor the API server take a block of them, as an exception either.
    """
    return tuple(network(block) for block in _METADATA if block != "::ffff:0:0/96")


def touching(block: str, excepts: Sequence[str], ranges: Iterable[Network]) -> Network | None:
    """Find the first range that `block` less `excepts` still has an address in common with."""
    mine = network(block)
    holes = [network(e) for e in excepts]
    return next((r for r in ranges if _meets(mine, holes, r)), None)


def is_empty(block: str, excepts: Sequence[str]) -> bool:
    """Tell whether a block's exceptions leave nothing of it."""
    return not _less([network(block)], [network(e) for e in excepts])


def is_public(block: str, excepts: Sequence[str] = ()) -> bool:
    """Tell whether a block holds any globally reachable address."""
    mine = network(block)
    return bool(_less([mine], [*(s for s in special()), *(network(e) for e in excepts)]))


def neighbourhood(address: IPv4Address | IPv6Address) -> str:
    """Give what is taken for the cluster's own around an address that is seen: an IPv6 subnet is a /64 (RFC 4291 § 2.5.4).

    Pods of an IPv6 cluster have public addresses, and one exception for each would grow with every pod.
    """
    return str(ip_network((address, 64 if address.version == 6 else 32), strict=False))


@lru_cache(maxsize=64)
def internet(cluster: tuple[str, ...]) -> tuple[AddressPeer, ...]:
    """Give 'internet' for both families: everything less special ranges and the cluster's own."""
    blocks = [*special(), *(network(c) for c in cluster)]
    peers = []
    for version, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
        holes = collapse_addresses([b for b in blocks if b.version == version])  # type: ignore[type-var] # one family
        peers.append(AddressPeer(everything, tuple(str(h) for h in holes)))
    return tuple(peers)


def host(address: str) -> str:
    """Write one address as the block that holds nothing else."""
    return str(network(address))


def _meets(block: Network, holes: Sequence[Network], other: Network) -> bool:
    if block.version != other.version or not block.overlaps(other):
        return False
    common = block if block.prefixlen >= other.prefixlen else other
    return bool(_less([common], holes))


def _less(blocks: list[Network], holes: Iterable[Network]) -> list[Network]:
    """Subtract holes from blocks; networks are nested or apart, never crossing."""
    for hole in holes:
        rest: list[Network] = []
        for block in blocks:
            if block.version != hole.version or not block.overlaps(hole):
                rest.append(block)
            elif block.prefixlen < hole.prefixlen:
                rest.extend(block.address_exclude(hole))  # type: ignore[arg-type] # same version, just compared
        blocks = rest
    return blocks
