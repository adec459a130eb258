"""The surroundings from a live cluster: informers whose stores are one `facts.Snapshot`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pipesegment.facts.others import Others
from pipesegment.facts.parse import PARSERS, meta
from pipesegment.facts.snapshot import Snapshot
from pipesegment.world import kinds
from pipesegment.world.clock import Clock
from pipesegment.world.fleet import Fleet
from pipesegment.world.informer import Informer, OnChange
from pipesegment.world.kinds import Kind
from pipesegment.world.port import EVERYTHING, Cluster, Json, Selection

#: What the API server need not send: pods that have ended hold no address, and pile up where pipelines run.
_SELECTIONS: Final[Mapping[Kind, Selection]] = {
    kinds.POD: Selection(fields="status.phase!=Succeeded,status.phase!=Failed"),
    kinds.CRD: Selection(metadata_only=True),
}
_FOLLOWED: Final = (
    *(kinds.NAMESPACE, kinds.NODE, kinds.CLASS, kinds.SEGMENT, kinds.GRANT, kinds.POD, kinds.SERVICE),
    *(kinds.ENDPOINT_SLICE, kinds.NETWORK_POLICY, kinds.DAEMON_SET, kinds.CRD),
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
    ) -> None:
        self._on_change = on_change
        self._followers = (self, *followers)
        self._crds: frozenset[str] | None = None
        self._by_kind = {
            kind: Informer(
                cluster,
                kind,
                parsers.get(kind.kind, _crd),
                self._crd_changed if kind is kinds.CRD else on_change,
                selection=_SELECTIONS.get(kind, EVERYTHING),
                relist_every=segment_refresh if kind is kinds.SEGMENT else None,
                clock=clock,
            )
            for kind in _FOLLOWED
        }
        super().__init__(tuple(self._by_kind.values()))

    def put_segment(self, obj: Json) -> None:
        """Take in a PipelineSegment as a watch brought it."""
        self._by_kind[kinds.SEGMENT].put(obj)

    def drop_segment(self, namespace: str, name: str, version: str = "") -> None:
        """Take out a PipelineSegment that was deleted at this resourceVersion."""
        self._by_kind[kinds.SEGMENT].remove(namespace, name, version)

    def refresh_segments(self) -> None:
        """Compare the list of segments as a whole now: whoever brings them may have missed that some are gone."""
        self._by_kind[kinds.SEGMENT].wake()

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
            crds=self._crds,
            others=Others(daemon_sets=self._store(kinds.DAEMON_SET)),
        )

    def _store(self, kind: Kind) -> dict[str, dict[str, Any]]:
        return self._by_kind[kind].store

    def _crd_changed(self, kind: str, old: Any, new: Any) -> None:
        self._crds = None
        for fleet in self._followers:
            fleet.crd_changed((new or old).name)
        self._on_change(kind, old, new)


def _crd(obj: Json) -> Any:
    return meta(obj, namespaced=False)
