"""The addresses of the cluster's pods and Services, in order: whether a block holds one is known without a walk over all.

A cluster has tens of thousands of them, and every declared block and every 'internet' asks.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class SeenAddresses:
    """Addresses that may be added and removed; each is there as often as somebody has it."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._holders: Counter[Address] = Counter()
        self._ordered: dict[int, list[int]] = {4: [], 6: []}
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        """Note that somebody has these addresses; what is none is passed over."""
        for address in _read(texts):
            self._holders[address] += 1
            if self._holders[address] == 1:
                insort(self._ordered[address.version], int(address))

    def remove(self, texts: Iterable[str]) -> None:
        """Note that somebody has these addresses no longer."""
        for address in _read(texts):
            self._holders[address] -= 1
            if self._holders[address] == 0:
                del self._holders[address]
                ordered = self._ordered[address.version]
                del ordered[bisect_left(ordered, int(address))]

    def first_in(self, block: Network, holes: Sequence[Network] = ()) -> Address | None:
        """Find the lowest address of a block less its holes."""
        ordered, last = self._ordered[block.version], int(block.broadcast_address)
        at = bisect_left(ordered, int(block.network_address))
        while at < len(ordered) and ordered[at] <= last:
            found = (IPv4Address if block.version == 4 else IPv6Address)(ordered[at])
            hole = next((h for h in holes if found in h), None)
            if hole is None:
                return found
            at = bisect_left(ordered, int(hole.broadcast_address) + 1)
        return None

    def outside(self, blocks: Iterable[Network], version: Literal[4, 6]) -> Iterator[Address]:
        """Give the addresses of one family that no block holds, the lowest first; the blocks are sorted and apart."""
        ordered, at = self._ordered[version], 0
        make = IPv4Address if version == 4 else IPv6Address
        for block in blocks:
            end = bisect_left(ordered, int(block.network_address))
            yield from map(make, ordered[at:end])
            at = max(end, bisect_left(ordered, int(block.broadcast_address) + 1))
        yield from map(make, ordered[at:])


def _read(texts: Iterable[str]) -> Iterator[Address]:
    for text in texts:
        try:
            yield ip_address(text)
        except ValueError:
            continue
