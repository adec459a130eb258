"""What is followed, and which change of it makes which key due.

Facts, our own objects, and what each segment's last look depended on; nothing is decided or written here.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.emergencies import EMERGENCY, Emergencies
from pipesegment.facts.hostnames import Known
from pipesegment.facts.meta import Key, Meta
from pipesegment.facts.others import DaemonSet, Foreign
from pipesegment.facts.snapshot import Pod, Segment, Snapshot
from pipesegment.facts.vpc import Known as KnownEndpoints
from pipesegment.reach import hostnames
from pipesegment.reach.aws import groups
from pipesegment.reach.conformance.engine import Agent, agent
from pipesegment.reach.governance import is_isolated
from pipesegment.reach.graph import Reach
from pipesegment.reach.overlap import selectors
from pipesegment.reach.stages import ACCOUNT, accounts
from pipesegment.settings import Settings
from pipesegment.work import Add, Work
from pipesegment.world import kinds
from pipesegment.world.clock import Clock, LoopClock, utc
from pipesegment.world.dependents import Dependents
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Cluster
from pipesegment.world.queue import Priority

#: How long segments that come and go are gathered before their class's status says how many there are.
_COUNT_DELAY: Final = 1.0
#: How long pods and our own policies that come and go are gathered before statuses tell which pods nobody fences in.
_TELLING_DELAY: Final = 5.0

_NAMESPACE: Final = kinds.NAMESPACE.kind
#: Kinds of others that decide which policies are made.
_ENGINES: Final = (".istio.io", ".linkerd.io", "ciliumnetworkpolicies.cilium.io", groups.CRD)
#: Kinds by which others make roles.
_CONTROLLED: Final = frozenset(kind.crd for found in kinds.CONTROLLED.values() for kind in found)


class Following:
    """Follows a cluster. `add` is given every key that becomes due, `forget` every object of ours that is gone.

    `made_elsewhere` hears whose custom resources another controller has said something about, `wanted` which host names
    segments mean, whenever these are others.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        add: Add,
        forget: Callable[[ObjectID], None],
        made_elsewhere: Callable[[Key], None],
        clock: Clock | None = None,
        now: Callable[[], datetime] = utc,
        wanted: Callable[[frozenset[str]], None] = lambda _: None,
    ) -> None:
        self._add = add
        self._forget = forget
        self._made_elsewhere = made_elsewhere
        self._wanted = wanted
        self._meant: dict[Key, frozenset[str]] = {}
        self._names: frozenset[str] = frozenset()
        self._dependents = Dependents()
        self._served = asyncio.Event()
        self.owned = OwnedObjects(cluster, self._owned_changed, clock=clock)
        by_others = [kind for name in settings.backends for kind in kinds.CONTROLLED[name]]
        #: By which other controllers make roles. Nobody waits for them: they hold up roles, and nothing of the network.
        self.controlled = OwnedObjects(
            cluster, lambda owner, _: made_elsewhere(owner), owned_kinds=by_others, clock=clock
        )
        self.surroundings = Surroundings(
            cluster,
            self._changed,
            followers=(self.owned, self.controlled),
            segment_refresh=settings.segment_refresh,
            clock=clock,
            now=now,
            admission_name=settings.admission_name,
        )
        self.emergencies = Emergencies(lambda: self.snapshot, add, self.neighbours, clock or LoopClock(), now)

    @property
    def snapshot(self) -> Snapshot:
        """The facts as of now; read and use them without awaiting in between."""
        return self.surroundings.snapshot

    def start(self) -> None:
        """Follow everything."""
        self.surroundings.start()
        self.owned.start()
        self.controlled.start()

    async def stop(self) -> None:
        """Follow nothing any more."""
        self.emergencies.stop()
        await asyncio.gather(self.surroundings.stop(), self.owned.stop(), self.controlled.stop())

    async def wait_synced(self) -> None:
        """Wait until everything was read once."""
        await self.surroundings.wait_synced()
        await self.owned.wait_synced()

    async def wait_served(self) -> None:
        """Wait until the CustomResourceDefinition of segments is there."""
        await self._served.wait()

    def note(self, reach: Reach, taken: Iterable[ObjectID] = ()) -> None:
        """Keep what a segment's objects depend on, names that somebody else holds too, and which class governs it."""
        if not reach.governance.stalled and reach.governance.name in self.snapshot.classes:
            self.surroundings.governs(reach.segment.namespace, self.snapshot.classes[reach.governance.name])
        reads = {(target.kind, target.namespace, target.name) for target in taken} | reach.reads
        if not is_isolated(reach.governance, reach.segment.namespace, self.snapshot):
            # Any pod there may be one that nobody fences in.
            reads.add(("Pod", reach.segment.namespace, "*"))
        self._dependents.record(reach.segment, frozenset(reads), reach.watches)
        self.mean(reach.segment, hostnames.wanted(reads))

    def note_refused(self, segment: Key, namespaces: Iterable[str]) -> None:
        """Keep that the objects of a segment whose words have no meaning stand on consent in other namespaces."""
        kinds_of_consent = (names.GRANT, "NetworkPolicy", "Service")
        self._dependents.add(segment, frozenset((kind, n, "*") for n in namespaces for kind in kinds_of_consent))

    def drop(self, segment: Key) -> None:
        """Forget what a segment that is gone depended on."""
        self._dependents.forget(segment)
        self.mean(segment, frozenset())

    def mean(self, segment: Key, names: frozenset[str]) -> None:
        """Keep which host names a segment means, and tell when others are meant than before."""
        if self._meant.get(segment, frozenset()) == names:
            return
        if names:
            self._meant[segment] = names
        else:
            self._meant.pop(segment, None)
        every = frozenset().union(*self._meant.values())
        if every != self._names:
            self._names = every
            self._wanted(every)

    def host_name_read(self, name: str, known: Known | None) -> None:
        """Take in what a host name stands for (None: nobody looks any more), and make those due that mean it."""
        found = self.surroundings.host_names = self.surroundings.host_names or {}
        if found.get(name) == known:
            return
        if known is None:
            del found[name]
        else:
            found[name] = known
            self._add_segments(self._dependents.due(hostnames.KIND, "", name))

    def freed(self, done: Mapping[ObjectID, str]) -> None:
        """Tell those who wait for the name of an object that we deleted: what we do ourselves is no news otherwise."""
        for target in (target for target, uid in done.items() if not uid):
            self._add_segments(self._dependents.due(target.kind, target.namespace, target.name))

    def endpoints_read(self, known: KnownEndpoints) -> None:
        """Take in what is known of VPC endpoints, and make those due that reach any."""
        self.surroundings.endpoints = known
        self._add_segments(self._dependents.due("VPCEndpoint", "", ""))

    def add_everything(self) -> None:
        """Make due every class, every segment and everybody who has objects; grants say what segments made of them."""
        self._add_classes()
        self._add_segments(Key(n, name) for n, found in self.snapshot.segments.items() for name in found)
        for owner in self.owned.segments:
            self._add_owner(owner)

    def add_every_grant(self) -> None:
        """Make every grant due."""
        self.add_grants(Key(n, name) for n, found in self.snapshot.grants.items() for name in found)

    def add_grants(self, grants: Iterable[Key]) -> None:
        """Make grants due, after everything that is enforced."""
        for grant in grants:
            self._add(Work(names.GRANT, *grant), 0.0, Priority.RESYNC)

    def neighbours(self, segment: Key) -> None:
        """Make a segment due whose stages mean something else than before, and who has to do with them."""
        found = self.snapshot.segment(*segment)
        if found is not None:
            self._segment_changed(segment, found, found)
            self._add_segments(self._dependents.due(names.SEGMENT, *segment))

    def add_tellers(self, namespace: str) -> None:
        """Make everybody due who tells which pods of a namespace nobody fences in."""
        if self.snapshot.pods.get(namespace):
            self._add_segments(self._dependents.due("Pod", namespace, "*"), Priority.RESYNC)

    def _changed(self, kind: str, old: Any, new: Any) -> None:
        if kind in EMERGENCY:
            self.emergencies.changed(kind, _meta(new if new is not None else old).key, old, new)
        else:
            self._fact_changed(kind, old, new)

    def _fact_changed(self, kind: str, old: Any, new: Any) -> None:
        changed = _meta(new if new is not None else old)
        # Our own policies come and go by the thousand: they concern who waits for their name, and nobody else.
        ours = kind == "NetworkPolicy" and all(policy is None or policy.owned for policy in (old, new))
        due = self._dependents.due(kind, changed.namespace, changed.name, exactly=ours or kind == "Pod")
        match kind:
            case names.SEGMENT:
                self._segment_changed(changed.key, old, new)
            case names.GRANT:
                self._add(Work(kind, changed.namespace, changed.name), 0.0, Priority.CHANGE)
            case names.CLASS:
                self._add(Work(kind, "", changed.name), 0.0, Priority.CHANGE)
                # What one class no longer governs, another may.
                self._add_classes()
            case "Namespace":
                if new is None:
                    self.surroundings.governs(changed.name, None)
                self._add_classes()
                self.add_grants(self._naming(changed.name))
            case "Pod":
                due |= self._pod_changed(changed.namespace, _labels(old, new))
            case "NetworkPolicy":
                self._policy_changed(changed, old, new, ours=ours)
            case kinds.DAEMON_SET.kind if _agent(old) == _agent(new):
                # Whoever else runs on every node says nothing about enforcement.
                return
            case kinds.CRD.kind:
                due |= self._crd_changed(changed.name)
        self._add_segments(due)

    def _segment_changed(self, key: Key, old: Segment | None, new: Segment | None) -> None:
        self._add_segments([key])
        concerned = {s for segment in (old, new) if segment is not None for s in selectors(segment)}
        pods = (pod.labels for selector in concerned for pod in self.snapshot.pods_of(key.namespace, selector))
        due = self._dependents.related(key.namespace, concerned) | self._dependents.selecting(key.namespace, pods)
        for account in {a for segment in (old, new) if segment is not None for a in accounts(segment)}:
            due |= self._dependents.due(ACCOUNT, key.namespace, account, exactly=True)
        self._add_segments(due - {key}, Priority.RESYNC)
        if old is None or new is None:
            # Classes count their segments: once for many that come together.
            self._add_classes(_COUNT_DELAY)

    def _pod_changed(self, namespace: str, states: list[Any]) -> set[Key]:
        """Give whose stages a pod was or is in. One that was or is in none may be unfenced: everybody there tells of it."""
        found = [self._dependents.selecting(namespace, [labels]) for labels in states]
        if not all(any(key.namespace == namespace for key in keys) for keys in found):
            self._add(Work(_NAMESPACE, "", namespace), _TELLING_DELAY, Priority.RESYNC)
        return set().union(*found)

    def _policy_changed(self, changed: Meta, old: Any, new: Any, *, ours: bool) -> None:
        if changed.name == names.DEFAULT_DENY:
            self._add_classes()
        if ours and (old is None or new is None or old.selector != new.selector):
            self._add(Work(_NAMESPACE, "", changed.namespace), _TELLING_DELAY, Priority.RESYNC)

    def _crd_changed(self, name: str) -> set[Key]:
        if name == kinds.SEGMENT.crd:
            self._served.set()
        decides = name.endswith(_ENGINES)
        if not decides and name not in _CONTROLLED:
            return set()
        every = {Key(n, segment) for n, found in self.snapshot.segments.items() for segment in found}
        if name in _CONTROLLED:
            for key in every:
                self._made_elsewhere(key)
        return every if decides else set()

    def _owned_changed(self, owner: Key, target: ObjectID) -> None:
        if self.owned.get(target) is None:
            self._forget(target)
        if target.name == names.DEFAULT_DENY:
            self._add_classes()
        if owner.name:
            self._add_owner(owner)
        else:
            self._add_segments(self._dependents.due(target.kind, target.namespace, target.name))

    def _add_owner(self, owner: Key) -> None:
        if owner.namespace and owner.name:
            self._add_segments([owner])
        elif owner.name:
            self._add(Work(names.CLASS, "", owner.name), 0.0, Priority.CHANGE)

    def _add_classes(self, delay: float = 0.0) -> None:
        for name in self.snapshot.classes:
            self._add(Work(names.CLASS, "", name), delay, Priority.CHANGE)

    def _add_segments(self, keys: Iterable[Key], priority: Priority = Priority.CHANGE) -> None:
        for key in keys:
            self._add(Work(names.SEGMENT, *key), 0.0, priority)

    def _naming(self, namespace: str) -> Iterator[Key]:
        """Give the grants that name a namespace: they are bound to its uid."""
        for found in self.snapshot.grants.values():
            for grant in found.values():
                if grant.spec is not None and any(source.namespace == namespace for source in grant.spec.from_):
                    yield grant.meta.key


def _meta(value: Any) -> Meta:
    if isinstance(value, (DaemonSet, Foreign)):
        return Meta(value.namespace, value.name)
    return value if isinstance(value, Meta) else value.meta


def _agent(found: DaemonSet | None) -> Agent | None:
    return agent(found) if found is not None else None


def _labels(*pods: Pod | None) -> list[Any]:
    return [pod.labels for pod in pods if pod is not None]
