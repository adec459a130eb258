"""What lint knows of host names that are looked up (`inexact.fqdn: Resolve`). Part of the catalogue."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
    Entry(
        "PS324",
        "TooManyAddresses",
        "warning",
        "A host name has more addresses than are followed",
        "A name with so many addresses is a service that moves between them, and any list of them would be too short or too wide. "
        "It stays closed.",
        "Use a destination with addresses, or a network that matches names.",
    ),
    Entry(
        "PS325",
        "TooManyNames",
        "warning",
        "A segment means more host names than are followed",
        "Each name is looked up again and again. Those beyond the bound stay closed.",
        "Name fewer hosts, or split the segment.",
    ),
    Entry(
        "PS321",
        "FqdnResolved",
        "info",
        "Addresses stand for host names",
        "A NetworkPolicy knows addresses only, and the class has host names looked up (network.inexact.fqdn: Resolve). What is open "
        "is what the names stood for lately, and whoever else answers at these addresses, which on shared hosts may be many. "
        "Exact is False.",
        "Use a destination with addresses, or a network that matches names; the class may also deny (network.inexact.fqdn: Deny).",
    ),
    Entry(
        "PS322",
        "NamesOld",
        "warning",
        "A host name was last answered long ago",
        "The operator's DNS gives no answer, and what the name stood for goes on for a day. Where its host has gone since is not "
        "known.",
        "See that the operator reaches its DNS, and that it answers.",
    ),
    Entry(
        "PS323",
        "NamesUnsteady",
        "warning",
        "A host name changes its addresses faster than they are followed",
        "Clients may be told an address that is not open yet, or no more.",
        "Use a destination with addresses, or a network that matches names.",
    ),
)
