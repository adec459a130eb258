"""Facts of an emergency: exceptions and approvals; what holds both to their authors: guards.py."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from pipesegment.facts.meta import Meta
from pipesegment.facts.moments import after, moment
from pipesegment.findings import Refusal
from pipesegment.spec.exception import SegmentApprovalSpec, SegmentExceptionSpec
from pipesegment.spec.status import IN_FORCE
from pipesegment.spec.units import seconds


@dataclass(frozen=True, slots=True)
class SegmentException:
    """A SegmentException; `spec` is None when it is refused. `hash` is its spec's, which approvals have to name."""

    meta: Meta
    spec: SegmentExceptionSpec | None
    hash: str = ""
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)
    #: It is asked what it would open: nobody has approved it, and it does not exist.
    supposed: bool = False

    @property
    def ends(self) -> datetime | None:
        """When it ends by itself; None when it does not, or does not exist yet.

        The time runs from its creation, which nobody can write but the API server (docs/adr/0047).
        """
        begun = moment(self.meta.created)
        if self.spec is None or self.spec.duration is None or begun is None:
            return None
        return after(begun, timedelta(seconds=seconds(self.spec.duration)))

    @property
    def was_in_force(self) -> bool:
        """Whether its status said that it opens or seals something when it was read."""
        phase = orjson.loads(self.status).get("phase") if self.status else ""
        return phase in IN_FORCE

    @property
    def meant(self) -> tuple[str, str]:
        """The uid of the segment and the pods of the stage when it was looked at first, '' where its status does not say."""
        told = orjson.loads(self.status).get("meant") if self.status else None
        return (told.get("uid") or "", told.get("pods") or "") if isinstance(told, dict) else ("", "")

    @property
    def is_replaced(self) -> bool:
        """Whether its status said that what it was for is another one: that is for good."""
        return bool(self.status) and orjson.loads(self.status).get("reason") == "Replaced"

    def is_over(self, now: datetime | None) -> bool:
        """Tell whether its time is over; while nobody knows what time it is, nothing is."""
        ends = self.ends
        return ends is not None and now is not None and now >= ends


@dataclass(frozen=True, slots=True)
class SegmentApproval:
    """A SegmentApproval; `spec` is None when it is refused, and it counts for nothing."""

    meta: Meta
    spec: SegmentApprovalSpec | None
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)
