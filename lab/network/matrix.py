"""Who reaches whom: the plain form that every judge gives its answers in, whatever it is."""

from collections.abc import Collection, Sequence
from typing import NamedTuple


class Way(NamedTuple):
    """One way: from an end to another at a port, by their names (`namespace/pod` or an outside host's; `TCP/443`)."""

    source: str
    destination: str
    port: str

    def __str__(self) -> str:
        """Render as `ci/build → prod/db at TCP/5432`."""
        return f"{self.source} → {self.destination} at {self.port}"


#: The ways that are open.
Matrix = frozenset[Way]


class Member(NamedTuple):
    """Who takes part: a name, its addresses, and whether it is a pod."""

    name: str
    ips: tuple[str, ...]
    pod: bool


def every(members: Sequence[Member], ports: Sequence[str]) -> list[Way]:
    """Give all ways that a policy can have a say in: between two that share a family, one of them a pod."""
    return [Way(a.name, b.name, port) for a in members for b in members if _meet(a, b) for port in ports]


def differences(expected: Collection[Way], found: Collection[Way], judge: str) -> list[str]:
    """Say in words where a judge's matrix is not the expected one."""
    opened = [f"{judge} lets through {way}" for way in sorted(set(found) - set(expected))]
    return opened + [f"{judge} blocks {way}" for way in sorted(set(expected) - set(found))]


def _meet(a: Member, b: Member) -> bool:
    families = {":" in ip for ip in a.ips}
    return a.name != b.name and (a.pod or b.pod) and any((":" in ip) in families for ip in b.ips)
