"""May A reach B at port P, by what people have declared? Judged from specs and facts alone, way by way.

It asks each entry of each stage of the two pods whether it means this very destination, this very source, this very
port.

Taken from the rules (`semantics`, `api`): a stage closes its pods, and so do a pipeline to pods that are none of its
stages and a class to namespaces that it isolates; everybody else reaches and accepts everything. Inside a segment the
caller's word is enough, between segments both speak, and where two speak both must mean the port.
"""

from collections.abc import Iterable

from pipesegment.declared.consent import Consent, Meant, admits
from pipesegment.declared.implied import SELECTORS as IMPLIED
from pipesegment.declared.implied import Implied, is_sibling
from pipesegment.declared.leaving import Leaving, comes_from
from pipesegment.declared.members import Member, Members, Said
from pipesegment.declared.question import Answer, Question, Request
from pipesegment.facts.ends import AddressEnd, End, PodEnd, Port, is_same
from pipesegment.facts.selectors import canonical
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach import covering
from pipesegment.spec.segment import AcceptEntry


class Declaration:
    """All that the segments, grants and classes of a Snapshot declare, ready to be asked."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._members = Members(snapshot)
        self._consent = Consent(snapshot)
        self._leaving = Leaving(snapshot, self._members, self._consent)
        self._implied = Implied(snapshot, self._members, self._consent, self._leaving)
        self._callers_of: dict[str, tuple[tuple[Member, Meant], ...]] = {}

    def judge(self, source: End, destination: End, port: Port, http: Request | None = None) -> Answer:
        """Judge one connection, or one HTTP request on it; without `http` the ports alone count."""
        question = Question(source, destination, port, http)
        if is_same(source, destination):
            return Answer(True, "a pod always reaches itself")
        leaving = self._leave(question)
        if not leaving.allowed:
            return leaving
        entering = self._enter(question)
        if not entering.allowed:
            return entering
        return Answer(True, f"{leaving.because}; {entering.because}", entering.ungranted)

    def never(self, source: End, destination: End) -> Answer | None:
        """Give the one answer of ends between which nothing is declared at any port; None where ports matter.

        It is the same question, put at any port at once: whoever asks about thousands of pods hears this of nearly all.
        """
        question = Question(source, destination, None)
        if is_same(source, destination):
            return None
        leaving = self._leave(question)
        if not leaving.always or not leaving.allowed:
            return leaving if leaving.always else None
        entering = self._enter(question)
        return None if entering.allowed else entering

    def labels(self) -> frozenset[str]:
        """Give the labels that stages and what they need unsaid are found by; entries name their own."""
        selectors = {*self._members.selectors(), *IMPLIED}
        return frozenset(requirement.key for selector in selectors for requirement in selector.requirements)

    def _leave(self, question: Question) -> Answer:
        source = question.source
        if isinstance(source, AddressEnd):
            return Answer(True, f"{source} is no pod", always=True)
        fence = self._members.restricted_by(source)
        if not fence:
            return Answer(True, f"nothing declared closes {source}", always=True)
        refusals = []
        for member in self._members.speaking(source):
            for said in member.reaches():
                ways = self._leaving.means(member, said, question)
                missing = self._leaving.missing(member, said.entry, ways, question) if ways else ""
                if ways and not missing:
                    name = self._leaving.looked_up(member, said.entry, question)
                    return Answer(True, f"{said.because} ({name} was looked up as it)" if name else said.because)
                refusals += [f"{said.because}: {missing}"] if missing else []
            for because in self._implied.because(member, question):
                return Answer(True, because)
        if refusals:
            return Answer(False, refusals[0])
        return Answer(False, f"{source} is closed by {fence}, and nothing that it reaches means it", always=True)

    def _enter(self, question: Question) -> Answer:
        destination = question.destination
        if isinstance(destination, AddressEnd):
            return Answer(True, f"{destination} is no pod")
        fence = self._members.restricted_by(destination) or self._isolated_by(destination)
        if not fence:
            return Answer(True, f"nothing declared closes {destination}")
        for target in self._members.speaking(destination):
            for said in target.accepts():
                if self._accepts(target, said, question):
                    return Answer(True, said.because)
            if is_sibling(target, question.source):
                return Answer(True, f"{target.path('engine')} (engine)")
            for because in self._called(target, question):
                return Answer(True, because)
        if not self._members.is_of_a_pipeline(destination):
            return self._granted(question, destination, fence)
        return Answer(False, f"{destination} is closed by {fence}, and nothing that it accepts means it")

    def _callers(self, question: Question) -> Iterable[Member]:
        """Give the source's stages whose words count, enforced or not: a stage in Observe declares all the same."""
        source = question.source
        if isinstance(source, PodEnd):
            yield from filter(self._members.declares, self._members.of(source))

    def _accepts(self, target: Member, said: Said[AcceptEntry], question: Question) -> bool:
        """Tell whether an entry means the source at the port; another stage must also have said that it comes."""
        source, entry = question.source, said.entry
        ways = covering.at(entry.ports, question.port, question.destination)
        if not ways or not admits(entry.http, question):
            return False
        if entry.cidr is not None:
            named = not said.authored or self._leaving.may_name(target, entry.cidr.block, entry.cidr.except_)
            return named and covering.in_block(source, entry.cidr.block, entry.cidr.except_)
        if entry.pods is not None:
            pods = entry.pods
            return (
                isinstance(source, PodEnd)
                and source.namespace == (pods.namespace or target.namespace)
                and canonical(pods.pod_selector).matches(source.labels)
                and (not pods.service_accounts or source.service_account in pods.service_accounts)
            )
        return any(
            self._leaving.reached(caller, question) & ways
            for caller in self._callers(question)
            if comes_from(target, entry, caller)
        )

    def _called(self, target: Member, question: Question) -> Iterable[str]:
        """Give the words of callers in the same segment: theirs are enough."""
        for caller in self._callers(question):
            if caller.is_of(target.namespace, target.segment):
                yield from (s.because for s in caller.reaches() if self._leaving.calls(caller, target, s, question))

    def _granted(self, question: Question, destination: PodEnd, fence: str) -> Answer:
        """Judge a pod that only its namespace's class or owner closes: a grant opens it, to stages that say they reach it.

        Without a grant a way from another namespace counts as declared all the same, as the contract has it, unless
        grants are required; it is marked.
        """
        ungranted = False
        for caller in self._callers(question):
            for said in caller.reaches() if self._members.speaks(caller) else ():
                meant, ways = self._leaving.meant(caller, said.entry), self._leaving.means(caller, said, question)
                if meant is None or not ways:
                    continue
                if self._consent.covered(caller, meant, question) & ways:
                    return Answer(True, f"a SegmentGrant in namespace {destination.namespace}")
                ungranted |= meant.namespace != caller.namespace and not self._consent.holds(caller, meant)
        if ungranted:
            return Answer(True, f"no SegmentGrant is required, but {fence}", ungranted=True)
        return Answer(False, f"{destination} is closed by {fence}, and no SegmentGrant there opens it")

    def _isolated_by(self, pod: PodEnd) -> str:
        """Name the grant that closes a pod to everyone but the stages that it lets in; '' when none does."""
        for member, meant in self._speaking_of(pod.namespace):
            found = self._consent.isolates(pod, member, meant)
            if found:
                return found
        return ""

    def _speaking_of(self, namespace: str) -> tuple[tuple[Member, Meant], ...]:
        """Give what enforced stages anywhere mean of a namespace's pods and Services."""
        found = self._callers_of.get(namespace)
        if found is None:
            found = tuple(
                (member, meant)
                for member in self._members.everyone()
                if self._members.speaks(member)
                for said in member.reaches()
                if (meant := self._leaving.meant(member, said.entry)) is not None and meant.namespace == namespace
            )
            self._callers_of[namespace] = found
        return found
