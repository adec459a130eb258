"""Checks of a segment among the facts: its class, and the pods that are there."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from pipesegment.facts.snapshot import Pod, Segment, Snapshot
from pipesegment.findings import Finding
from pipesegment.reach.edges import AddressPeer
from pipesegment.reach.graph import Reach, StageReach
from pipesegment.reach.isolation import is_spared, isolates

_EVERYWHERE: Final = {"0.0.0.0/0": 4, "::/0": 6}


def check(segment: Segment, reach: Reach, snapshot: Snapshot) -> Iterator[Finding]:
    """Run every check over one resolved segment."""
    for run in _CHECKS:
        for finding in run(segment, reach, snapshot):
            yield Finding(
                finding.path, finding.reason, finding.target, finding.message, finding.fix, str(reach.segment)
            )


def _governed(_segment: Segment, reach: Reach, _snapshot: Snapshot) -> Iterator[Finding]:
    governance, namespace = reach.governance, reach.segment.namespace
    # Whether none governs is not known either while the labels that decide are missing, and that is told already.
    unknown = any(finding.reason == "NamespaceUnknown" for finding in reach.findings)
    if governance.stalled or (unknown and not governance.name):
        return
    if not governance.name:
        message = f"no SegmentClass governs namespace {namespace}, so the built-in defaults hold"
        yield Finding(
            "metadata.namespace", "NoClass", namespace, message, "give the platform's class with -f or --facts"
        )
    elif not isolates(governance.spec, namespace):
        message = f"SegmentClass {governance.name} leaves the pods of {namespace} that no stage selects open"
        fix = "set network.isolation.mode: Namespace in the class"
        if is_spared(governance.spec, namespace):
            fix = "run the pipeline in a namespace of its own"
        yield Finding("metadata.namespace", "NoIsolation", namespace, message, fix)


def _default_account(_segment: Segment, reach: Reach, snapshot: Snapshot) -> Iterator[Finding]:
    for stage, pods in _stages(reach, snapshot):
        found = [pod.meta.name for pod in pods if pod.service_account == "default"]
        if found:
            message = f"{_some(found)} of stage {stage.key.stage} run as the account default"
            fix = f"set serviceAccountName: {stage.account.name} where the pods are made (see `pipesegment wire`)"
            yield Finding(f"{stage.path}.serviceAccount", "DefaultAccount", f"stage {stage.key.stage}", message, fix)


def _rights(_segment: Segment, reach: Reach, snapshot: Snapshot) -> Iterator[Finding]:
    """Look for what bindings of others give to the stages' accounts; what the class lists is no news."""
    for stage in reach.stages:
        found = defaultdict(list)
        for power in sorted(set(snapshot.others.rights.of(stage.key.namespace, stage.account.name))):
            found[power.binding, power.namespace].append(power.what)
        for (binding, namespace), what in found.items():
            where = f"in {namespace}" if namespace else "in every namespace"
            message = f"{binding}, which is not ours, lets account {stage.account.name} of stage {stage.key.stage} more than a stage needs {where}: it {', '.join(what)}"
            fix = "remove the account from it; what the stage needs goes into serviceAccount.roleRefs"
            yield Finding(f"{stage.path}.serviceAccount", "StageRights", f"stage {stage.key.stage}", message, fix)


def _elsewhere(segment: Segment, reach: Reach, snapshot: Snapshot) -> Iterator[Finding]:
    """Look for the engine's pods in namespaces of other names; only labels that the engine sets are looked for."""
    engine = segment.spec.engine if segment.spec else None
    if engine is None or engine.type not in {"GitLabRunner", "Drone"}:
        return
    for stage in reach.stages:
        spaces = [
            namespace
            for namespace, pods in sorted(snapshot.pods.items())
            if namespace != reach.segment.namespace
            and snapshot.segments.get(namespace) is None
            and any(pod.live and stage.selector.matches(pod.labels) for pod in pods.values())
        ]
        if spaces:
            message = f"pods with the labels of stage {stage.key.stage} run in {_some(spaces)}, outside the segment"
            fix = f"let the engine run them in namespace {reach.segment.namespace}"
            yield Finding(stage.path, "PodsElsewhere", f"stage {stage.key.stage}", message, fix)


def _one_family(_segment: Segment, reach: Reach, snapshot: Snapshot) -> Iterator[Finding]:
    if _families(snapshot) != {4, 6}:
        return
    for stage in reach.stages:
        for way in ("egress", "ingress"):
            edges = stage.egress if way == "egress" else stage.ingress
            wide = {
                peer.block: edge
                for edge in edges
                for peer in edge.peers
                if isinstance(peer, AddressPeer) and peer.block in _EVERYWHERE
            }
            if len(wide) == 1:
                block, edge = next(iter(wide.items()))
                other = next(b for b in _EVERYWHERE if b != block)
                message = f"{block} is open and {other} is not, while the cluster has both address families"
                fix = f"add {other}, or use the target internet"
                yield Finding(edge.because, "OneFamily", f"cidr {block}", message, fix)


def _families(snapshot: Snapshot) -> set[int]:
    addresses = [ip for node in snapshot.nodes.values() for ip in node.addresses]
    addresses += [ip for by in snapshot.services.values() for s in by.values() for ip in s.cluster_ips]
    addresses += [ip for by in snapshot.pods.values() for p in by.values() for ip in p.ips]
    ranges = [block for node in snapshot.nodes.values() for block in node.pod_cidrs]
    return {ip_address(ip).version for ip in addresses} | {ip_network(block).version for block in ranges}


def _stages(reach: Reach, snapshot: Snapshot) -> Iterator[tuple[StageReach, list[Pod]]]:
    for stage in reach.stages:
        pods = snapshot.pods_of(reach.segment.namespace, stage.selector)
        yield stage, sorted(pods, key=lambda pod: pod.meta.name)


def _some(found: list[str]) -> str:
    shown = ", ".join(found[:3])
    return shown if len(found) <= 3 else f"{shown} and {len(found) - 3} more"


_CHECKS: Final[tuple[Callable[[Segment, Reach, Snapshot], Iterator[Finding]], ...]] = (
    _governed,
    _default_account,
    _rights,
    _elsewhere,
    _one_family,
)
