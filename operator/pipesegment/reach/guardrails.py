"""What the platform team's class allows: targets, engines, modes, addresses.

A refusal closes the entry and stalls the segment: the command line refuses the document, the operator widens nothing.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from pipesegment import names
from pipesegment.reach import addresses, engines, rights
from pipesegment.reach.addresses import network, touching
from pipesegment.reach.edges import AddressPeer, Target
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared
from pipesegment.spec.ports import within
from pipesegment.spec.segment import AcceptEntry, CidrBlock, PipelineSegmentSpec, ReachEntry
from pipesegment.spec.segmentclass import SegmentClassSpec

#: Annotation keys by which clouds other than AWS bind an identity to a service account.
IDENTITY_ANNOTATIONS: Final = ("iam.gke.io/", "azure.workload.identity/")


def check_segment(scene: Scene) -> None:
    """Refuse what concerns the segment as a whole: modes, suspend, engine, account annotations."""
    spec, rails = scene.segment.spec, scene.governance.spec.guardrails
    assert spec is not None
    governing = f"SegmentClass {scene.governance.name}"
    if rails.modes:
        wishes = [
            ("spec.mode", spec.mode if spec.has("mode") else None),
            *((f"spec.stages[{i}].mode", s.mode) for i, s in enumerate(spec.stages)),
        ]
        for path, wish in wishes:
            if wish is not None and wish not in rails.modes:
                scene.refuse(path, f"{governing} does not allow the mode", wish, f"use one of {', '.join(rails.modes)}")
        _check_default_mode(scene, spec, governing)
    if spec.suspend and not rails.allow_suspend:
        scene.refuse("spec.suspend", f"{governing} does not allow suspending, here", "true", "set it to false")
    if spec.engine is not None and rails.engines and spec.engine.type not in rails.engines:
        allowed = ", ".join(rails.engines)
        scene.refuse(
            "spec.engine.type", f"{governing} does not allow the engine", spec.engine.type, f"use one of {allowed}"
        )
    rights.check(scene)
    for index, stage in enumerate(spec.stages):
        for key in sorted(stage.service_account.annotations):
            if key.startswith(IDENTITY_ANNOTATIONS) and key not in rails.annotations:
                path = f"spec.stages[{index}].serviceAccount.annotations"
                scene.refuse(
                    path,
                    "gives the account a cloud identity without the class's leave, by",
                    key,
                    "have the platform team add the key to guardrails.annotations of the SegmentClass",
                )


def _check_default_mode(scene: Scene, spec: PipelineSegmentSpec, governing: str) -> None:
    """Refuse the mode that a class gives to who names none, where the class itself does not allow it."""
    enforcement, modes = scene.governance.spec.enforcement, scene.governance.spec.guardrails.modes
    default = "Observe" if enforcement.max == "Observe" else enforcement.default
    silent = not spec.has("mode") and any(stage.mode is None for stage in spec.stages)
    if silent and default != "Suspend" and default not in modes:
        scene.refuse(
            "spec.mode",
            f"is absent, and {governing} allows {', '.join(modes)} alone, while its own default is",
            default,
            f"write mode: {modes[0]}, or have the platform team set enforcement.default",
        )


def allows(scene: Scene, declared: Declared[ReachEntry]) -> bool:
    """Tell whether the class allows a reach; refuse it otherwise. What the class itself declares is allowed.

    What an engine needs is held to the class's targets as well: naming an engine must not be a way round them.
    """
    if declared.because.startswith(names.CLASS):
        return True
    entry, network_rules = declared.entry, scene.governance.spec.network
    targets = scene.governance.spec.guardrails.targets
    path = "spec.engine.type" if declared.because == engines.BECAUSE else f"{declared.because}.{entry.kind}"
    if targets and entry.kind not in targets:
        if declared.because == engines.BECAUSE:
            problem, fix = (
                "needs a target that the SegmentClass does not allow,",
                "have the platform team add it to guardrails.targets",
            )
        else:
            problem, fix = "the SegmentClass does not allow the target", f"use one of {', '.join(targets)}"
        scene.refuse(path, problem, entry.kind, fix)
        return False
    if entry.internet is not None and not network_rules.allow_internet:
        fix = "name what the stage needs as a destination of the class, or have the platform team set network.allowInternet"
        scene.refuse(path, "the SegmentClass does not allow the target", "internet", fix)
        return False
    if entry.imds is not None and not network_rules.allow_imds:
        fix = "give the stage an identity of its own, or have the platform team set network.allowIMDS"
        scene.refuse(path, "the SegmentClass does not allow the target", "imds", fix)
        return False
    if entry.cidr is not None:
        return _cidr_allowed(scene, f"{path}.block", entry.cidr) and _without_api_server(scene, path, entry.cidr)
    if entry.fqdn is not None and not names_allowed(scene.governance.spec):
        fix = "name what the stage needs as a destination of the class"
        problem = "may stand for any address, and the SegmentClass holds stages to some:"
        scene.refuse(f"{path}.names", problem, ", ".join(entry.fqdn.names), fix)
        return False
    return True


def accepts_allowed(scene: Scene, declared: Declared[AcceptEntry]) -> bool:
    """Tell whether the class allows a source; refuse it otherwise. A block is held to what holds for one that is reached."""
    if declared.entry.cidr is None or declared.because.startswith(names.CLASS):
        return True
    return _cidr_allowed(scene, f"{declared.because}.cidr.block", declared.entry.cidr, source=True)


def address_allowed(scene: Scene, declared: Declared[ReachEntry], described: str, address: str) -> bool:
    """Tell whether an address that an EndpointSlice gives may be opened; anybody who writes slices could name one."""
    rules = scene.governance.spec.network
    block = addresses.host(address)
    host = ip_address(address)
    if host.is_loopback or host.is_unspecified or host.is_multicast:
        problem = "no address of a host"
    elif not rules.allow_imds and touching(block, (), addresses.metadata()):
        problem = "a metadata or link-local address, which the SegmentClass does not allow"
    elif not rules.allow_internet and addresses.is_public(block):
        problem = "a public address, while the SegmentClass does not allow the internet"
    elif _of_the_cluster(scene, block) or block in api_servers(scene):
        problem = "an address of the cluster itself, which only pods, stages and kubernetesAPI may name"
    elif not _is_within(block, scene.governance.spec.guardrails.cidrs):
        problem = "outside the blocks that the SegmentClass allows"
    else:
        return True
    scene.note(
        declared.because,
        "Unresolved",
        described,
        f"an EndpointSlice gives it {address}: {problem}",
        "correct the EndpointSlice; this address stays closed",
    )
    return False


def names_allowed(governing: SegmentClassSpec) -> bool:
    """Tell whether a class lets authors name hosts: a name may stand for any address."""
    return governing.network.allow_internet and not governing.guardrails.cidrs


def name_allowed(scene: Scene, declared: Declared[ReachEntry], described: str, name: str) -> bool:
    """Tell whether a Service's host name may be opened; anybody who writes Services could give one."""
    if names_allowed(scene.governance.spec):
        return True
    scene.note(
        declared.because,
        "Unresolved",
        described,
        f"it is the host name {name}, which may stand for any address, and the SegmentClass holds stages to some",
        "name what the stage needs as a destination of the class; the edge stays closed",
    )
    return False


def internet(scene: Scene) -> tuple[AddressPeer, ...]:
    """Give 'internet': public addresses, less the cluster's own ranges and the pods and ClusterIPs that are seen.

    No read is noted of the latter: every new pod would make every such segment due.
    """
    ranges = (*cluster_ranges(scene), *api_servers(scene))
    peers = addresses.internet(ranges)
    seen = scene.snapshot.seen
    public = {
        addresses.neighbourhood(ip)
        for peer in peers
        for ip in seen.outside([network(hole) for hole in peer.excepts], network(peer.block).version)
    }
    return addresses.internet((*ranges, *sorted(public))) if public else peers


def cluster_ranges(scene: Scene) -> tuple[str, ...]:
    """Give the ranges that are known to be the cluster's: the class's, the nodes' pod ranges and addresses."""
    scene.reads.add(("Node", "", "*"))
    found = set(scene.governance.spec.network.cluster_cidrs)
    for node in scene.snapshot.nodes.values():
        found.update(node.pod_cidrs)
        found.update(addresses.host(a) for a in node.addresses)
    return tuple(sorted(found))


def api_servers(scene: Scene) -> tuple[str, ...]:
    """Give the API server's addresses: they may be anywhere, and `kubernetesAPI` is the way to them."""
    scene.reads.add(("EndpointSlice", "default", "*"))
    slices = scene.snapshot.slices_of("default", "kubernetes")
    return tuple(sorted({addresses.host(a) for each in slices for a in each.addresses}))


def _of_the_cluster(scene: Scene, block: str, excepts: Sequence[str] = ()) -> str:
    """Name what a block less its exceptions holds of the cluster: a range, or the address of a pod or Service; else ''."""
    meeting = touching(block, excepts, (network(r) for r in cluster_ranges(scene)))
    if meeting is not None:
        return str(meeting)
    seen = scene.snapshot.seen.first_in(network(block), [network(e) for e in excepts])
    return addresses.host(str(seen)) if seen is not None else ""


def _cidr_allowed(scene: Scene, path: str, cidr: CidrBlock, *, source: bool = False) -> bool:
    rules = scene.governance.spec.network
    held = [m for m in addresses.metadata_of_blocks() if touching(cidr.block, cidr.except_, (m,))]
    if held and not rules.allow_imds:
        inside = all(within(str(m), cidr.block) and str(m) != cidr.block for m in held)
        otherwise = "" if source else "; the metadata service is the target `imds`, where the class allows it"
        fix = f"narrow it, or except {', '.join(map(str, held))}" if inside else f"name other addresses{otherwise}"
        scene.refuse(path, "holds link-local or metadata addresses", cidr.block, fix)
        return False
    if not rules.allow_internet and addresses.is_public(cidr.block, cidr.except_):
        scene.refuse(
            path,
            "is public while the SegmentClass does not allow the internet",
            cidr.block,
            f"use private addresses, or {'a baseline entry' if source else 'a destination'} of the class",
        )
        return False
    instead = "pods or stages" if source else "pods, services or stages"
    return _within(scene, path, cidr) and _apart(scene, path, cidr, instead)


def _without_api_server(scene: Scene, path: str, cidr: CidrBlock) -> bool:
    """Refuse a block that holds the API server where the class allows targets, and that one is not among them."""
    targets = scene.governance.spec.guardrails.targets
    if not targets or Target.KUBERNETES_API in targets:
        return True
    held = touching(cidr.block, cidr.except_, (network(a) for a in api_servers(scene)))
    if held is None:
        return True
    scene.refuse(
        f"{path}.block",
        f"holds the API server's {held}, and the SegmentClass does not allow the target kubernetesAPI:",
        cidr.block,
        f"except {held}",
    )
    return False


def _within(scene: Scene, path: str, cidr: CidrBlock) -> bool:
    allowed = scene.governance.spec.guardrails.cidrs
    if _is_within(cidr.block, allowed):
        return True
    scene.refuse(
        path, "is outside the blocks that the SegmentClass allows", cidr.block, f"stay within {', '.join(allowed)}"
    )
    return False


def _is_within(block: str, allowed: Sequence[str]) -> bool:
    mine = network(block)
    same = (outer for a in allowed if (outer := network(a)).version == mine.version)
    return not allowed or any(mine.subnet_of(outer) for outer in same)  # type: ignore[arg-type] # same version


def _apart(scene: Scene, path: str, cidr: CidrBlock, instead: str) -> bool:
    """Refuse a block that meets the cluster: what it opens there differs from engine to engine."""
    meeting = _of_the_cluster(scene, cidr.block, cidr.except_)
    if not meeting:
        return True
    scene.refuse(
        path,
        f"overlaps the cluster's own {meeting} in",
        cidr.block,
        f"except {meeting}, and declare {instead} for what is inside",
    )
    return False
