"""A whole look at a cluster, for `verify`: the facts, and everything of others that may undo a segment.

What may not be listed is remembered instead of passed over: it counts neither as absent nor as fine.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from pipesegment import names
from pipesegment.cli import output
from pipesegment.cli.gather import FACTS, GUARDS, connected
from pipesegment.cli.inputs import Object
from pipesegment.cli.options import Options
from pipesegment.errors import Rejected
from pipesegment.facts.others import AUTO_MODE
from pipesegment.verify.moment import Seen, Tier
from pipesegment.world import kinds
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Cluster, Selection

_CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
#: Policies that come before NetworkPolicies in their engine; that they exist is all that is asked.
_TIERS: Final = (
    Kind("crd.projectcalico.org/v1", "NetworkPolicy", "networkpolicies"),
    Kind("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "globalnetworkpolicies", namespaced=False),
    Kind("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", "adminnetworkpolicies", namespaced=False),
    Kind("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "clusternetworkpolicies", namespaced=False),
    Kind("crd.antrea.io/v1beta1", "NetworkPolicy", "networkpolicies"),
    Kind("crd.antrea.io/v1beta1", "ClusterNetworkPolicy", "clusternetworkpolicies", namespaced=False),
    Kind("networking.k8s.aws/v1alpha1", "ApplicationNetworkPolicy", "applicationnetworkpolicies"),
    Kind("networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", "clusternetworkpolicies", namespaced=False),
)
#: Groups that are always asked about; others exist where their CustomResourceDefinitions do.
_ALWAYS: Final = frozenset({"", "apps", "discovery.k8s.io", "networking.k8s.io", names.GROUP})
_METADATA: Final = Selection(metadata_only=True)


@dataclass(frozen=True, slots=True)
class Examined:
    """The objects that were read, and what is to be told beside them."""

    objects: tuple[Object, ...]
    seen: Seen


def examine(options: Options) -> Examined:
    """Look at the cluster that is asked for. Raises Unreachable when it does not answer, Usage without access."""
    with output.progress("reading the cluster"):
        return asyncio.run(_examine(options))


async def _examine(options: Options) -> Examined:
    async with connected(options) as api:
        return await examined(api)


async def examined(cluster: Cluster) -> Examined:
    """List every kind that matters, side by side."""
    look = _Look(cluster)
    crds = await look.at(kinds.CRD, _METADATA)
    served = None if kinds.CRD.kind in look.unread else {crd["metadata"]["name"] for crd in crds}
    auto_mode = Selection(namespace="kube-system", fields=f"metadata.name={AUTO_MODE}")
    whole = [
        (kind, Selection())
        for kind in dict.fromkeys((*FACTS, kinds.DAEMON_SET, *kinds.FOREIGN))
        if _exists(kind, served)
    ]
    found = await asyncio.gather(*(look.at(kind, selection) for kind, selection in [*whole, (_CONFIG_MAP, auto_mode)]))
    if any(obj["kind"] == kinds.EXCEPTION.kind for each in found for obj in each):
        found += await asyncio.gather(*(look.at(kind, Selection()) for kind in GUARDS))
    tiers = [kind for kind in _TIERS if served is not None and kind.crd in served]
    listed = await asyncio.gather(*(look.at(kind, _METADATA) for kind in tiers))
    told = tuple(
        Tier(
            f"{kind.kind} ({kind.group})",
            tuple(sorted((o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in each)),
        )
        for kind, each in zip(tiers, listed, strict=True)
        if each
    )
    objects = (*crds, *(obj for each in found for obj in each))
    return Examined(objects, Seen(dict(look.unread), told))


class _Look:
    """Lists kinds, and remembers those that may not be listed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.unread: dict[str, str] = {}

    async def at(self, kind: Kind, selection: Selection) -> list[Object]:
        """List a kind; nothing for one that does not exist, or may not be listed."""
        try:
            page = await self._cluster.list(kind, selection)
        except Rejected as error:
            if error.status == 403:
                self.unread[kind.kind] = error.message
            elif error.status != 404:
                raise
            return []
        return [{**obj, "apiVersion": kind.api_version, "kind": kind.kind} for obj in page.items]


def _exists(kind: Kind, served: set[str] | None) -> bool:
    """Tell whether a kind may exist: whoever may not list one that does not is told 403, not 404."""
    return served is None or kind.group in _ALWAYS or kind.crd in served
