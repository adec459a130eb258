"""The surroundings from a live cluster: informers whose stores are one `facts.Snapshot`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from pipesegment import names
from pipesegment.facts import hostnames, others
from pipesegment.facts.bylabel import ByLabel
from pipesegment.facts.guards import Guards
from pipesegment.facts.others import Foreign, Others
from pipesegment.facts.parse import PARSERS, addresses, meta
from pipesegment.facts.seen import SeenAddresses
from pipesegment.facts.snapshot import Class, Pod, Segment, Service, Snapshot
from pipesegment.facts.vpc import Known
from pipesegment.world import kinds
from pipesegment.world.clock import Clock, utc
from pipesegment.world.fleet import Fleet
from pipesegment.world.informer import Informer, OnChange
from pipesegment.world.kinds import Kind
from pipesegment.world.port import EVERYTHING, Cluster, Json, Selection

#: What the API server need not send: pods that have ended hold no address, and pile up where pipelines run.
_SELECTIONS: Final[Mapping[Kind, Selection]] = {
    kinds.POD: Selection(fields="status.phase!=Succeeded,status.phase!=Failed"),
    kinds.CRD: Selection(metadata_only=True),
    **dict.fromkeys(kinds.FOREIGN, Selection(labels=f"{names.MANAGED_BY_LABEL}!={names.MANAGED_BY}")),
}
_FOLLOWED: Final = (
    *(kinds.NAMESPACE, kinds.NODE, kinds.CLASS, kinds.SEGMENT, kinds.GRANT, kinds.POD, kinds.SERVICE),
    *(kinds.ENDPOINT_SLICE, kinds.NETWORK_POLICY, kinds.GATEWAY, kinds.DAEMON_SET, kinds.CRD),
    *kinds.FOREIGN,
    *(kinds.EXCEPTION, kinds.APPROVAL, kinds.ADMISSION_POLICY, kinds.ADMISSION_BINDING),
)


class Surroundings(Fleet):
    """Everything that a declaration may depend on, followed.

    `on_change(kind, old, new)` is told of every fact that changes, segments included. PipelineSegments are brought by
    kopf's watch through `put_segment` and `drop_segment`; a list of our own tells when the first ones are complete, and
    finds every `segment_refresh` seconds what that watch missed.
    `followers` are other fleets that look again when a CustomResourceDefinition appears.
    """

    def __init__(
        self,
        cluster: Cluster,
        on_change: OnChange[Any],
        *,
        followers: Sequence[Fleet] = (),
        segment_refresh: float = 600.0,
        parsers: Mapping[str, Callable[[Json], Any]] = PARSERS,
        clock: Clock | None = None,
        now: Callable[[], datetime] = utc,
        admission_name: str = names.ADMISSION,
    ) -> None:
        self._on_change = on_change
        self._now = now
        self._admission_name = admission_name
        self._followers = (self, *followers)
        self._crds: frozenset[str] | None = None
        self._governed: dict[str, Class] = {}
        self._labelled = ByLabel[Pod]()
        self._seen = SeenAddresses()
        #: What is known of the classes' VPCs; whoever reads them puts it here.
        self.endpoints = Known()
        #: What host names stand for, by the same rule; None where nobody looks.
        self.host_names: dict[str, hostnames.Known] | None = None
        self._memo: dict[tuple[str, str], Any] = {}
        listeners: Mapping[Kind, OnChange[Any]] = {
            kinds.CRD: self._crd_changed,
            kinds.POD: self._pod_changed,
            kinds.SERVICE: self._addresses_changed,
            **{kind: partial(self._foreign_changed, _key(kind)) for kind in kinds.FOREIGN},
        }
        readers = {kind: others.FOREIGN[_key(kind)] for kind in kinds.FOREIGN}
        self._by_kind = {
            kind: Informer(
                cluster,
                kind,
                readers.get(kind) or parsers.get(kind.kind, _crd),
                listeners.get(kind, on_change),
                selection=_SELECTIONS.get(kind, EVERYTHING),
                relist_every=segment_refresh if kind is kinds.SEGMENT else None,
                # What belongs to segments that do not exist is deleted.
                vital=kind is kinds.SEGMENT,
                clock=clock,
            )
            for kind in _FOLLOWED
        }
        self._foreign = {_key(kind): self._store(kind) for kind in kinds.FOREIGN}
        super().__init__(tuple(self._by_kind.values()))

    def put_segment(self, obj: Json) -> None:
        """Take in a PipelineSegment as a watch brought it."""
        self._by_kind[kinds.SEGMENT].put(obj)

    def record(self, segment: Segment, class_uid: str, *, unfit: bool | None) -> Segment:
        """Take in what a status of ours says: to the neighbours it counts like what a watch brings, and is no news.

        Gives the segment of the facts with it; where they hold another by now, or none, `segment` with it.
        """
        held = self._store(kinds.SEGMENT).get(segment.meta.namespace, {})
        known: Segment | None = held.get(segment.meta.name)
        if known is None or known.meta.uid != segment.meta.uid:
            return replace(segment, class_uid=class_uid, unfit=unfit)
        if (known.class_uid, known.unfit) != (class_uid, unfit):
            known = held[segment.meta.name] = replace(known, class_uid=class_uid, unfit=unfit)
        return known

    def drop_segment(self, namespace: str, name: str, version: str = "") -> None:
        """Take out a PipelineSegment that was deleted at this resourceVersion."""
        self._by_kind[kinds.SEGMENT].remove(namespace, name, version)

    def refresh_segments(self) -> None:
        """Compare the list of segments as a whole now: whoever brings them may have missed that some are gone."""
        self._by_kind[kinds.SEGMENT].wake()

    def governs(self, namespace: str, found: Class | None) -> None:
        """Keep which class governs a namespace: when nobody does, it was the last. None for a namespace that is gone."""
        if found is not None:
            self._governed[namespace] = found
        else:
            self._governed.pop(namespace, None)
            for kept in [key for key in self._memo if key[1] == namespace]:
                del self._memo[kept]

    @property
    def snapshot(self) -> Snapshot:
        """The facts as of now: views that change with them, so read and use them without awaiting in between."""
        if self._crds is None:
            self._crds = frozenset(self._store(kinds.CRD)[""])
        return Snapshot(
            namespaces=self._store(kinds.NAMESPACE)[""],
            nodes=self._store(kinds.NODE)[""],
            classes=self._store(kinds.CLASS)[""],
            segments=self._store(kinds.SEGMENT),
            grants=self._store(kinds.GRANT),
            pods=self._store(kinds.POD),
            services=self._store(kinds.SERVICE),
            slices=self._store(kinds.ENDPOINT_SLICE),
            policies=self._store(kinds.NETWORK_POLICY),
            gateways=self._store(kinds.GATEWAY),
            governed=self._governed,
            seen=self._seen,
            crds=self._crds,
            labelled=self._labelled,
            memo=self._memo,
            exceptions=self._store(kinds.EXCEPTION),
            approvals=self._store(kinds.APPROVAL),
            guards=Guards(
                self._store(kinds.ADMISSION_POLICY)[""], self._store(kinds.ADMISSION_BINDING)[""], self._admission_name
            ),
            now=self._now(),
            others=Others(daemon_sets=self._store(kinds.DAEMON_SET), foreign=self._foreign),
            vpc_endpoints=self.endpoints.endpoints,
            read_vpcs=self.endpoints.vpcs,
            old_vpcs=self.endpoints.old,
            host_names=self.host_names,
        )

    def _store(self, kind: Kind) -> dict[str, dict[str, Any]]:
        return self._by_kind[kind].store

    def _pod_changed(self, kind: str, old: Pod | None, new: Pod | None) -> None:
        if old is not None:
            self._labelled.drop(*old.meta.key, old)
        if new is not None:
            self._labelled.put(*new.meta.key, new)
        self._addresses_changed(kind, old, new)

    def _addresses_changed(self, kind: str, old: Pod | Service | None, new: Pod | Service | None) -> None:
        had, has = (addresses(found) if found else () for found in (old, new))
        if had != has:
            self._seen.add(has)
            self._seen.remove(had)
        self._on_change(kind, old, new)

    def _foreign_changed(self, key: str, _kind: str, old: Foreign | None, new: Foreign | None) -> None:
        # Two groups have kinds of the same name.
        self._on_change(key, old, new)

    def _crd_changed(self, kind: str, old: Any, new: Any) -> None:
        self._crds = None
        for fleet in self._followers:
            fleet.crd_changed((new or old).name)
        self._on_change(kind, old, new)


def _key(kind: Kind) -> str:
    return f"{kind.group}/{kind.kind}"


def _crd(obj: Json) -> Any:
    return meta(obj, namespaced=False)
