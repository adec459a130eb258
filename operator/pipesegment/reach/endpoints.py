"""What services of AWS become: the addresses of the VPC's endpoints, and never more without saying so."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from pipesegment.facts.vpc import VPCEndpoint
from pipesegment.reach import guardrails
from pipesegment.reach.addresses import network
from pipesegment.reach.aws import lent, services, unfit
from pipesegment.reach.edges import AddressPeer, Edge, Peer, PortRange, Target, Through
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.spec.segment import ReachEntry
from pipesegment.spec.segmentclass import SegmentClassSpec

#: Endpoints as they are read; a change of one makes those due that reach any.
READ: Final = ("VPCEndpoint", "", "*")
#: Whoever makes the roles: endpoints are read with the operator's own credentials.
LET_READ: Final = "let the operator read them: its setting `aws` (`aws.enabled` in the chart), and rights for EC2"
_HTTPS: Final = (PortRange("TCP", 443),)


def edges(scene: Scene, view: View, declared: Declared[ReachEntry]) -> Iterator[Edge]:
    """Resolve a service of AWS: an edge for each endpoint that carries its calls, a closed one for each that is missing."""
    named, aws = declared.entry.aws_service, view.governing.spec.aws
    assert named is not None
    region = named.region or aws.region
    scene.reads.add(READ)
    if region is None:
        described = f"awsService {named.name}"
        fix = "name its region, or have the platform team set spec.aws.region in the SegmentClass"
        scene.note(declared.because, "Unresolved", described, f"nobody says in which region {described} is", fix)
        yield _closed(declared, described, None)
        return
    found = services.parts(named.name)
    for part in found:
        described = f"awsService {named.name}" + ("" if found == (named.name,) else f" ({part})")
        described += f" in {region}" if region != aws.region else ""
        yield from _part(scene, view, declared, described, region, part)


def derived(scene: Scene, view: View) -> Iterator[Edge]:
    """Reach the services that the stage's rights need, unless it declares its ways itself."""
    targets = view.governing.spec.guardrails.targets
    given = ((each.because, each.permission) for each in lent.fit(view.governing, view.stage.aws, view.lent))
    for because, service in services.needed(f"{view.path}.aws", view.stage.aws, view.governing.spec.aws, given):
        declared = Declared(because, services.entry(service))
        if not targets or Target.AWS_SERVICE in targets:
            yield from edges(scene, view, declared)
            continue
        described = f"awsService {service}"
        message = f"the rights need {described}, and the SegmentClass does not allow the target awsService"
        fix = "declare under reaches what carries these calls, and reachServices: Declared"
        scene.note(because, "Unresolved", described, message, fix)
        yield _closed(declared, described, None)


def of(governing: SegmentClassSpec, known: tuple[VPCEndpoint, ...], service: str) -> tuple[VPCEndpoint, ...]:
    """Give the endpoints of the class's VPC for a service, by its full name."""
    return tuple(e for e in known if e.vpc == governing.aws.vpc_id and service.endswith(f".{e.region}.{e.service}"))


def may_be_coarse(governing: SegmentClassSpec) -> bool:
    """Tell whether every public address stands for services without an endpoint; never where the internet is not allowed."""
    return governing.network.inexact.aws_service == "Coarse" and guardrails.names_allowed(governing)


def _part(
    scene: Scene, view: View, declared: Declared[ReachEntry], described: str, region: str, part: str
) -> Iterator[Edge]:
    vpc, coarse = view.governing.spec.aws.vpc_id, may_be_coarse(view.governing.spec)
    known = scene.snapshot.endpoints_of(vpc) if vpc is not None else ()
    through = Through(services.full_name(region, part))
    found = tuple(e for e in known or () if (e.region, e.service) == (region, part))
    if found:
        _note_age(scene, declared, described, vpc or "")
        _note_names(scene, declared, described, found)
        for each in found:
            yield _endpoint(scene, view, declared, described, through, each)
    elif coarse and known is not None:
        made = _open(declared, described, guardrails.internet(scene), through)
        yield replace(made, names=(through.service,))
    else:
        _note_absent(scene, view, declared, described, through)
        yield _closed(declared, described, through)


def _note_absent(scene: Scene, view: View, declared: Declared[ReachEntry], described: str, through: Through) -> None:
    governing = view.governing
    vpc = governing.spec.aws.vpc_id
    if vpc is None:
        who = (
            f"SegmentClass {governing.name} names no VPC" if governing.name else "no SegmentClass governs the namespace"
        )
        message = f"{who}, so that no endpoint carries {described}"
        fix = "have the platform team set spec.aws.vpcID, or declare cidr or fqdn instead"
        scene.note(declared.because, "Unresolved", described, message, fix)
    elif scene.snapshot.endpoints_of(vpc) is None:
        message = f"the VPC endpoints of {vpc} are not known, so that {described} stays closed"
        fix = "give what `aws ec2 describe-vpc-endpoints`, `describe-network-interfaces` and `describe-prefix-lists` print"
        scene.note(declared.because, "Unresolved", described, message, f"{fix} with --facts, or {LET_READ}")
    else:
        message = f"{vpc} has no endpoint {through.service} in use, so that {described} stays closed"
        fix = "create it (`pipesegment aws endpoints` lists what is needed), or have the class be coarse"
        scene.note(declared.because, "EndpointMissing", described, message, f"{fix} (network.inexact.awsService)")


def _endpoint(
    scene: Scene, view: View, declared: Declared[ReachEntry], described: str, through: Through, found: VPCEndpoint
) -> Edge:
    through = replace(through, endpoint=found.id, prefix_list=found.prefix_list)
    if found.blocks is None:
        call = "describe-prefix-lists" if found.gateway else "describe-network-interfaces"
        message = f"where endpoint {found.id} answers is not known, so that {described} stays closed"
        fix = f"give what `aws ec2 {call}` prints with --facts, or let the operator read it"
        scene.note(declared.because, "Unresolved", described, message, fix)
        return _closed(declared, described, through)
    left = []
    scene.reads.update({("Node", "", "*"), ("EndpointSlice", "default", "*")})
    for block in found.blocks:
        held = unfit.why(scene.governance.spec, scene.snapshot, block, gateway=found.gateway)
        if not held:
            left.append(block)
        else:
            message = f"{block} is given as an address of endpoint {found.id}, and it is {held}"
            fix = "have the endpoints read anew; this address stays closed"
            scene.note(declared.because, "Unresolved", described, message, fix)
    if not left:
        return _closed(declared, described, through)
    _note_unadmitted(scene, view, declared, described, found)
    return _open(declared, described, tuple(AddressPeer(block) for block in left), through)


def _note_age(scene: Scene, declared: Declared[ReachEntry], described: str, vpc: str) -> None:
    since = scene.snapshot.old_vpcs.get(vpc)
    if since is not None:
        message = f"the VPC endpoints of {vpc} were last read at {since}, and {described} is what they were then"
        fix = "let the operator read them (its log says what is in its way)"
        scene.note(declared.because, "EndpointsOld", described, message, fix)


def _note_names(scene: Scene, declared: Declared[ReachEntry], described: str, found: tuple[VPCEndpoint, ...]) -> None:
    """Say that the service's name leads past every endpoint that is open."""
    if not any(each.private_dns for each in found):
        ids = ", ".join(each.id for each in found)
        message = f"private DNS is off for {ids}, so that the name of {described} leads to public addresses, which stay closed"
        fix = "switch private DNS on, or have the stage call the endpoint's own name"
        scene.note(declared.because, "PrivateDnsOff", described, message, fix)


def _note_unadmitted(
    scene: Scene, view: View, declared: Declared[ReachEntry], described: str, found: VPCEndpoint
) -> None:
    """Say that the endpoint's security groups let no pod in, or not all of the stage's."""
    if found.admits is None:
        return
    blocks = [network(block) for block in found.admits]
    pods = (p for p in scene.snapshot.pods_of(view.key.namespace, view.selector) if not p.host_network)
    out = sorted(ip for p in pods for ip in p.ips if not any(_is_in(ip, block) for block in blocks))
    if blocks and not out:
        return
    whom = f"the stage's pod at {out[0]}" if blocks else "anybody"
    message = f"the security groups of endpoint {found.id} do not let {whom} in at TCP/443"
    fix = "let the pods' addresses (or those that the nodes call with in their stead) in there"
    scene.note(declared.because, "EndpointShut", described, message, fix)


def _is_in(ip: str, block: object) -> bool:
    return ip_address(ip) in block  # type: ignore[operator] # a network of either family


def _open(declared: Declared[ReachEntry], described: str, peers: tuple[Peer, ...], through: Through) -> Edge:
    made = _closed(declared, described, through)
    ports = ranges(declared.entry.ports) or _HTTPS
    return replace(made, open=True, peers=peers, ports=ports, http=http_rules(declared.entry.http))


def _closed(declared: Declared[ReachEntry], described: str, through: Through | None) -> Edge:
    return Edge(declared.because, "egress", Target.AWS_SERVICE, described, open=False, through=through)
