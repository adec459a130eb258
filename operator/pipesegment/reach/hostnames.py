"""What host names become where nothing matches them: the class may have every public address stand for them."""

from collections.abc import Iterable, Sequence

from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach import guardrails, network
from pipesegment.reach.graph import Governance, NamePeer, Network, Peer
from pipesegment.reach.scene import Scene


def peers(scene: Scene, found: Iterable[str]) -> tuple[Sequence[Peer], tuple[str, ...]]:
    """Give the peers that names are, and the names for which those are wider than was declared."""
    known = tuple(sorted(set(found)))
    if are_coarse(scene.governance, scene.snapshot):
        return guardrails.internet(scene), known
    return tuple(NamePeer(name) for name in known), ()


def are_coarse(governing: Governance, snapshot: Snapshot) -> bool:
    """Tell whether every public address stands for a host name (`inexact.fqdn: Coarse`).

    Never where something matches names, nor where the class does not let stages reach every public address.
    """
    asked = governing.spec.network.inexact.fqdn == "Coarse" and guardrails.names_allowed(governing.spec)
    return asked and network.provider(governing, snapshot) is Network.NETWORK_POLICY
