"""Whether one destination is a service of AWS that a stage declares, or that its rights need."""

from pipesegment.declared.members import Member
from pipesegment.declared.question import Question
from pipesegment.facts.ends import End
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach import covering, endpoints
from pipesegment.reach.aws import services, unfit
from pipesegment.reach.covering import NO_WAY, Ways
from pipesegment.spec.segment import ReachEntry
from pipesegment.spec.segmentclass import SegmentClassSpec


def means(member: Member, entry: ReachEntry, question: Question, snapshot: Snapshot) -> Ways:
    """Tell in which ways an entry for a service means the destination: by the endpoints of the class's VPC."""
    named, rules = entry.aws_service, member.governance.spec
    assert named is not None
    region = named.region or rules.aws.region
    if region is None or not any(
        _answers(rules, region, part, question.destination, snapshot) for part in services.parts(named.name)
    ):
        return NO_WAY
    return covering.at(entry.ports or covering.HTTPS, question.port, question.destination)


def needed_by(member: Member, question: Question, snapshot: Snapshot) -> str:
    """Say where the rights are declared that need the destination; '' for none."""
    found = (n for n in member.needed_services if means(member, services.entry(n.service), question, snapshot))
    return next((n.because for n in found), "")


def is_let_out(member: Member, snapshot: Snapshot) -> bool:
    """Tell whether a stage's rights lead anywhere at all."""
    rules = member.governance.spec
    region = rules.aws.region
    parts = (part for needed in member.needed_services for part in services.parts(needed.service))
    return region is not None and any(_leads(rules, region, part, snapshot) for part in parts)


def _answers(rules: SegmentClassSpec, region: str, part: str, end: End, snapshot: Snapshot) -> bool:
    blocks = _blocks(rules, region, part, snapshot)
    if blocks is None:
        return endpoints.may_be_coarse(rules) and covering.is_internet(end, rules, snapshot)
    # Which block it is in, if any, is known at once; whether that one may be let through is not.
    return any(
        covering.in_block(end, block, ()) and not unfit.why(rules, snapshot, block, gateway=gateway)
        for block, gateway in blocks
    )


def _leads(rules: SegmentClassSpec, region: str, part: str, snapshot: Snapshot) -> bool:
    blocks = _blocks(rules, region, part, snapshot)
    if blocks is None:
        return endpoints.may_be_coarse(rules)
    return any(not unfit.why(rules, snapshot, block, gateway=gateway) for block, gateway in blocks)


def _blocks(rules: SegmentClassSpec, region: str, part: str, snapshot: Snapshot) -> list[tuple[str, bool]] | None:
    """Give the addresses of a service's endpoints, and which are a gateway's; None where it has no endpoint."""
    vpc = rules.aws.vpc_id
    if vpc is not None and snapshot.endpoints_of(vpc) is None:
        return []
    mine = [e for e in snapshot.vpc_endpoints or () if (e.vpc, e.region, e.service) == (vpc, region, part)]
    if not mine:
        return None
    return [(block, e.gateway) for e in mine for block in e.blocks or ()]
