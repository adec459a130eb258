"""What a stage reaches, entry by entry: whether an entry means a concrete destination, and whether it has its consent."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from pipesegment.declared import served
from pipesegment.declared.consent import Consent, Meant, admits
from pipesegment.declared.members import Member, Members, Said
from pipesegment.declared.question import Question
from pipesegment.facts.ends import End, PodEnd
from pipesegment.facts.selectors import canonical
from pipesegment.facts.snapshot import Service, Snapshot
from pipesegment.reach import addresses, covering, hostnames, lookups, network
from pipesegment.reach.covering import NO_WAY, Ways
from pipesegment.reach.edges import Network
from pipesegment.reach.ports import ranges
from pipesegment.spec.destination import Destination
from pipesegment.spec.ports import Port, within
from pipesegment.spec.segment import AcceptEntry, ReachEntry


class Leaving:
    """The caller's entries in a Snapshot."""

    def __init__(self, snapshot: Snapshot, members: Members, consent: Consent) -> None:
        self._snapshot = snapshot
        self._members = members
        self._consent = consent
        self._permitted: dict[tuple[Member, int], bool] = {}

    def means(self, member: Member, said: Said[ReachEntry], question: Question) -> Ways:
        """Tell in which ways an entry means the destination and port, whether or not the other side agrees."""
        if not admits(said.entry.http, question) or not self.allows(member, said):
            return NO_WAY
        return self._means(member, said.entry, question)

    def allows(self, member: Member, said: Said[ReachEntry]) -> bool:
        """Tell whether the class allows an entry at all; of what it says itself it does."""
        return not said.authored or self._allowed(member, said.entry)

    def missing(self, member: Member, entry: ReachEntry, ways: Ways, question: Question) -> str:
        """Say whose word is missing for ways that an entry means; '' when nobody's is."""
        if entry.kind == "stage":
            return self._unaccepted(member, entry, ways, question)
        meant = self.meant(member, entry)
        if meant is None or self._is_outside(member, entry, question):
            return ""
        return self._consent.missing(member, meant, ways, question)

    def calls(self, caller: Member, target: Member, said: Said[ReachEntry], question: Question) -> bool:
        """Tell whether an entry means the destination as a pod of a stage that takes it."""
        ways = self.means(caller, said, question)
        if not ways or (said.entry.kind == "stage" and target not in self._targets(caller, said.entry, question)):
            return False
        return self.agrees(target, caller, ways, question)

    def looked_up(self, member: Member, entry: ReachEntry, question: Question) -> str:
        """Name the host that was looked up as the destination; '' where an entry means it otherwise."""
        if not hostnames.are_followed(member.governance, self._snapshot):
            return ""
        found, service = self._destination_of(member, entry), self._service_of(member, entry)
        by_class = found is not None and not found.cidrs
        names = entry.fqdn.names if entry.fqdn else found.fqdns if found is not None and by_class else ()
        if service is not None and service.type == "ExternalName":
            names, by_class = (service.external_name,), False
        rules = member.governance.spec
        return lookups.name_of(names, question.destination, rules, self._snapshot, by_class=by_class)

    def reached(self, member: Member, question: Question) -> Ways:
        """Tell in which ways any entry of a stage means the destination."""
        return frozenset(way for said in member.reaches() for way in self.means(member, said, question))

    def meant(self, member: Member, entry: ReachEntry) -> Meant | None:
        """Give what an entry means of some namespace's pods or Services; None where nobody there is asked."""
        if entry.pods is not None:
            namespace = entry.pods.namespace or member.namespace
            return Meant(namespace, canonical(entry.pods.pod_selector), None, ranges(entry.ports))
        found = self._service_of(member, entry)
        if found is None:
            return None
        named = self._destination_of(member, entry)
        ports = covering.service_ports(found, entry.ports or (named.ports if named else ()))
        return Meant(found.meta.namespace, found.selector, found.meta.name, ports)

    def _means(self, member: Member, entry: ReachEntry, question: Question) -> Ways:
        end, port = question.destination, question.port
        match entry.kind:
            case "stage":
                return covering.at(entry.ports, port, end) if any(self._targets(member, entry, question)) else NO_WAY
            case "service":
                return self.through(member, self._service_of(member, entry), entry.ports, question)
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
            case _:
                return self._named(member, entry, question)

    def through(self, member: Member, found: Service | None, ports: Sequence[Port], question: Question) -> Ways:
        """Tell in which ways a Service means the destination; what its author gives it is held to the class's word."""
        if found is None or not self._may_lead(member, found, question):
            return NO_WAY
        if found.type == "ExternalName" and self._stands_for((found.external_name,), member, question.destination):
            return covering.external(found, ports, question.destination, question.port, anywhere=True)
        return covering.service(found, ports, question.destination, question.port, self._snapshot)

    def _destination(self, member: Member, entry: ReachEntry, question: Question) -> Ways:
        found = self._destination_of(member, entry)
        if found is None:
            return NO_WAY
        ways = self._outside(member, found, entry, question)
        return ways | self.through(member, self._service_of(member, entry), entry.ports or found.ports, question)

    def _outside(self, member: Member, found: Destination, entry: ReachEntry, question: Question) -> Ways:
        """Mean what a destination says of the outside: names where the engine matches names, otherwise exactly the addresses."""
        if (
            not found.cidrs
            and found.fqdns
            and self._stands_for(found.fqdns, member, question.destination, by_class=True)
        ):
            numbers = [p for p in entry.ports or found.ports or covering.HTTPS if isinstance(p.port, int)]
            return covering.at(numbers, question.port, question.destination)
        by_name = found.fqdns and network.provider(member.governance, self._snapshot) is Network.CILIUM
        meant = covering.destination_name if by_name or not found.cidrs else covering.destination_block
        return meant(found, entry.ports, question.destination, question.port)

    def _named(self, member: Member, entry: ReachEntry, question: Question) -> Ways:
        """Mean what is known by a name alone: hosts, or services of AWS."""
        if entry.fqdn is None:
            return served.means(member, entry, question, self._snapshot)
        if self._stands_for(entry.fqdn.names, member, question.destination):
            return covering.at(entry.ports or covering.HTTPS, question.port, question.destination)
        return covering.host_name(entry.fqdn.names, entry.ports, question.destination, question.port)

    def _stands_for(self, names: Sequence[str], member: Member, end: End, *, by_class: bool = False) -> bool:
        """Tell whether the class has this end stand for host names that nothing matches: any, or where they lead."""
        rules, snapshot = member.governance.spec, self._snapshot
        if hostnames.are_coarse(member.governance, snapshot):
            return covering.is_internet(end, rules, snapshot)
        followed = hostnames.are_followed(member.governance, snapshot)
        return followed and lookups.name_of(names, end, rules, snapshot, by_class=by_class) != ""

    def _is_outside(self, member: Member, entry: ReachEntry, question: Question) -> bool:
        """Tell whether a destination means the end by its blocks or names, for which nobody's leave is needed."""
        found = self._destination_of(member, entry)
        return bool(found and self._outside(member, found, entry, question))

    def _service_of(self, member: Member, entry: ReachEntry) -> Service | None:
        """Find the Service that an entry names, by itself or through a destination."""
        if entry.service is not None:
            return self._snapshot.service(entry.service.namespace or member.namespace, entry.service.name)
        found = self._destination_of(member, entry)
        if found is None or found.service is None or not found.service.name or not found.service.namespace:
            return None
        return self._snapshot.service(found.service.namespace, found.service.name)

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
        said = [s for s in target.accepts() if means_all_of(target, s.entry, caller)]
        own = any(s.because.startswith(f"{target.path('accepts')}[") for s in said)
        if not own and target.is_of(caller.namespace, caller.segment):
            return True
        agreed = (
            covering.at(s.entry.ports, question.port, question.destination) & ways
            for s in said
            if admits(s.entry.http, question)
        )
        return any(agreed)

    def _allowed(self, member: Member, entry: ReachEntry) -> bool:
        """Tell whether the class allows an author's entry at all; it is asked for every question."""
        known = self._permitted.get((member, id(entry)))
        if known is None:
            known = self._permitted[member, id(entry)] = self._permits(member, entry)
        return known

    def _permits(self, member: Member, entry: ReachEntry) -> bool:
        governing = member.governance.spec
        rules, rails = governing.network, governing.guardrails
        if rails.targets and entry.kind not in rails.targets:
            return False
        if entry.kind == "internet":
            return rules.allow_internet
        if entry.kind == "imds":
            return rules.allow_imds
        if entry.kind == "fqdn":
            return rules.allow_internet and not rails.cidrs
        if entry.cidr is None:
            return True
        block, holes = entry.cidr.block, entry.cidr.except_
        forbidden = (
            covering.api_servers(self._snapshot) if rails.targets and "kubernetesAPI" not in rails.targets else ()
        )
        held = addresses.touching(block, holes, (addresses.network(str(ip)) for ip in forbidden))
        return held is None and self.may_name(member, block, holes)

    def _may_lead(self, member: Member, found: Service, question: Question) -> bool:
        """Tell whether a Service may be what it is: its pods, the addresses of its slices, a host outside."""
        if found.type == "ExternalName":
            rules = member.governance.spec
            return rules.network.allow_internet and not rules.guardrails.cidrs
        return found.selector is not None or self._may_be_given(member, question)

    def _may_be_given(self, member: Member, question: Question) -> bool:
        servers = covering.api_servers(self._snapshot)
        given = (ip for ip in covering.addresses(question.destination) if ip not in servers)
        hosts = (ip for ip in given if not (ip.is_loopback or ip.is_multicast))
        return any(self.may_name(member, str(ip_network(ip)), ()) for ip in hosts if not ip.is_unspecified)

    def may_name(self, member: Member, block: str, holes: Sequence[str]) -> bool:
        """Tell whether the class lets the authors of a stage name a block, as a target or as a source."""
        rules, allowed = member.governance.spec.network, member.governance.spec.guardrails.cidrs
        mine = (addresses.network(c) for c in covering.own_blocks(member.governance.spec, self._snapshot))
        less = [addresses.network(hole) for hole in holes]
        return (
            (rules.allow_internet or not addresses.is_public(block, holes))
            and (rules.allow_imds or not addresses.touching(block, holes, addresses.metadata_of_blocks()))
            and not addresses.touching(block, holes, mine)
            and self._snapshot.seen.first_in(addresses.network(block), less) is None
            and (not allowed or any(within(block, outer) for outer in allowed))
        )


def means_all_of(target: Member, entry: AcceptEntry, caller: Member) -> bool:
    """Tell whether an `accepts` entry means a stage: by its name, or by a selector that provably has all of its pods."""
    if entry.pods is None:
        return comes_from(target, entry, caller)
    there = caller.namespace == (entry.pods.namespace or target.namespace)
    return there and caller.selector.implies(canonical(entry.pods.pod_selector))


def comes_from(target: Member, entry: AcceptEntry, caller: Member) -> bool:
    """Tell whether an `accepts` entry of one stage names another stage as its source."""
    source = entry.stage
    if source is None or caller.runner or caller.namespace != (source.namespace or target.namespace):
        return False
    segment = source.any_segment or caller.segment == (source.segment or target.segment)
    return segment and (source.any_stage or caller.stage.name == source.name)
