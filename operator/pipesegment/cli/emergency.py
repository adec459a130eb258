"""What `exception` and `seal` have in common: who one is, which stage is meant, and how what was refused is told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from pipesegment import names
from pipesegment.cli import output
from pipesegment.cli.gather import connected
from pipesegment.cli.options import Options, is_name, misused
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Refused, Rejected, Unreachable
from pipesegment.findings import Refusal
from pipesegment.spec.documents import parse_exception
from pipesegment.world import kinds
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Cluster, Json, Selection

T = TypeVar("T")

#: The API server appends five characters to what a name begins with.
_BEGINNING: Final = names.MAX_NAME - 6
#: Answers that say nothing of what was asked: who asks may try again.
_PASSING: Final = frozenset({401, 408, 429})
#: How often who asks looks for the operator's word, and how many seconds lie between: five in all.
_LOOKS: Final = 20
PAUSE: Final = 0.25


class Place(NamedTuple):
    """A stage of a segment."""

    namespace: str
    segment: str
    stage: str

    def __str__(self) -> str:
        """Render as `namespace/segment/stage`."""
        return "/".join(self)


def run(options: Options, doing: str, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Do something on the cluster. Raises Refused when it says no, Unreachable when it says nothing."""

    async def connect() -> T:
        async with connected(options) as api:
            return await work(api)

    with output.progress(doing):
        return asyncio.run(connect())


def place(given: str, options: Options) -> Place:
    """Read `[NAMESPACE/]SEGMENT/STAGE`."""
    parts = given.split("/")
    if len(parts) == 2:
        parts = [options.namespace or "default", *parts]
    if len(parts) != 3 or not all(map(is_name, parts)):
        raise misused("SEGMENT/STAGE", "is no stage:", given, "write it as NAMESPACE/SEGMENT/STAGE")
    _agree(given, parts[0], options)
    return Place(*parts)


def target(given: str, options: Options) -> ObjectID:
    """Read `[NAMESPACE/]NAME` of an exception."""
    namespace, _, name = given.rpartition("/")
    namespace = namespace or options.namespace or "default"
    if not all(map(is_name, (namespace, name))):
        raise misused("NAME", "is no exception:", given, "write it as NAMESPACE/NAME")
    _agree(given, namespace, options)
    return ObjectID(names.API_VERSION, names.EXCEPTION, namespace, name)


def _agree(given: str, namespace: str, options: Options) -> None:
    if options.namespace and options.namespace != namespace:
        raise misused("-n", f"is not the namespace of {given}:", options.namespace, "give one of the two")


async def whoami(cluster: Cluster) -> dict[str, str]:
    """Ask the API server who we are: what exceptions and approvals have to say of their author."""
    review = {"apiVersion": kinds.SELF_REVIEW.api_version, "kind": kinds.SELF_REVIEW.kind, "metadata": {}}
    with refusing("who you are"):
        user = (await cluster.create(review)).get("status", {}).get("userInfo", {})
    uid = str(user.get("uid") or "")
    return {"username": str(user.get("username", "")), **({"uid": uid} if uid else {})}


async def check(cluster: Cluster, wanted: Place) -> bool:
    """Look whether there is such a stage, where we may look: an exception for a stage that nobody has does nothing.

    Tells whether its segment is being deleted.
    """
    segment = ObjectID(names.API_VERSION, names.SEGMENT, wanted.namespace, wanted.segment)
    try:
        found = await cluster.get(segment)
    except Rejected as error:
        if error.status == 403:
            output.say(f"whether there is a stage {wanted} may not be looked at: {error.message}")
            return False
        raise
    if found is None:
        refuse(
            f"{names.SEGMENT} {wanted.namespace}/{wanted.segment}", "does not exist", wanted.segment, "correct the name"
        )
    stages = [str(stage.get("name")) for stage in found.get("spec", {}).get("stages") or ()]
    if wanted.stage not in stages:
        there = f"it has {', '.join(sorted(stages))}"
        refuse(f"{names.SEGMENT} {wanted.namespace}/{wanted.segment}", "has no such stage", wanted.stage, there)
    return found["metadata"].get("deletionTimestamp") is not None


async def make(cluster: Cluster, obj: Mapping[str, Any], beginning: str, name: str | None) -> Json:
    """Make an exception or an approval, called `name`, or by the API server after how its name begins."""
    named = {"name": name} if name else {"generateName": f"{beginning[:_BEGINNING].rstrip('-')}-"}
    metadata = {**named, "namespace": obj["metadata"]["namespace"]}
    what = f"{obj['kind']} {metadata['namespace']}/{name or beginning}"
    with refusing(what):
        return await cluster.create({**obj, "metadata": metadata})


async def looked_at(cluster: Cluster, made: Json) -> Json:
    """Give an exception as the operator told of it first; as it was made where nobody does within a few seconds.

    It is read again and again: a call that is given up in its middle leaves its connection to the garbage collector.
    """
    found: Json | None = made
    try:
        for _ in range(_LOOKS):
            found = await cluster.get(ObjectID.of(made))
            if found is None or (found.get("status") or {}).get("phase"):
                break
            await asyncio.sleep(PAUSE)
    except (Rejected, Unreachable):
        pass  # it stands, whoever may look at it
    return found or made


def document(wanted: Place, spec: Mapping[str, Any], name: str | None) -> dict[str, Any]:
    """Write an exception, and hold it to what the API server will. Raises Refused."""
    found = {
        "apiVersion": names.API_VERSION,
        "kind": names.EXCEPTION,
        "metadata": {"name": name or "new", "namespace": wanted.namespace},
        "spec": {"segment": wanted.segment, "stage": wanted.stage, **spec},
    }
    parse_exception(found)
    return found


async def existing(cluster: Cluster, wanted: ObjectID) -> Json:
    """Read an exception that has to be there. Raises Refused."""
    with refusing(str(wanted)):
        found = await cluster.get(wanted)
    if found is None:
        refuse(f"{wanted.kind} {wanted.namespace}/{wanted.name}", "does not exist", wanted.name, "see `exception list`")
    return found


async def every(cluster: Cluster, kind: Kind, namespace: str) -> list[Json]:
    """List the exceptions of a namespace, or of all ('')."""
    with refusing(f"{kind.plural} of {f'namespace {namespace}' if namespace else 'every namespace'}"):
        return (await cluster.list(kind, Selection(namespace=namespace))).items


async def take_back(cluster: Cluster, found: Json) -> None:
    """Delete an exception, if it is still that one."""
    meta = found["metadata"]
    wanted = ObjectID(names.API_VERSION, names.EXCEPTION, meta["namespace"], meta["name"])
    with refusing(str(wanted)):
        await cluster.delete(wanted, uid=meta["uid"])


@contextmanager
def told_anyhow(gone: Sequence[Json], tell: Callable[[], None]) -> Iterator[None]:
    """Tell what was taken back also where something later was refused."""
    try:
        yield
    except BaseException:
        if gone:
            tell()
        raise
    tell()


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Tell as refused what the API server refuses for what it is, and not for the moment."""
    try:
        yield
    except Rejected as error:
        if not 400 <= error.status < 500 or error.status in _PASSING:
            raise
        output.say(f"{what}: {error.message}")
        raise Refused([]) from error


def refuse(where: str, problem: str, value: str, fix: str) -> NoReturn:
    """Refuse in one line."""
    raise Refused([Refusal(where, problem, value, fix)])
