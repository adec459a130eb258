"""What a stage reaches, entry by entry: whether an entry means a concrete destination, and whether it has its consent."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pipesegment.facts.ends import PodEnd
from pipesegment.facts.selectors import canonical
from pipesegment.facts.snapshot import Service, Snapshot
from pipesegment.reach import addresses, covering
from pipesegment.reach.covering import NO_WAY, Ways
from pipesegment.reach.graph import PortRange
from pipesegment.reach.members import Member, Members, Said
from pipesegment.reach.ports import intersect_ports, ranges
from pipesegment.reach.question import Question
from pipesegment.spec.destination import Destination
from pipesegment.spec.grant import GrantFrom
from pipesegment.spec.ports import HttpMatch, Port, within
from pipesegment.spec.segment import AcceptEntry, ReachEntry


class Leaving:
    """The caller's entries in a Snapshot."""

    def __init__(self, snapshot: Snapshot, members: Members) -> None:
        self._snapshot = snapshot
        self._members = members

    def means(self, member: Member, said: Said[ReachEntry], question: Question) -> Ways:
        """Tell in which ways an entry means the destination and port, whether or not the other side agrees."""
        if not admits(said.entry.http, question) or (said.authored and not self._allowed(member, said.entry)):
            return NO_WAY
        return self._means(member, said.entry, question)

    def missing(self, member: Member, entry: ReachEntry, ways: Ways, question: Question) -> str:
        """Say whose word is missing for ways that an entry means; '' when nobody's is."""
        if entry.kind == "stage":
            return self._unaccepted(member, entry, ways, question)
        return self.ungranted(member, ways, question, self._asked(member, entry, question))

    def reached(self, member: Member, question: Question) -> Ways:
        """Tell in which ways any entry of a stage means the destination."""
        return frozenset(way for said in member.reaches() for way in self.means(member, said, question))

    def ungranted(self, member: Member, ways: Ways, question: Question, namespace: str) -> str:
        """Say that a grant is missing in the namespace whose pods or Service are meant, where one is needed.

        It is when the class requires grants, and when a grant there holds its callers to other ports than these.
        """
        if namespace == member.namespace:
            return ""
        grants = self.grants(member, question, namespace)
        if any(granted & ways for granted in grants.values()):
            return ""
        if set(grants) - {"Nobody"} or member.governance.spec.network.require_grants:
            return f"no SegmentGrant in namespace {namespace} covers it"
        return ""

    def grants(self, member: Member, question: Question, namespace: str) -> dict[str, Ways]:
        """Give what the grants about a destination open to a stage at the port, by whom they isolate.

        A grant that is about the destination and not about the port opens nothing, and is here all the same.
        """
        found: dict[str, Ways] = {}
        end = question.destination
        for grant in self._snapshot.grants.get(namespace, {}).values():
            spec = grant.spec
            if spec is None or grant.meta.deleting or not self._lets_in(grant.bound, spec.from_, member):
                continue
            if covering.is_granted(spec.to, namespace, end, self._snapshot):
                ways = covering.granted(spec, namespace, end, question.port, self._snapshot)
                found[spec.isolate] = found.get(spec.isolate, NO_WAY) | (
                    ways if admits(spec.http, question) else NO_WAY
                )
        return found

    def isolated_by(self, pod: PodEnd) -> str:
        """Name the grant that closes a pod to everyone else: it says so, and some stage reaches what it opens."""
        for name, grant in sorted(self._snapshot.grants.get(pod.namespace, {}).items()):
            spec = grant.spec
            if spec is None or spec.isolate != "Everyone" or grant.meta.deleting:
                continue
            if not covering.is_granted(spec.to, pod.namespace, pod, self._snapshot):
                continue
            opened = covering.granted_ports(spec, pod.namespace, self._snapshot)
            for caller in {c.namespace for c in spec.from_}:
                for member in self._members.within(caller):
                    speaks = member.enforced and not self._members.yields(member)
                    if speaks and self._lets_in(grant.bound, spec.from_, member) and self._meets(member, pod, opened):
                        return f"SegmentGrant {pod.namespace}/{name}"
        return ""

    def _meets(self, member: Member, pod: PodEnd, opened: Sequence[PortRange]) -> bool:
        """Tell whether a stage reaches a pod at any of these ports, whatever numbers their names stand for."""
        for said in member.reaches():
            entry, ports = said.entry, said.entry.ports
            wanted: tuple[PortRange, ...] = ()
            if entry.pods is not None and pod.namespace == (entry.pods.namespace or member.namespace):
                wanted = ranges(ports) if canonical(entry.pods.pod_selector).matches(pod.labels) else ()
            target = self._service_of(member, entry)
            if target is not None and covering.is_behind(target, pod, self._snapshot):
                found = self._destination_of(member, entry)
                wanted = covering.service_ports(target, ports or (found.ports if found else ()))
            if intersect_ports(wanted, opened):
                return True
        return False

    def _service_of(self, member: Member, entry: ReachEntry) -> Service | None:
        if entry.service is not None:
            return self._snapshot.service(entry.service.namespace or member.namespace, entry.service.name)
        found = self._destination_of(member, entry)
        if found is None or found.service is None or not found.service.name or not found.service.namespace:
            return None
        return self._snapshot.service(found.service.namespace, found.service.name)

    def _asked(self, member: Member, entry: ReachEntry, question: Question) -> str:
        """Give the namespace whose consent an entry may need: its target's, or the own one where nobody is asked."""
        if entry.service is not None:
            return entry.service.namespace or member.namespace
        if entry.pods is not None:
            return entry.pods.namespace or member.namespace
        found = self._destination_of(member, entry)
        if found is None or found.service is None or not found.service.namespace:
            return member.namespace
        block = covering.destination_block(found, entry.ports, question.destination, question.port)
        return member.namespace if block else found.service.namespace

    def _lets_in(self, bound: Mapping[str, str], callers: Iterable[GrantFrom], member: Member) -> bool:
        here = self._snapshot.namespaces.get(member.namespace)
        uid = bound.get(member.namespace)
        if uid and here is not None and here.meta.uid and uid != here.meta.uid:
            return False
        return any(
            caller.namespace == member.namespace
            and caller.segment in {None, member.segment}
            and caller.stage in {None, member.stage.name}
            for caller in callers
        )

    def _means(self, member: Member, entry: ReachEntry, question: Question) -> Ways:
        end, port = question.destination, question.port
        match entry.kind:
            case "stage":
                return covering.at(entry.ports, port, end) if any(self._targets(member, entry, question)) else NO_WAY
            case "service":
                return self._service(self._service_of(member, entry), entry.ports, question)
            case "pods":
                assert entry.pods is not None
                there = isinstance(end, PodEnd) and end.namespace == (entry.pods.namespace or member.namespace)
                selected = there and canonical(entry.pods.pod_selector).matches(end.labels)  # type: ignore[union-attr] # `there` says that it is a pod
                return covering.at(entry.ports, port, end) if selected else NO_WAY
            case "cidr":
                assert entry.cidr is not None
                inside = covering.in_block(end, entry.cidr.block, entry.cidr.except_)
                return covering.at(entry.ports, port, end) if inside else NO_WAY
            case "internet":
                public = covering.is_internet(end, member.governance.spec, self._snapshot)
                return covering.at(entry.ports, port, end) if public else NO_WAY
            case "destination":
                return self._destination(member, entry, question)
            case "kubernetesAPI":
                return covering.kubernetes_api(entry.ports, end, port, self._snapshot)
            case "imds":
                return covering.metadata(end, entry.ports, port)
            case _:  # names and AWS services are refused until something enforces them
                return NO_WAY

    def _service(self, found: Service | None, ports: Sequence[Port], question: Question) -> Ways:
        if found is None:
            return NO_WAY
        return covering.service(found, ports, question.destination, question.port, self._snapshot)

    def _destination(self, member: Member, entry: ReachEntry, question: Question) -> Ways:
        found = self._destination_of(member, entry)
        if found is None:
            return NO_WAY
        ways = covering.destination_block(found, entry.ports, question.destination, question.port)
        return ways | self._service(self._service_of(member, entry), entry.ports or found.ports, question)

    def _destination_of(self, member: Member, entry: ReachEntry) -> Destination | None:
        name = entry.destination.name if entry.destination else None
        return next((d for d in member.governance.spec.destinations if d.name == name), None)

    def _targets(self, member: Member, entry: ReachEntry, question: Question) -> Iterator[Member]:
        """Give the stages of the destination that a `stage` target names."""
        target = entry.stage
        if target is not None and isinstance(question.destination, PodEnd):
            namespace, segment = target.namespace or member.namespace, target.segment or member.segment
            for other in self._members.of(question.destination):
                if other.is_of(namespace, segment) and other.stage.name == target.name and not other.runner:
                    yield other

    def _unaccepted(self, member: Member, entry: ReachEntry, ways: Ways, question: Question) -> str:
        if any(self.agrees(target, member, ways, question) for target in self._targets(member, entry, question)):
            return ""
        assert entry.stage is not None
        return f"stage {entry.stage.name} does not accept it"

    def agrees(self, target: Member, caller: Member, ways: Ways, question: Question) -> bool:
        """Tell whether a stage takes what another one reaches of it: by its own word, or by none in the same segment."""
        said = [s.entry for s in target.accepts() if comes_from(target, s.entry, caller)]
        if not said and target.is_of(caller.namespace, caller.segment):
            return True
        agreed = (
            covering.at(e.ports, question.port, question.destination) & ways for e in said if admits(e.http, question)
        )
        return any(agreed) and not self._members.yields(target)

    def _allowed(self, member: Member, entry: ReachEntry) -> bool:
        """Tell whether the class allows an author's entry at all."""
        governing = member.governance.spec
        network, rails = governing.network, governing.guardrails
        if rails.targets and entry.kind not in rails.targets:
            return False
        if entry.kind == "internet":
            return network.allow_internet
        if entry.kind == "imds":
            return network.allow_imds
        if entry.cidr is None:
            return True
        block, holes = entry.cidr.block, entry.cidr.except_
        mine = (addresses.network(c) for c in covering.cluster(governing, self._snapshot))
        return (
            (network.allow_internet or not addresses.is_public(block, holes))
            and (network.allow_imds or not addresses.touching(block, holes, addresses.metadata()))
            and not addresses.touching(block, holes, mine)
            and (not rails.cidrs or any(within(block, allowed) for allowed in rails.cidrs))
        )


def admits(rules: Iterable[HttpMatch], question: Question) -> bool:
    """Tell whether http rules admit the request that is asked about; no rules admit every one."""
    rules = tuple(rules)
    if not rules or question.http is None:
        return True
    method, path = question.http
    return any(
        (not rule.methods or method in rule.methods) and (not rule.paths or any(_is_path(p, path) for p in rule.paths))
        for rule in rules
    )


def _is_path(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def comes_from(target: Member, entry: AcceptEntry, caller: Member) -> bool:
    """Tell whether an `accepts` entry of one stage names another stage as its source."""
    source = entry.stage
    if source is None or caller.runner or caller.namespace != (source.namespace or target.namespace):
        return False
    segment = source.any_segment or caller.segment == (source.segment or target.segment)
    return segment and (source.any_stage or caller.stage.name == source.name)
