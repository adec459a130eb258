"""What people give on the command line: files, folders and stdin, read into documents of ours and facts.

Everything that is wrong is collected, document by document, so that one run tells all of it.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipesegment import names
from pipesegment.errors import Refused, Usage
from pipesegment.facts.others import reader
from pipesegment.facts.parse import PARSERS
from pipesegment.findings import Refusal
from pipesegment.spec import documents, yamlfile

Object = Mapping[str, Any]

_ENDINGS: Final = frozenset({".yaml", ".yml", ".json"})
_STDIN: Final = "-"
#: Kinds of the facts and of ours that live in no namespace.
_CLUSTER_SCOPED: Final = frozenset({"Namespace", "Node", "CustomResourceDefinition", names.CLASS})


@dataclass(frozen=True, slots=True)
class Problem:
    """A document that is refused: where it stands, what it is, and every reason."""

    place: str
    title: str
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """One document of ours that was read and is right as far as it alone can tell."""

    place: str
    kind: str
    raw: Object

    @property
    def title(self) -> str:
        """Name it as `PipelineSegment ci-shop/shop`."""
        return title(self.raw)


@dataclass(slots=True)
class Read:
    """What was read, in its order, and what is wrong with it."""

    documents: list[Given] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    #: Documents among the facts that count for nothing because they are refused.
    ignored: list[Problem] = field(default_factory=list)
    facts: list[Object] = field(default_factory=list)


def read(files: Sequence[str], facts: Sequence[str], namespace: str) -> Read:
    """Read documents and facts; what names no namespace is in `namespace`.

    Raises Usage when a folder holds no file of a known ending.
    """
    found = Read()
    if sum(path == _STDIN for path in (*files, *facts)) > 1:
        raise Usage("`-` is given more than once, and stdin can be read only once")
    for place, obj in _objects(files, found.problems):
        _take_document(place, _placed(obj, namespace), found)
    for place, obj in _objects(facts, found.problems):
        _take_fact(place, _placed(obj, namespace), found)
    if not found.problems:
        _meet(found)
    return found


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


def text_of(path: str) -> str:
    """Read a file, or stdin for `-`, as UTF-8 whatever the locale says. Raises Refused for other bytes, Usage for none."""
    name = _name(path)
    try:
        content = sys.stdin.buffer.read() if path == _STDIN else Path(path).read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused([Refusal(name, "is not UTF-8 text:", str(error), "save it as UTF-8")]) from error
    except OSError as error:
        raise Usage(f"{name}: cannot be read: {error.strerror}") from error


def _take_document(place: str, obj: Any, found: Read) -> None:
    try:
        loaded = documents.load([obj], place)
    except Refused as error:
        name = title(obj) if isinstance(obj, Mapping) and obj.get("kind") else "the document"
        found.problems.append(Problem(place, name, error.refusals))
        return
    if loaded.others:
        fix = "give it with --facts, which takes the surroundings"
        refusal = Refusal("kind", "is not a kind of pipesegment.dev:", str(obj["kind"]), fix, object=title(obj))
        found.problems.append(Problem(place, title(obj), (refusal,)))
        return
    found.documents.append(Given(place, str(obj["kind"]), obj))


def _take_fact(place: str, obj: Any, found: Read) -> None:
    refusal = _unreadable(obj)
    if refusal is not None:
        found.problems.append(Problem(place, title(obj) if isinstance(obj, Mapping) else "the document", (refusal,)))
        return
    problem = refused(obj, place)
    if problem is not None:
        found.ignored.append(problem)
    found.facts.append(obj)


def _unreadable(obj: Any) -> Refusal | None:
    """Tell why an object cannot be a fact; kinds that nobody reads need no more than a kind."""
    fix = "give it as `kubectl get -o yaml` prints it"
    if not isinstance(obj, Mapping) or not isinstance(obj.get("kind"), str):
        return Refusal("kind", "is missing in", "the document", fix)
    parser = PARSERS.get(obj["kind"]) or reader(obj)
    if parser is None:
        return None
    meta = obj.get("metadata")
    if not isinstance(meta, Mapping) or not meta.get("name"):
        return Refusal("metadata.name", "is missing in", obj["kind"], fix)
    try:
        parser(obj)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return Refusal("spec", f"cannot be read as a {obj['kind']} ({type(error).__name__}):", str(error), fix)
    return None


def _meet(found: Read) -> None:
    """Refuse what no single document shows: two of one name, two segments that need one name."""
    try:
        documents.load([given.raw for given in found.documents])
    except Refused as error:
        for given in found.documents:
            here = tuple(r for r in error.refusals if given.title.endswith(f" {r.object}"))
            if here:
                found.problems.append(Problem(given.place, given.title, here))


def _objects(paths: Sequence[str], problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    for path in _expanded(paths):
        name = _name(path)
        try:
            # A text that breaks off in its middle counts as a whole: half of it would be something else.
            values = list(yamlfile.read(text_of(path), name))
        except Refused as error:
            problems.append(Problem(name, "the text", error.refusals))
            continue
        for place, value in values:
            for obj in _unfold(value):
                yield place, obj


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


def _files(folder: Path) -> Iterator[Path]:
    """Find files at any depth; whatever hides behind a dot (`.git`, editors' copies) is not meant."""
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.suffix in _ENDINGS:
            yield entry


def _unfold(value: Any) -> Iterator[Any]:
    if value is None:
        return
    items = value.get("items") if isinstance(value, Mapping) else None
    kind = str(value.get("kind", "")) if isinstance(value, Mapping) else ""
    if kind.endswith("List") and isinstance(items, list):
        # The API prints the items of a typed list without their kind.
        typed = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
        for item in items:
            yield {**typed, **item} if isinstance(item, Mapping) else item
    else:
        yield value


def _placed(obj: Any, namespace: str) -> Any:
    meta = obj.get("metadata") if isinstance(obj, Mapping) else None
    if not isinstance(meta, Mapping) or meta.get("namespace") or obj.get("kind") in _CLUSTER_SCOPED:
        return obj
    return {**obj, "metadata": {**meta, "namespace": namespace}}
