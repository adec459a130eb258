"""Sends the calls of one look, stage by stage, and tells what became of each.

Before every call that changes something, whose it is is read again: between two calls anybody may have put something
else there under the same name. What a call of ours has just made is ours.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import NoCredentials, Rejected, Unreachable
from pipesegment.plan.aws.ownership import Owner, stranger
from pipesegment.plan.aws.steps import SESSIONS_BEFORE, CloudStep, Wave
from pipesegment.report.outcome import Failed
from pipesegment.world.aws.port import Answer, Cloud, Place
from pipesegment.world.aws.reading import Reader

#: Told of every call, with what went wrong.
OnCall = Callable[[CloudStep, Failed | None], None]


@dataclass(slots=True)
class CloudResults:
    """What became of the calls: the ids of what was made, and what failed.

    `undone` are the objects with calls that failed or were never made; `trouble` is what ended it all before its end: AWS
    out of reach, or in need of a rest.
    """

    made: dict[ObjectID, str] = field(default_factory=dict)
    undone: set[ObjectID] = field(default_factory=set)
    failed: list[Failed] = field(default_factory=list)
    writes: int = 0
    trouble: Unreachable | None = None


async def send(
    cloud: Cloud, place: Place, owner: Owner, chains: Iterable[tuple[CloudStep, ...]], told: OnCall
) -> CloudResults:
    """Send the calls of each stage; one stage that fails holds back no other."""
    results = CloudResults()
    sender = _Sender(cloud, place, owner, results, told)
    for chain in chains:
        await sender.chain(chain)
    return results


class _Sender:
    def __init__(self, cloud: Cloud, place: Place, owner: Owner, results: CloudResults, told: OnCall) -> None:
        self._cloud = cloud
        self._place = place
        self._owner = owner
        self._results = results
        self._told = told
        self._reader = Reader(cloud, place)

    async def chain(self, chain: tuple[CloudStep, ...]) -> None:
        """Send one stage's calls. Behind a failure the rest of the first wave is sent, and nothing else.

        Behind a cut of sessions that is neither made nor marked as owed comes nothing: what is lost then tells of it.
        """
        broken = forgotten = False
        for step in chain:
            stopped = self._results.trouble is not None or forgotten or (broken and step.wave is not Wave.NARROW)
            if stopped or not await self._sent(step):
                broken = True
                self._results.undone.add(step.id)
                if not stopped and step.mark is not None:
                    forgotten = self._results.trouble is not None or not await self._sent(step.mark)

    async def _sent(self, step: CloudStep) -> bool:
        try:
            await self._check(step)
            answer = await self._cloud.call(self._place, step.call)
        except Unreachable as error:
            if _is_done(step, error):
                return True
            failed = _failed(step, error)
            self._told(step, failed)
            self._results.failed.append(failed)
            if is_trouble(error):
                self._results.trouble = error
            elif step.instead is not None and _is_refused(error):
                await self._sent(step.instead)
            return False
        self._results.writes += 1
        if step.makes:
            self._results.made[step.id] = _identity(answer)
        self._told(step, None)
        return True

    async def _check(self, step: CloudStep) -> None:
        """Raise Rejected: 409 when what is about to be changed is not ours, 404 when it is gone."""
        if step.makes or step.id in self._results.made:
            return
        stage = step.change.stage
        if step.id.kind == names.IAM_ROLE:
            role = await self._reader.head(step.id.name)
            tags = role.role.tags if role is not None else None
        else:
            bound = await self._reader.association(self._owner.cluster, step.change.uid)
            tags = bound.association.tags if bound is not None else None
        if tags is None:
            raise Rejected(HTTPStatus.NOT_FOUND, "Gone", f"{step.id} is gone")
        if key := stranger(tags, self._owner, stage):
            raise Rejected(HTTPStatus.CONFLICT, "ForeignRole", f"tag {key} of {step.id} says that it is not ours")


def is_trouble(error: Unreachable) -> bool:
    """Tell whether there is no point in any other call just now."""
    if isinstance(error, Rejected):
        return error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return isinstance(error, NoCredentials | Unreachable)


def _is_refused(error: Unreachable) -> bool:
    """Tell whether AWS does not take a call as it is: the same call is refused tomorrow, too."""
    return isinstance(error, Rejected) and (
        error.status == HTTPStatus.BAD_REQUEST or error.reason.startswith("LimitExceeded")
    )


def _is_done(step: CloudStep, error: Unreachable) -> bool:
    """Tell whether what was to be taken away had gone by itself."""
    taking = step.verb.startswith(("Delete", "Detach"))
    return taking and isinstance(error, Rejected) and error.status == HTTPStatus.NOT_FOUND


def _identity(answer: Answer) -> str:
    if "Role" in answer:
        return str(answer["Role"]["RoleId"])
    return str(answer["association"]["associationId"])


def _failed(step: CloudStep, error: Unreachable) -> Failed:
    if isinstance(error, Rejected):
        lead = "sessions of before are not cut yet: " if SESSIONS_BEFORE in step.details else ""
        return Failed(step.id, step.verb, error.status, f"{lead}{error.reason}: {error.message}")
    return Failed(step.id, step.verb, 0, str(error))
