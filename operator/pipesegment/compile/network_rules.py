"""What stands between an edge and the policies of the network: host names, and labels that Cilium does not know pods by."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from pipesegment.compile.problem import Problem
from pipesegment.facts.selectors import Selector
from pipesegment.reach.edges import Edge, NamePeer, Network, PodPeer, Target
from pipesegment.reach.graph import StageReach

#: Labels that Cilium leaves out of a pod's identity unless told otherwise: its selectors never match them.
_UNSEEN: Final = re.compile(
    r"io\.kubernetes|kubernetes\.io|k8s\.io|topology\.kubernetes\.io|.*beta\.kubernetes\.io|annotation|etcd_node"
    r"|statefulset\.kubernetes\.io/pod-name|apps\.kubernetes\.io/pod-index"
    r"|batch\.kubernetes\.io/(job-completion-index|controller-uid)|controller-uid|controller-revision-hash"
    r"|pod-template-(hash|generation)"
)


def is_seen(key: str) -> bool:
    """Tell whether Cilium knows pods by a label."""
    return not _UNSEEN.match(key)


def network_problem(network: Network, edge: Edge, beside: Sequence[Edge]) -> Problem | None:
    """Find why a network's policies cannot say one half of an edge; `beside` are the edges of the same policy."""
    if any(isinstance(peer, NamePeer) for peer in edge.peers):
        return _names(network, edge, beside)
    if network is Network.CILIUM:
        return _unseen(edge.described, (p.selector for p in edge.peers if isinstance(p, PodPeer)))
    return None


def stands_for_names(edge: Edge) -> Problem:
    """Tell that an edge's addresses are all that its host names, or its service of AWS, might stand for."""
    if edge.through is not None:
        return Problem(
            "AwsServiceCoarse",
            f"{edge.described} is open to every public address at these ports, because the SegmentClass has them stand for "
            f"services without an endpoint ({', '.join(edge.names)})",
            "create the endpoint in the VPC that the SegmentClass names (spec.aws.vpcID)",
        )
    if edge.looked_up:
        number = f"{len(edge.peers)} addresses" if len(edge.peers) > 1 else "one address"
        return Problem(
            "FqdnResolved",
            f"{edge.described} is open to {number} at these ports, as which its host names ({', '.join(edge.names)}) were looked "
            "up, whoever answers there",
            "use a destination of the SegmentClass that has cidrs, or a network that matches names (Cilium)",
        )
    return Problem(
        "FqdnCoarse",
        f"{edge.described} is open to every public address at these ports, because the SegmentClass has them stand for its "
        f"host names ({', '.join(edge.names)})",
        "use a destination of the SegmentClass that has cidrs, or a network that matches names (Cilium)",
    )


def is_region_wide(edge: Edge) -> Problem | None:
    """Tell that an edge through a gateway is everything that the service has in its region."""
    if edge.through is None or not edge.through.prefix_list:
        return None
    return Problem(
        "PrefixListCoarse",
        f"{edge.described} goes through the gateway {edge.through.endpoint}, whose prefix list ({edge.through.prefix_list}) "
        "is every address of the service in the region, whoever's data is there",
        "hold the gateway's policy to what is meant (`pipesegment aws endpoints` prints one), or use an interface endpoint",
    )


def stage_problem(network: Network, stage: StageReach) -> Problem | None:
    """Tell why a network's policies cannot select a stage's pods."""
    if network is not Network.CILIUM:
        return None
    found = _unseen(f"stage {stage.key.stage}", (stage.selector, *((stage.runner.selector,) if stage.runner else ())))
    return found and found._replace(message=f"{found.message}; no policy holds these pods")


def _names(network: Network, edge: Edge, beside: Sequence[Edge]) -> Problem | None:
    if network is not Network.CILIUM:
        names = ", ".join(peer.name for peer in edge.peers if isinstance(peer, NamePeer))
        known = "" if edge.target is Target.FQDN else f" is known by host names alone ({names}), and"
        return Problem(
            "FqdnNotEnforced",
            f"{edge.described}{known or ':'} NetworkPolicy cannot match host names; the edge stays closed",
            "use a destination of the SegmentClass that has cidrs, or a network that matches names (Cilium), or let the "
            "class look names without * up, or be coarse (network.inexact.fqdn)",
        )
    if not any(other.open and other.target is Target.DNS for other in beside):
        return Problem(
            "FqdnNotEnforced",
            f"Cilium learns the addresses of {edge.described} from the stage's own lookups, and it has no way to a resolver",
            "let the stage's `dns` be Auto or Cluster, and have its resolvers known",
        )
    return None


def _unseen(described: str, selectors: Iterable[Selector]) -> Problem | None:
    keys = {r.key for selector in selectors for r in selector.requirements if not is_seen(r.key)}
    if not keys:
        return None
    return Problem(
        "LabelNotSeen",
        f"Cilium leaves the label {min(keys)} of {described} out of what it knows pods by, so its policies never match it",
        "select these pods by other labels",
    )
