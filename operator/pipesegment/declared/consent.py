"""Consent across namespaces, for the declaration: what grants cover of what an entry means, and whom they hold.

A grant covers an entry when every pod that the entry means is provably the grant's; by address, when it names the Service.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pipesegment.declared.members import Member
from pipesegment.declared.question import Question
from pipesegment.facts.ends import PodEnd
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Grant, Snapshot
from pipesegment.reach import covering
from pipesegment.reach.covering import NO_WAY, Ways
from pipesegment.reach.edges import PortRange
from pipesegment.reach.ports import intersect_ports
from pipesegment.spec.grant import SegmentGrantSpec
from pipesegment.spec.ports import HttpMatch


class Meant(NamedTuple):
    """What an entry means of a namespace: pods by a selector, or (None) the addresses of a Service."""

    namespace: str
    selector: Selector | None
    service: str | None
    ports: tuple[PortRange, ...]


class Consent:
    """The grants of a Snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def missing(self, member: Member, meant: Meant, ways: Ways, question: Question) -> str:
        """Say that a grant is missing in another namespace, where one is needed.

        It is when the class requires grants, and when a grant there holds its callers to other ports than these.
        """
        if meant.namespace == member.namespace or self.covered(member, meant, question) & ways:
            return ""
        return f"no SegmentGrant in namespace {meant.namespace} covers it" if self.holds(member, meant) else ""

    def covered(self, member: Member, meant: Meant, question: Question) -> Ways:
        """Tell in which ways grants cover what an entry means at the port that is asked about."""
        found = NO_WAY
        for _, spec in self._grants(member, meant.namespace):
            if self._covers(spec, meant) and admits(spec.http, question):
                found |= covering.granted(spec, meant.namespace, question.destination, question.port, self._snapshot)
        return found

    def holds(self, member: Member, meant: Meant) -> bool:
        """Tell whether nothing but what grants cover counts."""
        held = (s for _, s in self._grants(member, meant.namespace) if s.isolate != "Nobody")
        return member.governance.spec.network.require_grants or any(self._meets(spec, meant) for spec in held)

    def isolates(self, pod: PodEnd, member: Member, meant: Meant) -> str:
        """Name the grant that closes a pod to everyone else: it says so, and a stage reaches what it opens."""
        if meant.namespace != pod.namespace or meant.selector is None or not meant.selector.matches(pod.labels):
            return ""
        for grant, spec in self._grants(member, meant.namespace):
            if spec.isolate == "Everyone" and self._covers(spec, meant):
                opened = covering.granted_ports(spec, meant.namespace, self._snapshot)
                if intersect_ports(meant.ports, opened):
                    return f"SegmentGrant {grant.meta.key}"
        return ""

    def _grants(self, member: Member, namespace: str) -> Iterator[tuple[Grant, SegmentGrantSpec]]:
        """Give the grants of a namespace that let a stage in and are bound to its namespace as it is."""
        here = self._snapshot.namespaces.get(member.namespace)
        for _, grant in sorted(self._snapshot.grants.get(namespace, {}).items()):
            bound = grant.bound.get(member.namespace)
            if grant.spec is None or grant.meta.deleting or (bound and here and here.meta.uid not in {"", bound}):
                continue
            for caller in grant.spec.from_:
                segment, stage = caller.segment or member.segment, caller.stage or member.stage.name
                if (caller.namespace, segment, stage) == (member.namespace, member.segment, member.stage.name):
                    yield grant, grant.spec
                    break

    def _covers(self, spec: SegmentGrantSpec, meant: Meant) -> bool:
        if meant.selector is None:
            return spec.to.service is not None and spec.to.service.name == meant.service
        given = self._given(spec, meant.namespace)
        return given is not None and meant.selector.implies(given)

    def _meets(self, spec: SegmentGrantSpec, meant: Meant) -> bool:
        if self._covers(spec, meant):
            return True
        given = self._given(spec, meant.namespace)
        if given is None or meant.selector is None:
            return False
        common = (p for p in self._snapshot.pods_of(meant.namespace, given) if meant.selector.matches(p.labels))
        return given.implies(meant.selector) or any(True for _ in common)

    def _given(self, spec: SegmentGrantSpec, namespace: str) -> Selector | None:
        if spec.to.pod_selector is not None:
            return canonical(spec.to.pod_selector)
        found = self._snapshot.service(namespace, spec.to.service.name) if spec.to.service else None
        return found.selector if found else None


def admits(rules: tuple[HttpMatch, ...], question: Question) -> bool:
    """Tell whether http rules admit the request that is asked about; no rules admit every one."""
    if not rules or question.http is None:
        return True
    method, path = question.http
    return any(
        (not rule.methods or method in rule.methods) and (not rule.paths or any(_is_path(p, path) for p in rule.paths))
        for rule in rules
    )


def _is_path(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
