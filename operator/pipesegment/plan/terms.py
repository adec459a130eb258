"""The words of policies, and which of them provably means at least as much as another.

Every `covers` is sound and not complete: True is a proof, False means 'not provable', which costs one more API call and
never an opening. Sources: NetworkPolicy (networking.k8s.io/v1 NetworkPolicyPeer, NetworkPolicyPort, IPBlock) and Istio's
AuthorizationPolicy (security.istio.io/v1 Rule: fields of a Source or an Operation are ANDed, their values ORed).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, Final

from pipesegment import names
from pipesegment.facts.selectors import Selector

_ALL_PORTS: Final = (0, 65535)
_NEGATED: Final = "not"


@dataclass(frozen=True, slots=True)
class Anything:
    """An absent list: no restriction."""


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods by the labels of their namespace and their own."""

    namespaces: Selector
    pods: Selector


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses of one family less some of them, as written: they become numbers only when compared."""

    cidr: str
    excepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one protocol: a range of numbers, or a container port's name."""

    protocol: str
    first: int
    last: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """An Istio Source or Operation with its rule's conditions: field → values; `not…` fields exclude."""

    values: tuple[tuple[str, frozenset[str]], ...]
    conditions: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A host name, or (`*.` in front) every name below one."""

    name: str


@dataclass(frozen=True, slots=True)
class Requests:
    """Ports on which a proxy lets some requests through, as written."""

    ports: Ports
    rules: str


@dataclass(frozen=True, slots=True)
class Text:
    """Something of which nothing is known but how it is written."""

    text: str


Term = Anything | Pods | Block | Ports | Fields | Name | Requests | Text

ANYTHING: Final = Anything()


def peer(raw: Mapping[str, Any], namespace: str) -> Term:
    """Read a NetworkPolicyPeer of a policy in `namespace`."""
    if raw.get("ipBlock"):
        return block(raw["ipBlock"])
    if raw.get("namespaceSelector") is None:
        # The API server sets this label on every namespace, and nobody can set it otherwise.
        own = Selector.of({names.NAMESPACE_NAME_LABEL: namespace})
        return Pods(own, Selector.parse(raw.get("podSelector")))
    return Pods(Selector.parse(raw["namespaceSelector"]), Selector.parse(raw.get("podSelector")))


def block(raw: Mapping[str, Any]) -> Block:
    """Read an IPBlock."""
    return Block(raw["cidr"], tuple(sorted(raw.get("except") or ())))


def ports(raw: Mapping[str, Any]) -> Ports:
    """Read a NetworkPolicyPort; without a port it means every port of its protocol."""
    protocol, port = raw.get("protocol") or "TCP", raw.get("port")
    if isinstance(port, str):
        return Ports(protocol, -1, -1, port)
    if port is None:
        return Ports(protocol, *_ALL_PORTS)
    return Ports(protocol, port, raw.get("endPort") or port)


def fields(raw: Mapping[str, Any], conditions: str = "") -> Fields:
    """Read an Istio Source or Operation."""
    values = ((name, frozenset(map(str, found))) for name, found in sorted(raw.items()) if found)
    return Fields(tuple(values), conditions)


def covers(wide: Term, narrow: Term) -> bool:
    """Tell whether everything that `narrow` means is provably meant by `wide` too."""
    if wide == narrow:
        return True
    match wide, narrow:
        case Anything(), _:
            return True
        case Pods(), Pods():
            return narrow.namespaces.implies(wide.namespaces) and narrow.pods.implies(wide.pods)
        case Block(), Block():
            return _covers_block(wide, narrow)
        case Ports(), Ports():
            return wide.protocol == narrow.protocol and _covers_ports(wide, narrow)
        case Ports(), Requests():
            return covers(wide, narrow.ports)
        case Requests(), Requests():
            return wide.rules == narrow.rules and covers(wide.ports, narrow.ports)
        case Name(), Name():
            return wide.name.startswith("*.") and narrow.name.endswith(wide.name[1:])
        case Fields(), Fields():
            return wide.conditions in {"", narrow.conditions} and _covers_fields(dict(wide.values), dict(narrow.values))
        case _:
            return False


def _covers_block(wide: Block, narrow: Block) -> bool:
    if not _inside(_range(narrow.cidr), _range(wide.cidr)):
        return False
    # An exception of the wide one must miss the narrow block, or be excepted there too.
    holes = [_range(text) for text in narrow.excepts]
    return all(
        not _meet(hole, _range(narrow.cidr)) or any(_inside(hole, other) for other in holes)
        for hole in map(_range, wide.excepts)
    )


#: Family, first and last address as numbers.
_Range = tuple[int, int, int]


@lru_cache(maxsize=4096)
def _range(cidr: str) -> _Range:
    net = ip_network(cidr, strict=False)
    return (net.version, int(net.network_address), int(net.broadcast_address))


def _inside(small: _Range, large: _Range) -> bool:
    return small[0] == large[0] and large[1] <= small[1] and small[2] <= large[2]


def _meet(a: _Range, b: _Range) -> bool:
    return a[0] == b[0] and a[1] <= b[2] and b[1] <= a[2]


def _covers_ports(wide: Ports, narrow: Ports) -> bool:
    if (wide.first, wide.last) == _ALL_PORTS:
        return True
    return not wide.name and not narrow.name and wide.first <= narrow.first and narrow.last <= wide.last


def _covers_fields(wide: dict[str, frozenset[str]], narrow: dict[str, frozenset[str]]) -> bool:
    for name, allowed in wide.items():
        found = narrow.get(name)
        if found is None:
            return False
        if name.startswith(_NEGATED):
            if not allowed <= found:
                return False
        elif not all(any(_covers_text(pattern, text) for pattern in allowed) for text in found):
            return False
    return True


def _covers_text(pattern: str, text: str) -> bool:
    """Compare Istio strings: exact, `prefix*`, `*suffix`, or `*` for any that is present."""
    if pattern in {"*", text}:
        return True
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return pattern.startswith("*") and text.endswith(pattern[1:])


class Words:
    """The terms of one comparison of many policies, each by its number, and what is known of pairs of them.

    `left` is what may still be spent on proofs, in comparisons of terms. A segment may be as large as its author likes;
    what cannot be proved in that time counts as not provable.
    """

    def __init__(self, left: int = 1_000_000) -> None:
        self.left = left
        self._numbers: dict[Term, int] = {}
        self._terms: list[Term] = []
        self._covers: dict[tuple[int, int], bool] = {}

    def number(self, term: Term) -> int:
        """Give a term its number; equal terms have the same."""
        found = self._numbers.setdefault(term, len(self._terms))
        if found == len(self._terms):
            self._terms.append(term)
        return found

    def covers(self, wide: int, narrow: int) -> bool:
        """Compare two terms by their numbers."""
        if wide == narrow:
            return True
        pair = (wide, narrow)
        if pair not in self._covers:
            self._covers[pair] = covers(self._terms[wide], self._terms[narrow])
        return self._covers[pair]
