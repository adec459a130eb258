"""What should be in AWS for a segment, and on whose word: what the corridor (`cloudwork`) then brings about."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from pipesegment import names
from pipesegment.compile.canonical import stamped
from pipesegment.compile.desired import Desired, Object, ObjectID, stage_of
from pipesegment.compile.iam.backends import DIRECT
from pipesegment.compile.iam.identity import identities
from pipesegment.compile.iam.values import Role
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.plan.aws.look import Terms
from pipesegment.plan.aws.ownership import Owner
from pipesegment.plan.sequence import Restraint
from pipesegment.reach import governance
from pipesegment.reach.graph import Reach
from pipesegment.report.outcome import Outcome
from pipesegment.spec.classaws import ClassAws
from pipesegment.world.aws.port import Place


@dataclass(frozen=True, slots=True)
class Wish:
    """What should be in AWS for a segment, on whose word, and what holds it back. `asked`: by whom looks are asked for.

    `backend` is who makes it: the operator (Direct), or another controller. `before` is the same in the languages of those
    who made something of it before. `own` is what of it belongs to stages to which exceptions give rights, less these.
    """

    desired: Desired
    owner: Owner
    place: Place
    role_path: str
    terms: Terms
    restraint: Restraint
    paths: Mapping[str, str]
    generation: int
    asked: str = ""
    backend: str = DIRECT
    before: tuple[Object, ...] = ()
    own: tuple[Object, ...] = ()

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What makes it due when it is another one."""
        hashes = tuple(obj["metadata"]["annotations"][names.HASH_ANNOTATION] for obj in self.desired.objects)
        return hashes, self.owner, self.place, self.role_path, self.terms, self.restraint, self.asked, self.backend

    @property
    def held(self) -> "Wish":
        """Give it in every language in which something of it stands, so that it is narrowed and nothing is made."""
        both = replace(self.desired, objects=(*self.desired.objects, *self.before))
        return replace(self, desired=both, restraint=Restraint.NO_WIDENING)

    def ended(self, stages: Collection[str]) -> "Wish":
        """Give it as it is when what exceptions gave these stages is over, and nothing else of the segment is known."""
        over = {stage for obj in self.own if (stage := stage_of(obj)) in stages}
        kept = [obj for obj in self.desired.objects if stage_of(obj) not in over]
        now = sorted((*kept, *(obj for obj in self.own if stage_of(obj) in over)), key=ObjectID.of)
        return replace(self, desired=replace(self.desired, objects=tuple(now)))

    def part(self, *, by_controller: bool) -> "Wish":
        """Give what of it another controller makes, or the operator itself."""
        objects = tuple(o for o in self.desired.objects if ObjectID.of(o).by_controller is by_controller)
        return replace(self, desired=replace(self.desired, objects=objects))


def wished(
    segment: Segment, outcome: Outcome, snapshot: Snapshot, before: Wish | None, makers: Iterable[str] = ()
) -> Wish:
    """Give what one look at a segment came to; the managed policies of before are still ours to take off.

    `makers` are those who made something of it.
    """
    assert outcome.reach is not None
    assert outcome.desired is not None
    reach, desired = outcome.reach, outcome.desired.in_cloud
    found = _on_the_word_of(segment, reach.governance.name, reach.governance.spec.aws, snapshot)
    others = sorted(set(makers) - {found.backend})
    ours = {arn for obj in desired.objects if obj["kind"] == names.IAM_ROLE for arn in Role.of(obj).managed}
    terms = replace(
        found.terms, policies=found.terms.policies | ours | (before.terms.policies if before else frozenset())
    )
    return replace(
        found,
        desired=desired,
        terms=terms,
        restraint=outcome.restraint,
        paths={stage.key.stage: stage.path for stage in reach.stages},
        before=tuple(stamped(obj) for maker in others for obj in identities(reach, maker).objects),
        own=tuple(map(stamped, identities(_without_lent(reach)).objects)),
    )


def _without_lent(reach: Reach) -> Reach:
    """Give the stages to which exceptions give rights, with their own rights alone."""
    lent = ((s, s.cloud, s.cloud.rights) for s in reach.stages if s.cloud is not None and s.cloud.rights is not None)
    own = tuple(replace(s, cloud=replace(c, rights=replace(r, lent=()))) for s, c, r in lent if r.lent)
    return replace(reach, stages=own)


def farewell(segment: Segment, snapshot: Snapshot, wish: Wish | None) -> Wish | None:
    """Wish that nothing is left, on the word of the class; None while nobody knows where that would be."""
    governing = governance.govern(segment.meta.namespace, snapshot)
    known = governing.spec.aws.account_id is not None and not governing.stalled
    if known:
        told = _on_the_word_of(segment, governing.name, governing.spec.aws, snapshot)
        policies = told.terms.policies | (wish.terms.policies if wish is not None else frozenset())
        return replace(told, terms=replace(told.terms, policies=policies))
    if wish is None or wish.owner.uid != segment.meta.uid:
        return None
    return replace(wish, desired=replace(wish.desired, objects=()), before=(), restraint=Restraint.NONE)


def _on_the_word_of(segment: Segment, name: str, aws: ClassAws, snapshot: Snapshot) -> Wish:
    """Give what a class says of roles, with nothing desired."""
    namespace = snapshot.namespaces.get(segment.meta.namespace)
    uid = namespace.meta.uid if namespace is not None else ""
    return Wish(
        desired=Desired(segment.meta.key, segment.meta.uid, ()),
        owner=Owner(aws.cluster, segment.meta.key, uid, segment.meta.uid),
        place=Place.of(name, aws),
        role_path=aws.role_path,
        terms=Terms(frozenset(aws.allowed_managed_policy_arns), aws.deletion_policy == "Delete"),
        restraint=Restraint.NONE,
        paths={},
        generation=segment.meta.generation,
        asked=segment.meta.annotations.get(names.CHECK_ANNOTATION, ""),
        backend=aws.backend,
    )
