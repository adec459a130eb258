"""DNS as the machine is told to ask it (/etc/resolv.conf), for names in full: search domains are for people.

What is answered comes with its time to live, which no function of Python's own tells.
"""

from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.resolver

from pipesegment.errors import Unreachable
from pipesegment.world.lookups import Answered, Family

_TYPES: Final[dict[Family, str]] = {4: "A", 6: "AAAA"}
#: How long one question may take, all resolvers and tries together.
_LIFETIME: Final = 5.0


class Resolvers:
    """Asks the resolvers of the machine, or those that are given, each as (address, port)."""

    def __init__(self, servers: tuple[tuple[str, int], ...] = (), *, lifetime: float = _LIFETIME) -> None:
        self._servers = servers
        self._lifetime = lifetime
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def lookup(self, name: str, family: Family) -> Answered:
        """Ask once; a redirection to other names (CNAME) is followed, and the shortest time to live counts."""
        try:
            asked = dns.name.from_text(name)
            found = await self._asked().resolve(
                asked, _TYPES[family], search=False, raise_on_no_answer=False, lifetime=self._lifetime
            )
        except dns.resolver.NXDOMAIN:
            return Answered((), exists=False)
        except dns.exception.Timeout as error:
            raise Unreachable("no resolver answers in time") from error
        except (dns.exception.DNSException, OSError) as error:
            # Its own words hold times and ports, and would be news each time.
            raise Unreachable(f"the resolvers fail: {type(error).__name__}") from error
        addresses = tuple(sorted({str(record.address) for record in found.rrset or ()}))
        return Answered(addresses, float(found.chaining_result.minimum_ttl))

    def _asked(self) -> dns.asyncresolver.Resolver:
        """Give the resolver; the machine's settings are read when the first name is asked for."""
        if self._resolver is None:
            made = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                made.nameservers = [dns.nameserver.Do53Nameserver(*each) for each in self._servers]
            self._resolver = made
        return self._resolver
