"""Blocks of addresses, and which of them hold an address: found by prefix, so that thousands cost no more than a few."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network

from pipesegment.evaluate.endpoints import Address

Network = IPv4Network | IPv6Network


class Blocks:
    """A set of blocks."""

    def __init__(self, blocks: Iterable[Network]) -> None:
        self._by_length: dict[tuple[int, int], dict[int, Network]] = {}
        for block in blocks:
            behind = block.max_prefixlen - block.prefixlen
            self._by_length.setdefault((block.version, behind), {})[int(block.network_address) >> behind] = block

    def holding(self, ip: Address) -> Iterator[Network]:
        """Give the blocks that hold an address."""
        number = int(ip)
        for (version, behind), blocks in self._by_length.items():
            found = blocks.get(number >> behind) if version == ip.version else None
            if found is not None:
                yield found
