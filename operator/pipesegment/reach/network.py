"""Whose policies a namespace's stages get, as far as facts and class tell."""

from typing import Final

from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.edges import Network
from pipesegment.reach.graph import Governance

#: The kind that Cilium brings along.
_CRD: Final = "ciliumnetworkpolicies.cilium.io"


def provider(governance: Governance, snapshot: Snapshot) -> Network:
    """Give the class's word; Auto is Cilium where the facts hold its kind, and NetworkPolicy everywhere else."""
    match governance.spec.network.provider:
        case "Cilium":
            return Network.CILIUM
        case "Auto":
            return Network.CILIUM if _CRD in snapshot.crds else Network.NETWORK_POLICY
        case _:
            return Network.NETWORK_POLICY
