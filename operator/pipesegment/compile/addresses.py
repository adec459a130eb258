"""Address peers as ipBlocks, with `except` or as the plain prefixes that remain.

Some engines handle `except` badly (facts, security §4): there the complement is written out.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any, Final, Literal

from pipesegment.reach.edges import AddressPeer
from pipesegment.spec.segmentclass import SegmentClassSpec

Style = Literal["Except", "Prefixes"]

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def style_of(spec: SegmentClassSpec) -> Style:
    """Give how a class wants exceptions written: `Auto` is Prefixes on AmazonVPC and Except everywhere else."""
    network = spec.network
    if network.except_style == "Auto":
        return "Prefixes" if network.provider == "AmazonVPC" else "Except"
    return "Prefixes" if network.except_style == "Prefixes" else "Except"


def ip_blocks(peer: AddressPeer, style: Style) -> list[dict[str, Any]]:
    """Render a peer as NetworkPolicy peers; none when its exceptions leave no address."""
    left = complement(peer)
    if not left:
        return []
    if style == "Prefixes":
        return [{"ipBlock": {"cidr": block}} for block in left]
    block: dict[str, Any] = {"cidr": peer.block}
    # The API server refuses IPv4-mapped blocks, and no packet carries such an address.
    excepts = sorted(text for text in peer.excepts if not _is_mapped(text))
    if excepts:
        block["except"] = excepts
    return [{"ipBlock": block}]


def _is_mapped(text: str) -> bool:
    return text.startswith("::ffff:") and ip_network(text).subnet_of(_MAPPED)  # type: ignore[arg-type] # IPv6, by its text


@lru_cache(maxsize=1024)
def complement(peer: AddressPeer) -> tuple[str, ...]:
    """Give the fewest prefixes that hold exactly the block's addresses less its exceptions, in address order."""
    return without(peer.block, peer.excepts)


def without(block: str, holes: Iterable[str]) -> tuple[str, ...]:
    """Give the fewest prefixes of a block that are in none of the holes, whichever contains the other."""
    left = [ip_network(block)]
    for text in holes:
        hole = ip_network(text)
        left = [piece for each in left for piece in _less(each, hole)]
    return tuple(str(piece) for piece in collapse_addresses(left))  # type: ignore[type-var] # one family


def _less(block: IPv4Network | IPv6Network, hole: IPv4Network | IPv6Network) -> list[IPv4Network | IPv6Network]:
    # Prefixes are nested or apart, so what overlaps and is not inside the hole contains it.
    if block.version != hole.version or not block.overlaps(hole):
        return [block]
    if block.prefixlen >= hole.prefixlen:
        return []
    return list(block.address_exclude(hole))  # type: ignore[arg-type] # one family, compared above
