"""What people give on the command line: files, folders and stdin, read into documents of ours and facts.

Everything that is wrong is collected, document by document, so that one run tells all of it.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipesegment import names
from pipesegment.cli.places import Place
from pipesegment.errors import Refused, Usage
from pipesegment.evaluate import networkpolicy
from pipesegment.facts import kinds, vpc
from pipesegment.findings import Refusal
from pipesegment.spec import documents, yamlfile
from pipesegment.spec.base import shown
from pipesegment.spec.yamllines import Lines

Object = Mapping[str, Any]

_ENDINGS: Final = frozenset({".yaml", ".yml", ".json"})
_STDIN: Final = "-"
_TEXT: Final = "the text"
#: The most bytes that a file may have: no declaration comes near it, and a list of a large cluster's objects does not.
MOST_DECLARED: Final = 16 * 2**20
MOST_FACTS: Final = 512 * 2**20
#: Kinds of the facts and of ours that live in no namespace.
_CLUSTER_SCOPED: Final = frozenset({"Namespace", "Node", "CustomResourceDefinition", names.CLASS})


@dataclass(frozen=True, slots=True)
class Problem:
    """A document that is refused: where it stands, what it is, and every reason."""

    place: str
    title: str
    refusals: tuple[Refusal, ...]
    begins: Place | None = None

    def told(self) -> Iterator[tuple[str, Refusal]]:
        """Give every reason with the place of its field."""
        return ((self.begins.of(r.path) if self.begins else self.place, r) for r in self.refusals)

    @property
    def object(self) -> str:
        """Name the object, or (for what is none) the place."""
        kind, _, name = self.title.partition(" ")
        return self.place if kind == "the" else name or self.place


@dataclass(frozen=True, slots=True)
class Given:
    """One document of ours that was read and is right as far as it alone can tell."""

    place: str
    kind: str
    raw: Object
    begins: Place | None = None

    @property
    def title(self) -> str:
        """Name it as `PipelineSegment ci-shop/shop`."""
        return title(self.raw)

    def refused(self, refusals: Iterable[Refusal]) -> Problem:
        """Refuse it."""
        return Problem(self.place, self.title, tuple(refusals), self.begins)


@dataclass(slots=True)
class Read:
    """What was read, in its order, and what is wrong with it."""

    documents: list[Given] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    #: Documents among the facts that count for nothing because they are refused.
    ignored: list[Problem] = field(default_factory=list)
    facts: list[Object] = field(default_factory=list)
    #: Some text of the facts could not be read: what it holds would look as if it were not there.
    lacking: bool = False


def read(files: Sequence[str], facts: Sequence[str], namespace: str) -> Read:
    """Read documents and facts; what names no namespace is in `namespace`.

    Raises Usage when a folder holds no file of a known ending, or stdin no document at all: a pipe that breaks is no empty
    declaration. A file may be empty, and an empty List is a document.
    """
    found = Read()
    once(*files, *facts)
    given = list(_values(files, MOST_DECLARED, found.problems))
    stdin = _name(_STDIN)
    if _STDIN in files and not found.problems and not any(place.file == stdin for place, _ in given):
        raise Usage("stdin holds no document: whatever writes it wrote nothing")
    for place, obj in _objects(given):
        _take_document(place, _placed(obj, namespace), found)
    before = len(found.problems)
    for place, obj in _objects(_values(facts, MOST_FACTS, found.problems)):
        _take_fact(str(place), _placed(obj, namespace), found)
    found.lacking = any(problem.title == _TEXT for problem in found.problems[before:])
    if not found.problems:
        _meet(found)
    return found


def once(*paths: str) -> None:
    """Raise Usage when stdin is to be read twice: the second time nothing would be left of it."""
    if paths.count(_STDIN) > 1:
        raise Usage("`-` is given more than once, and stdin can be read only once")


def refused(obj: Object, place: str) -> Problem | None:
    """Tell why a fact of our own kinds is refused; None for one that is right, and for every other kind."""
    if obj["kind"] not in names.KINDS:
        return None
    try:
        documents.load([obj], place)
    except Refused as error:
        return Problem(place, title(obj), error.refusals)
    return None


def title(obj: Object) -> str:
    """Name an object as people do: `PipelineSegment ci-shop/shop`."""
    meta = obj.get("metadata")
    meta = meta if isinstance(meta, Mapping) else {}
    parts = [str(meta[key]) for key in ("namespace", "name") if meta.get(key)]
    return f"{obj.get('kind')} {'/'.join(parts)}".rstrip()


def text_of(path: str, most: int = MOST_DECLARED) -> str:
    """Read a file, or stdin for `-`, as UTF-8 whatever the locale says.

    Raises Refused for other bytes or for more than `most` of them, Usage for a file that cannot be read.
    """
    name = _name(path)
    try:
        content = _bytes_of(path, most + 1)
    except OSError as error:
        raise Usage(f"{name}: cannot be read: {error.strerror}") from error
    if len(content) > most:
        fix = "give the parts that matter, in files of their own"
        raise Refused([Refusal(name, "is larger than", f"{most // 2**20} MiB", fix)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused([Refusal(name, "is not UTF-8 text:", str(error), "save it as UTF-8")]) from error


def _bytes_of(path: str, most: int) -> bytes:
    if path == _STDIN:
        return sys.stdin.buffer.read(most)
    with Path(path).open("rb") as file:
        return file.read(most)


def _take_document(begins: Place, obj: Any, found: Read) -> None:
    place = str(begins)
    try:
        loaded = documents.load([obj], place)
    except Refused as error:
        name = title(obj) if isinstance(obj, Mapping) and obj.get("kind") else "the document"
        found.problems.append(Problem(place, name, error.refusals, begins))
        return
    given = Given(place, str(obj["kind"]), obj, begins)
    if loaded.others:
        fix = "give it with --facts, which takes the surroundings"
        refusal = Refusal("kind", "is not a kind of pipesegment.dev", str(obj["kind"]), fix, object=title(obj))
        found.problems.append(given.refused((refusal,)))
        return
    wrong = tuple(kinds.wrong_status(obj))
    if wrong:
        found.problems.append(given.refused(wrong))
        return
    found.documents.append(given)


def _take_fact(place: str, obj: Any, found: Read) -> None:
    if isinstance(obj, Mapping) and vpc.is_answer(obj):
        faults = tuple(vpc.wrong(obj))
        if faults:
            found.problems.append(Problem(place, "the answer of EC2", faults))
        else:
            found.facts.append(vpc.wrapped(obj, place))
        return
    if not isinstance(obj, Mapping) or not isinstance(obj.get("kind"), str):
        refusal = Refusal("kind", "is missing in", "the document", "give it as `kubectl get -o yaml` prints it")
        found.problems.append(Problem(place, "the document", (refusal,)))
        return
    if not kinds.is_read(obj):
        if obj["kind"].endswith("List") and obj.get("items") is not None:
            refusal = Refusal(
                "items", "is not a list:", shown(obj["items"]), "give it as `kubectl get -o yaml` prints it"
            )
            found.problems.append(Problem(place, title(obj), (refusal,)))
        return
    problem = unreadable(obj, place)
    if problem is not None:
        found.problems.append(problem)
        return
    problem = refused(obj, place)
    if problem is not None:
        found.ignored.append(problem)
    found.facts.append(obj)


def unreadable(obj: Object, place: str) -> Problem | None:
    """Tell why an object of a kind that is read cannot be a fact."""
    wrong = tuple(kinds.wrong(obj))
    if not wrong and obj["kind"] == networkpolicy.KIND:
        try:
            networkpolicy.NetworkPolicies([obj])
        except Refused as error:
            wrong = error.refusals
    return Problem(place, title(obj), wrong) if wrong else None


def _meet(found: Read) -> None:
    """Refuse what no single document shows: two of one name, two segments that need one name."""
    try:
        documents.load([given.raw for given in found.documents])
    except Refused as error:
        for given in found.documents:
            here = tuple(r for r in error.refusals if given.title.endswith(f" {r.object}"))
            if here:
                found.problems.append(given.refused(here))


def _objects(values: Iterable[tuple[Place, Any]]) -> Iterator[tuple[Place, Any]]:
    for place, value in values:
        for inside, obj in _unfold(value):
            yield replace(place, inside=inside) if inside else place, obj


def _values(paths: Sequence[str], most: int, problems: list[Problem]) -> Iterator[tuple[Place, Any]]:
    """Give what each document holds, with its place; comments alone are none."""
    for path in _expanded(paths):
        name = _name(path)
        try:
            # A text that breaks off in its middle counts as a whole: half of it would be something else.
            text = text_of(path, most)
            values = list(yamlfile.read(text, name))
        except Refused as error:
            problems.append(Problem(name, _TEXT, error.refusals))
            continue
        # Facts are many and hardly ever wrong: their texts are not kept for it.
        lines = Lines(text) if most == MOST_DECLARED else None
        begins = ((Place(name, int(place.rpartition(":")[2]), lines=lines), value) for place, value in values)
        yield from ((place, value) for place, value in begins if value is not None)


def _expanded(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if path == _STDIN or not Path(path).is_dir():
            yield path
            continue
        files = sorted(_files(Path(path)))
        if not files:
            raise Usage(f"{path}: the folder holds no .yaml, .yml or .json file")
        yield from map(str, files)


def _name(path: str) -> str:
    return "stdin" if path == _STDIN else path


def _files(folder: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Find files at any depth; whatever hides behind a dot (`.git`, editors' copies) is not meant.

    Links may lead back to where they are; what is neither a file nor a folder, such as a pipe, could be waited for forever.
    """
    try:
        here = folder.resolve()
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise Usage(f"{folder}: cannot be read: {error.strerror}") from error
    for entry in entries if here not in seen else ():
        if entry.is_dir():
            yield from _files(entry, seen | {here})
        elif entry.suffix in _ENDINGS and (entry.is_file() or entry.is_symlink()):
            yield entry


def _unfold(value: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    """Give the objects of a List, each with the path that leads to it; what is none, as it is."""
    if value is None:
        return
    items = value.get("items") if isinstance(value, Mapping) else None
    kind = str(value.get("kind", "")) if isinstance(value, Mapping) else ""
    if kind.endswith("List") and isinstance(items, list):
        # The API prints the items of a typed list without their kind.
        typed = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
        for number, item in enumerate(items):
            placed = {**typed, **item} if isinstance(item, Mapping) else item
            yield from _unfold(placed, f"{inside}items[{number}].")
    else:
        yield inside, value


def _placed(obj: Any, namespace: str) -> Any:
    meta = obj.get("metadata") if isinstance(obj, Mapping) else None
    if (
        not isinstance(meta, Mapping)
        or meta.get("namespace") not in (None, "")
        or str(obj.get("kind")) in _CLUSTER_SCOPED
        or obj.get("apiVersion") in (names.CROSSPLANE_IAM, names.CROSSPLANE_EKS)
    ):
        return obj
    return {**obj, "metadata": {**meta, "namespace": namespace}}
