"""What a stage reaches without an entry of its own: its engine's Services, the cluster's resolvers, its mesh's control plane."""

from collections.abc import Iterable, Iterator
from typing import Final

from pipesegment.declared import served
from pipesegment.declared.consent import Consent, Meant
from pipesegment.declared.leaving import Leaving
from pipesegment.declared.members import Member, Members
from pipesegment.declared.question import Question
from pipesegment.facts.ends import End, PodEnd, Port
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Service, Snapshot
from pipesegment.reach import covering, mesh
from pipesegment.reach.covering import NO_WAY, Ways
from pipesegment.spec import ports as spec

#: Where Jenkins listens for agents that do not come by WebSocket.
_AGENT: Final = spec.Port(port=50000)
_DNS: Final = (spec.Port(port=53, protocol="UDP"), spec.Port(port=53))
_RESOLVERS: Final = (("kube-system", "kube-dns"), ("openshift-dns", "dns-default"))
_NODE_LOCAL: Final = (Selector.of({"k8s-app": "node-local-dns"}), "169.254.20.10/32")
#: The pods that are meant without being named by anybody.
SELECTORS: Final = (_NODE_LOCAL[0], *(p.pods.selector for parts in mesh.CONTROL_PLANES.values() for p in parts))
_WITHOUT_NAMES: Final = frozenset({"cidr", "imds"})
#: The agent of Pod Identity, on every node.
_AGENTS: Final = ("169.254.170.23/32", "fd00:ec2::23/128")
_AGENT_OF_PODS: Final = ("TCP", 80)


class Implied:
    """The ways of a Snapshot's stages that nobody wrote an entry for."""

    def __init__(self, snapshot: Snapshot, members: Members, consent: Consent, leaving: Leaving) -> None:
        self._snapshot = snapshot
        self._members = members
        self._consent = consent
        self._leaving = leaving

    def because(self, member: Member, question: Question) -> Iterator[str]:
        """Give the reasons why such a way is open."""
        if is_sibling(member, question.destination) or self._is_controller(member, question):
            yield f"{member.path('engine')} (engine)"
        if _is_agent(member, question):
            yield member.path("aws.identity")
        needed = served.needed_by(member, question, self._snapshot)
        if needed:
            yield needed
        if self._is_resolver(member, question):
            yield member.path("dns")
        if _is_control_plane(member, question) and self._takes_part(member):
            yield f"{member.path('mesh')} (mesh)"

    def _needs_names(self, member: Member) -> bool:
        named = any(said.entry.kind not in _WITHOUT_NAMES for said in member.reaches())
        named = named or member.needs.names or member.stage.aws.pods is not None
        return named or (bool(member.meshed) and self._takes_part(member))

    def _takes_part(self, member: Member) -> bool:
        """Tell whether a stage has any way, by its own word or a neighbour's: its sidecar is let out then."""
        engine = member.needs.jenkins is not None or member.needs.siblings is not None
        if engine or member.stage.aws.pods == "PodIdentity" or member.stage.dns == "Cluster" or any(member.accepts()):
            return True
        if member.stage.dns != "None" and (member.needs.names or member.stage.aws.pods is not None):
            return True
        if served.is_let_out(member, self._snapshot):
            return True
        if any(
            said.entry.kind not in _WITHOUT_NAMES or self._leaving.allows(member, said) for said in member.reaches()
        ):
            return True
        return any(self._may_mean(other, member) for other in self._members.within(member.namespace))

    def _may_mean(self, caller: Member, target: Member) -> bool:
        if not caller.is_of(target.namespace, target.segment):
            return False
        for said in caller.reaches():
            if not self._leaving.allows(caller, said):
                continue
            stage = said.entry.stage
            if stage is not None and stage.name == target.stage.name and stage.segment in {None, target.segment}:
                return True
            meant = self._leaving.meant(caller, said.entry)
            pods = meant.selector if meant is not None and meant.namespace == target.namespace else None
            if pods is not None and not pods.disjoint(target.selector):
                return True
        return False

    def _is_controller(self, member: Member, question: Question) -> bool:
        targets = member.governance.spec.guardrails.targets
        if member.needs.jenkins is None or (targets and "service" not in targets):
            return False
        namespace, name, http_alone = member.needs.jenkins
        namespace = namespace or member.namespace
        found = self._snapshot.service(namespace, name)
        if found is None:
            return False
        ways = self._controller(member, found, question, http_alone=http_alone)
        meant = Meant(namespace, found.selector, name, covering.service_ports(found, ()))
        return bool(ways) and not self._consent.missing(member, meant, ways, question)

    def _controller(self, member: Member, found: Service, question: Question, *, http_alone: bool) -> Ways:
        """Mean the Service's ports; agents that come by WebSocket leave out the one that it has for others."""
        own = tuple(spec.Port(port=p.port, protocol=p.protocol) for p in found.ports)
        meant = tuple(p for p in own if p != _AGENT) if http_alone else own
        return self._leaving.through(member, found, meant, question) if meant else NO_WAY

    def _is_resolver(self, member: Member, question: Question) -> bool:
        wish = member.stage.dns
        if wish == "None" or (wish == "Auto" and not self._needs_names(member)):
            return False
        end, port = question.destination, question.port
        own = member.governance.spec.network.dns
        if own.pods or own.cidrs:
            pods = any(_is_pod(end, p.namespace, canonical(p.pod_selector)) for p in own.pods)
            blocks = any(covering.in_block(end, block, ()) for block in own.cidrs)
            return (pods or blocks) and bool(covering.at(own.ports or _DNS, port, end))
        selector, local = _NODE_LOCAL
        if covering.in_block(end, local, ()) and any(self._snapshot.pods_of("kube-system", selector)):
            return bool(covering.at(_DNS, port, end))
        found = self._resolver()
        return found is not None and found.selector is not None and bool(self._answers(found, end, port))

    def _answers(self, found: Service, end: End, port: Port | None) -> Ways:
        return covering.service(found, _DNS, end, port, self._snapshot)

    def _resolver(self) -> Service | None:
        for namespace, name in _RESOLVERS:
            found = self._snapshot.service(namespace, name)
            if found is not None:
                return found
        labelled: Iterable[tuple[str, Service]] = sorted(self._snapshot.services.get("kube-system", {}).items())
        return next((s for _, s in labelled if s.meta.labels.get("k8s-app") == "kube-dns"), None)


def _is_agent(member: Member, question: Question) -> bool:
    """Tell whether a stage asks its node for what Pod Identity gives; ARC's runner pods have no identity of their own."""
    if member.stage.aws.pods != "PodIdentity" or member.runner or question.port not in (None, _AGENT_OF_PODS):
        return False
    return any(covering.in_block(question.destination, block, ()) for block in _AGENTS)


def is_sibling(member: Member, end: End) -> bool:
    """Tell whether the engine has a stage and a pod talk to each other at every port."""
    siblings = member.needs.siblings
    return siblings is not None and _is_pod(end, member.namespace, siblings)


def _is_pod(end: End, namespace: str, selector: Selector) -> bool:
    return isinstance(end, PodEnd) and end.namespace == namespace and selector.matches(end.labels)


def _is_control_plane(member: Member, question: Question) -> bool:
    return any(
        _is_pod(question.destination, part.pods.namespace, part.pods.selector)
        and (question.port is None or question.port in [(p.protocol, p.port) for p in part.ports])
        for part in member.meshed
    )
