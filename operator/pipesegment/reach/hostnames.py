"""What host names become where nothing matches them: every public address, or those that they were looked up as.

Which one is the class's word (`inexact.fqdn`). Whoever answers for a name chooses its addresses, so what a lookup tells is
held to what the name may stand for at all (`lookups`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipesegment.facts.hostnames import MOST, Known
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach import guardrails, lookups, network
from pipesegment.reach.addresses import host
from pipesegment.reach.edges import AddressPeer, Edge, NamePeer, Network
from pipesegment.reach.graph import Governance
from pipesegment.reach.scene import Scene

#: How many addresses a message lists.
_SHOWN: Final = 3
#: What is followed of a name; a change makes those segments due that read it.
KIND: Final = "HostName"
_FIX: Final[Mapping[tuple[bool, bool], str]] = {
    # (it is private, the class names it)
    (
        True,
        False,
    ): "have it answered with public addresses, or have the platform team make it a destination of the SegmentClass",
    (True, True): "have it answered with public addresses, or have guardrails.cidrs or some destination's cidrs of the "
    "SegmentClass hold this one",
    (False, False): "have it answered with addresses of its own",
    (False, True): "have it answered with addresses of its own",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """Names that an entry means; `by_class`: the class named them, and not the segment's author."""

    because: str
    described: str
    names: tuple[str, ...]
    by_class: bool = False


def opened(scene: Scene, meant: Meaning, edge: Edge) -> Edge:
    """Give an open edge the peers that its names come to; closed, where they come to none."""
    known = tuple(sorted(set(meant.names)))
    if are_coarse(scene.governance, scene.snapshot):
        return replace(edge, peers=guardrails.internet(scene), names=known)
    if not are_followed(scene.governance, scene.snapshot):
        return replace(edge, peers=tuple(NamePeer(name) for name in known))
    found = {name: _addresses(scene, meant, name) for name in known}
    addresses = sorted({address for each in found.values() for address in each}, key=lookups.order)
    if not addresses:
        return replace(edge, open=False, ports=(), http=())
    peers = tuple(AddressPeer(host(address)) for address in addresses)
    return replace(edge, peers=peers, names=tuple(n for n, each in found.items() if each), looked_up=True)


def are_coarse(governing: Governance, snapshot: Snapshot) -> bool:
    """Tell whether every public address stands for a host name (`inexact.fqdn: Coarse`).

    Never where something matches names, nor where the class does not let stages reach every public address.
    """
    asked = governing.spec.network.inexact.fqdn == "Coarse" and guardrails.names_allowed(governing.spec)
    return asked and network.provider(governing, snapshot) is Network.NETWORK_POLICY


def are_followed(governing: Governance, snapshot: Snapshot) -> bool:
    """Tell whether host names are looked up (`inexact.fqdn: Resolve`); never where something matches them."""
    asked = governing.spec.network.inexact.fqdn == "Resolve"
    return asked and network.provider(governing, snapshot) is Network.NETWORK_POLICY


def wanted(reads: Iterable[tuple[str, str, str]]) -> frozenset[str]:
    """Give the names that somebody who read these wants to have looked up."""
    return frozenset(name for kind, _, name in reads if kind == KIND)


def _addresses(scene: Scene, meant: Meaning, name: str) -> tuple[str, ...]:
    """Give the addresses of a name that may be opened; whatever else there is to say of it is told."""
    if name.startswith("*."):
        message = f"{meant.described}: only names in full can be looked up, and {name} is every name below"
        fix = "name the hosts one by one, or use a network that matches names (Cilium)"
        scene.note(meant.because, "FqdnNotEnforced", meant.described, f"{message}; it stays closed", fix)
        return ()
    if not lookups.may_follow(scene, name):
        message = f"more than {lookups.MOST_NAMES} host names are meant by one segment, and {name} is not looked up"
        scene.note(meant.because, "TooManyNames", meant.described, message, "split the segment, or name fewer hosts")
        return ()
    scene.reads.add((KIND, "", name))
    found = (scene.snapshot.host_names or {}).get(name)
    if found is None or found.trouble or found.many:
        _note_closed(scene, meant, name, found)
        return ()
    scene.reads.update({("Node", "", "*"), ("EndpointSlice", "default", "*")})
    held: dict[str, list[str]] = {}
    for address in found.addresses:
        why = lookups.why(scene.governance.spec, scene.snapshot, address, by_class=meant.by_class)
        held.setdefault(why, []).append(address)
    fit = held.pop("", [])
    for why, listed in held.items():
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        message = f"{name} is answered with {', '.join(listed[:_SHOWN])}{more} ({why}), and this stays closed"
        fix = _FIX[why == lookups.PRIVATE, meant.by_class]
        scene.note(meant.because, "Unresolved", meant.described, message, fix)
    _note_doubts(scene, meant, name, found)
    known = scene.followed.get(name, found)
    both = {*fit, *(known.addresses if known is not found else ())}
    scene.followed[name] = replace(found, addresses=tuple(sorted(both, key=lookups.order)))
    return tuple(fit)


def _note_closed(scene: Scene, meant: Meaning, name: str, found: Known | None) -> None:
    because, described = meant.because, meant.described
    if found is not None and found.many:
        message = f"{name} is answered with {found.many} addresses, and {MOST} are the most; it stays closed"
        fix = "use a destination of the SegmentClass that has cidrs, or a network that matches names (Cilium)"
        scene.note(because, "TooManyAddresses", described, message, fix)
    elif found is not None:
        message = f"{name} {found.trouble}, so that it stays closed"
        scene.note(
            because, "Unresolved", described, message, "correct the name, or see that the operator's DNS answers"
        )
    else:
        message = f"what {name} stands for is not known, so that it stays closed"
        fix = "the operator looks it up; what it found is in the segment's status, which --cluster or --facts give"
        scene.note(because, "Unresolved", described, message, fix)


def _note_doubts(scene: Scene, meant: Meaning, name: str, found: Known) -> None:
    """Tell what makes it doubtful that clients get the addresses that are open."""
    if found.old:
        message = f"{name} was last answered at {found.old}, and what it stood for then is open"
        scene.note(meant.because, "NamesOld", meant.described, message, "see that the operator's DNS answers")
    if found.dropped:
        message = f"{name} had more than {MOST} addresses lately, and the latest {MOST} are open"
        fix = "use a destination of the SegmentClass that has cidrs, or a network that matches names (Cilium)"
        scene.note(meant.because, "NamesUnsteady", meant.described, message, fix)
