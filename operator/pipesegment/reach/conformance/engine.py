"""Who enforces NetworkPolicies: the network engine whose agent runs on the nodes, as far as DaemonSets tell.

The API server takes every policy, whether anybody acts on it or not. An engine that is not known here, or that a provider
runs where no DaemonSet shows it, is unknown: that is neither 'enforced' nor 'not enforced'.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pipesegment.facts.others import DaemonSet
from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_namespace
from pipesegment.reach.scene import Scene

AMAZON: Final = "Amazon VPC CNI"
_FLANNEL: Final = "flannel"

#: By which container an engine's agent is known, whatever its DaemonSet is called.
_CONTAINERS: Final[Mapping[str, str]] = {
    "calico-node": "Calico",
    "cilium-agent": "Cilium",
    "antrea-agent": "Antrea",
    "kube-router": "kube-router",
    "weave-npc": "Weave Net",
    "azure-npm": "Azure NPM",
    "kube-network-policies": "kube-network-policies",
}
#: Engines whose containers are called differently from version to version.
_DAEMON_SETS: Final[Mapping[str, str]] = {"ovnkube-node": "OVN-Kubernetes", "kube-ovn-cni": "Kube-OVN"}
_AMAZON_NODE: Final = "aws-node"
_AMAZON_AGENTS: Final = frozenset({"aws-network-policy-agent", "aws-eks-nodeagent"})
#: The label of nodes inside which EKS runs the engine.
AUTO_MODE: Final = ("eks.amazonaws.com/compute-type", "auto")

_INSTALL: Final = "install an engine that enforces NetworkPolicies, such as Calico, Cilium or kube-network-policies"
_PROBE: Final = "`pipesegment verify --probe` shows whether they hold"
_SWITCH_ON: Final[Mapping[str, str]] = {
    AMAZON: "set enableNetworkPolicy to true in the configuration of the vpc-cni add-on",
    "kube-router": "start it with --run-firewall=true",
    _FLANNEL: _INSTALL,
}


@dataclass(frozen=True, slots=True)
class Agent:
    """An engine's agent on the nodes: whether it enforces NetworkPolicies, and its variables."""

    engine: str
    daemon_set: str
    enforces: bool
    env: tuple[tuple[str, str], ...] = ()

    def variable(self, name: str) -> str:
        """Give a variable of its containers; '' when it is not set."""
        return dict(self.env).get(name, "")


@lru_cache(maxsize=1024)
def agent(found: DaemonSet) -> Agent | None:
    """Tell which engine's agent a DaemonSet is; None for one that has nothing to do with NetworkPolicies."""
    containers = {c.name: c for c in found.containers}
    env = tuple(pair for c in found.containers for pair in c.env)
    words = [word for c in found.containers for word in c.words]
    if _AMAZON_NODE in containers:
        # The agent comes with the DaemonSet, switched off.
        on = bool(_AMAZON_AGENTS & containers.keys()) and "--enable-network-policy=true" in words
        return Agent(AMAZON, str(found), on, env)
    engine = next((e for name, e in _CONTAINERS.items() if name in containers), _DAEMON_SETS.get(found.name))
    if engine is not None:
        return Agent(engine, str(found), "--run-firewall=false" not in words, env)
    if "kube-flannel" in containers:
        return Agent(_FLANNEL, str(found), enforces=False)
    return None


def agents(scene: Scene) -> tuple[Agent, ...] | None:
    """Give every engine's agents that are seen; None where nobody looked."""
    scene.reads.add(("DaemonSet", "*", "*"))
    snapshot = scene.snapshot
    sets = snapshot.others.daemon_sets
    if sets is None:
        return None
    found = [a for by_name in sets.values() for each in by_name.values() if (a := agent(each)) is not None]
    if snapshot.others.auto_mode is not None and _runs_auto_mode(snapshot):
        found.append(Agent(AMAZON, "EKS Auto Mode", snapshot.others.auto_mode))
    return tuple(sorted(found, key=lambda a: (a.engine, a.daemon_set)))


def check(scene: Scene, found: tuple[Agent, ...] | None) -> Iterator[Finding]:
    """Tell when nobody enforces NetworkPolicies, or nobody knows who does."""
    if found is None or any(a.enforces for a in found):
        return
    if found:
        told = found[0]
        message = f"nobody enforces NetworkPolicies: {told.engine} ({told.daemon_set}) runs without enforcing them"
        yield of_namespace(scene, "NotEnforced", message, _SWITCH_ON.get(told.engine, _INSTALL))
        return
    if _runs_auto_mode(scene.snapshot):
        message = "EKS Auto Mode runs the engine inside its nodes, and whether it enforces NetworkPolicies is not known"
        fix = f"set enable-network-policy-controller to true in ConfigMap kube-system/amazon-vpc-cni; {_PROBE}"
    else:
        known = ", ".join(sorted({*_CONTAINERS.values(), *_DAEMON_SETS.values(), AMAZON}))
        message = f"who enforces NetworkPolicies is not known: no agent of an engine that is known ({known}) runs"
        fix = f"{_INSTALL}; {_PROBE}"
    yield of_namespace(scene, "EngineUnknown", message, fix)


def _runs_auto_mode(snapshot: Snapshot) -> bool:
    key, value = AUTO_MODE
    return any(node.meta.labels.get(key) == value for node in snapshot.nodes.values())
