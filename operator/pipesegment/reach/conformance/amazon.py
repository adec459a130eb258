"""What the Amazon VPC CNI does not enforce although it enforces NetworkPolicies.

Sources: the EKS user guide's considerations on network policies, the README of amazon-vpc-cni-k8s, the source of
amazon-network-policy-controller-k8s (names of ports), and issues of aws-network-policy-agent (#327 pods by name, #345 the
first seconds) and amazon-network-policy-controller-k8s (#121, #146 exceptions).
"""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach import crowding
from pipesegment.reach.conformance import fronted
from pipesegment.reach.conformance.engine import AMAZON, Agent
from pipesegment.reach.conformance.told import of_namespace, of_stage
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.edges import AddressPeer
from pipesegment.reach.graph import StageReach
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: Pipeline engines that make pods which nobody owns; read in their sources.
_BARE: Final = frozenset({"GitLabRunner", "Jenkins", "Woodpecker", "Drone"})
_CALICO: Final = "have another engine enforce the policies, such as Calico beside the VPC CNI"
_WINDOWS: Final = ("kubernetes.io/os", "windows")

#: What `engine.agents` gives.
Agents = tuple[Agent, ...] | None


def check(scene: Scene, agents: Agents, views: tuple[View, ...]) -> Iterator[Finding]:
    """Find the blind spots in which every stage stands."""
    if enforces(scene, agents):
        yield from _window(scene, agents)
        yield from _second_family(scene, agents)
        yield from _shared_names(scene, views)


def check_stage(
    scene: Scene, agents: Agents, view: View, stage: StageReach, pods: tuple[Pod, ...]
) -> Iterator[Finding]:
    """Find the blind spots in which one stage stands."""
    if enforces(scene, agents):
        yield from _bare(scene, view, pods)
        yield from _windows(scene, view, pods)
        yield from _excepts(scene, view, stage)
        yield from _merged_ports(scene, view, stage, pods)
        yield from _lost_ports(scene, stage)
        yield from fronted.check(scene, stage)


def enforces(scene: Scene, agents: Agents) -> bool:
    """Tell whether the VPC CNI enforces here: it is seen to, or the class says so and nobody else is seen to."""
    found = [a for a in agents or () if a.enforces]
    if any(a.engine == AMAZON for a in found):
        return True
    return scene.governance.spec.network.provider == "AmazonVPC" and not found


def _window(scene: Scene, agents: Agents) -> Iterator[Finding]:
    if _variables(agents, "NETWORK_POLICY_ENFORCING_MODE") == {"strict"}:
        return
    message = f"each pod reaches everything for its first seconds: the {AMAZON} enforces in standard mode"
    fix = "set NETWORK_POLICY_ENFORCING_MODE=strict, once every pod of the cluster has policies; or let pods wait before they work"
    yield of_namespace(scene, "StartupWindow", message, fix)


def _second_family(scene: Scene, agents: Agents) -> Iterator[Finding]:
    """On IPv6 clusters pods have IPv4 egress beside, unless it is switched off."""
    if "true" in _variables(agents, "ENABLE_IPv6") and "false" not in _variables(agents, "ENABLE_V4_EGRESS"):
        message = f"pods reach IPv4 addresses too, and the {AMAZON} enforces IPv6 alone here"
        yield of_namespace(scene, "SecondFamily", message, "set ENABLE_V4_EGRESS=false in DaemonSet aws-node")


def _variables(agents: Agents, name: str) -> set[str]:
    return {a.variable(name) for a in agents or () if a.engine == AMAZON}


def _shared_names(scene: Scene, views: tuple[View, ...]) -> Iterator[Finding]:
    """Find pods of two stages whose names differ only behind the last hyphen: the agent takes them for one workload's."""
    whose: dict[str, dict[str, str]] = {}
    for view in views:
        for pod in scene.snapshot.pods_of(view.key.namespace, view.selector):
            whose.setdefault(pod.meta.name.rpartition("-")[0], {})[view.key.stage] = pod.meta.name
    for prefix, stages in sorted(whose.items()):
        if prefix and len(stages) > 1:
            names = ", ".join(f"{name} of {stage}" for stage, name in sorted(stages.items()))
            message = f"pods of several stages are called {prefix}-… ({names}), and the {AMAZON} may give one the other's policy"
            yield of_namespace(
                scene, "SharedName", message, f"have the engine name pods after their stage, or {_CALICO}"
            )


def _bare(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    bare = sorted(p.meta.name for p in pods if not p.has_owner)
    engine = _engine(scene, view)
    if bare:
        message = f"{some(bare, f'of stage {view.key.stage}')} without an owner"
    elif engine in _BARE:
        message = f"{engine} makes the pods of stage {view.key.stage} without an owner"
    else:
        return
    message = f"{message}, and for such pods the {AMAZON} enforces no NetworkPolicy"
    fix = f"{_CALICO}; or run the stage by an engine that makes Jobs"
    yield of_stage(scene, view, "BarePods", bare[0] if bare else engine, message, fix)


def _engine(scene: Scene, view: View) -> str:
    """Name the engine that makes a stage's pods; '' without a preset."""
    spec = scene.segment.spec
    own = view.stage.engine
    if spec is None or spec.engine is None or (own is not None and own.type == "None"):
        return ""
    return spec.engine.type


def _windows(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    key, value = _WINDOWS
    nodes = scene.snapshot.nodes
    found = sorted(p.meta.name for p in pods if p.node in nodes and nodes[p.node].meta.labels.get(key) == value)
    if found:
        message = f"{some(found, f'of stage {view.key.stage}')} on Windows nodes, where the {AMAZON} enforces nothing"
        yield of_stage(scene, view, "UnfencedNode", found[0], message, "run the stage on Linux nodes")


def _excepts(scene: Scene, view: View, stage: StageReach) -> Iterator[Finding]:
    network = scene.governance.spec.network
    if network.except_style == "Prefixes" or (network.except_style == "Auto" and network.provider == "AmazonVPC"):
        return
    edges = [e for e in (*stage.egress, *stage.ingress) if e.open]
    found = [e for e in edges if any(isinstance(p, AddressPeer) and p.excepts for p in e.peers)]
    if found:
        message = f"{found[0].described} of stage {view.key.stage} is written with exceptions, which the {AMAZON} has handled wrongly"
        fix = "have the platform team set network.exceptStyle: Prefixes in the SegmentClass"
        yield of_stage(scene, view, "ExceptUnreliable", found[0].described, message, fix)


def _merged_ports(scene: Scene, view: View, stage: StageReach, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find names of ports that a stage's pods give several numbers: a policy admits all of them to each of its pods."""
    meant = {(p.port, p.protocol) for e in stage.ingress if e.open for p in e.ports if isinstance(p.port, str)}
    for name, protocol in sorted(meant):
        found = {p.port for pod in pods for p in pod.ports if (p.name, p.protocol) == (name, protocol)}
        if len(found) > 1:
            numbers = ", ".join(map(str, sorted(found)))
            message = (
                f"port {name} is {numbers} at different pods of stage {view.key.stage}, and the {AMAZON} admits each of these "
                "numbers to every one of them"
            )
            yield of_stage(
                scene, view, "PortsMerged", str(name), message, "give the port one number, and name it by that"
            )


def _lost_ports(scene: Scene, stage: StageReach) -> Iterator[Finding]:
    """Find ports for which the agent has no place; where the class says that it enforces, they are closed by us."""
    if scene.governance.spec.network.provider == "AmazonVPC" or stage.closed:
        return
    for side in (stage.egress, stage.ingress, stage.runner.egress if stage.runner else ()):
        for crowd in crowding.crowds(side):
            edge = crowd.edges[0]
            message = (
                f"{edge.described} and what is open beside it are {crowd.total} ports and ranges of one address, and the "
                f"{AMAZON} keeps {crowding.MOST} and drops others"
            )
            fix = "declare fewer ports, or ranges of them; with provider: AmazonVPC the class says which stay closed"
            yield Finding(edge.because, "PortsLost", edge.described, message, fix, scene.object)
