"""The tables of `docs/spec/v1alpha1`, written from the models: fields with their bounds, and the rules between fields.

A page asks for a table by a pair of comments: `<!-- fields PipelineSegment spec.stages[] -->` or
`<!-- rules PipelineSegment -->`, then `<!-- end -->`. What stands between them is written anew by
`python -m pipesegment.spec.reference DIR`; a test fails when pages and models differ.
"""

import functools
import re
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo

from pipesegment.spec.base import Model, api_name
from pipesegment.spec.crd import MODELS, Schema, structural
from pipesegment.spec.units import LABEL_FIX, LABEL_PROBLEM, Grammar

_BLOCK: Final = re.compile(r"(<!-- (fields|rules) (\w+)(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)
_HEADING: Final = re.compile(r"#+ (.+)")
_FIELD_HEAD: Final = "| field | type | required | bounds | description |\n|---|---|---|---|---|\n"
_RULE_HEAD: Final = "| where | refused, because it |\n|---|---|\n"
#: type -> where its bounds stand, and what they count.
_SPANS: Final = {
    "integer": ("minimum", "maximum", ""),
    "string": ("minLength", "maxLength", " characters"),
    "array": ("minItems", "maxItems", " items"),
    "object": ("minProperties", "maxProperties", " entries"),
}
_FORMATS: Final = {"cidr": "a CIDR block", "date-time": "a time"}


@dataclass(frozen=True, slots=True)
class Section:
    """A table of fields: whose they are, and where it stands."""

    page: str
    anchor: str
    kind: str
    path: str
    model: type[Model]


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table; `model` is the one that has the field, `inner` the object that it holds."""

    path: str
    model: type[Model]
    info: FieldInfo
    schema: Schema
    inner: type[Model] | None
    section: Section | None


def write(folder: Path) -> None:
    """Write the tables of every page in a folder anew."""
    pages = {page.name: page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.md"))}
    for name, text in rendered(pages).items():
        (folder / name).write_text(text, encoding="utf-8")


def rendered(pages: Mapping[str, str]) -> dict[str, str]:
    """Give the pages with their tables as the models have them. Raises ValueError for what the models do not have."""
    known = sections(pages)

    def anew(page: str, text: str) -> str:
        return _BLOCK.sub(lambda found: _block(found, page, known), text)

    return {page: anew(page, text) for page, text in pages.items()}


def sections(pages: Mapping[str, str]) -> dict[type[Model], Section]:
    """Find the tables of fields; every model has at most one, so that others can point there."""
    found: dict[type[Model], Section] = {}
    for page, text in pages.items():
        for block in _BLOCK.finditer(text):
            if block[2] != "fields":
                continue
            heading = _HEADING.findall(text[: block.start()])[-1]
            model = _model_at(block[3], block[4])
            if model in found:
                raise ValueError(f"{page}: {block[4]} has its table in {found[model].page} already")
            found[model] = Section(page, slug(heading), block[3], block[4], model)
    return found


def slug(heading: str) -> str:
    """Give the anchor of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def fields(model: type[Model], known: Mapping[type[Model], Section], prefix: str = "") -> Iterator[Field]:
    """Give a model's fields and those of the objects in them, down to objects that have a table of their own."""
    schema = _schema(model)
    for name, info in model.model_fields.items():
        api = api_name(name)
        node = schema["properties"][api]
        inner = _model_in(info.annotation)
        path = f"{prefix}{api}[]" if inner and node["type"] == "array" else f"{prefix}{api}"
        section = known.get(inner) if inner else None
        yield Field(path, model, info, node, inner, section)
        if inner and not section:
            yield from fields(inner, known, f"{path}.")


#: A model's schema costs more than the rest of its table, and its fields are asked for from many places.
_schema = functools.cache(structural)


def _block(found: re.Match[str], page: str, known: Mapping[type[Model], Section]) -> str:
    if found[2] == "fields":
        table = _FIELD_HEAD + "".join(_field_row(f, page) for f in fields(_model_at(found[3], found[4]), known))
    else:
        table = _RULE_HEAD + "".join(_rule_rows(found[3], [s for s in known.values() if s.page == page], known))
    return f"{found[1]}\n{table}\n{found[5]}"


def _field_row(field: Field, page: str) -> str:
    description = field.info.description or ""
    if field.section:
        there = "" if field.section.page == page else field.section.page
        description += f" See [{field.section.path}]({there}#{field.section.anchor})."
    required = "yes" if field.info.is_required() else "no"
    bounds = "; ".join(_bounds(field.schema, _grammars(field.info)))
    return _row(f"`{field.path}`", _type(field.schema), required, bounds, description)


def _rule_rows(kind: str, here: Iterable[Section], known: Mapping[type[Model], Section]) -> Iterator[str]:
    """Give every rule of the models whose tables stand on a page, and of single values in them, each once."""
    told = {("metadata.name", f"{LABEL_PROBLEM}: {LABEL_FIX}")}
    yield from (_row(f"`{path}`", message) for path, message in told)
    for section in here:
        if section.kind != kind:
            continue
        rules = [(section.path + rule.field, rule.message) for rule in section.model.rules]
        for field in fields(section.model, known):
            path = f"{section.path}.{field.path}"
            if field.inner and not field.section:
                rules += [(path + rule.field, rule.message) for rule in field.inner.rules]
            if not field.inner:
                rules += [(path, v["message"]) for node in _values(field.schema) for v in _validations(node)]
        for rule in rules:
            if rule not in told:
                told.add(rule)
                yield _row(f"`{rule[0]}`", rule[1])


def _validations(node: Schema) -> list[dict[str, str]]:
    found: list[dict[str, str]] = node.get("x-kubernetes-validations", [])
    return found


def _values(node: Schema) -> Iterator[Schema]:
    """Give a value's schema and those of the values in it."""
    yield node
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from _values(node[key])


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |\n"


def _escaped(cell: str) -> str:
    """Keep a cell from being read as markup: `|` ends it, and `<` outside of code begins a tag."""
    parts = cell.replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def _type(node: Schema, many: str = "") -> str:
    if node.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "items" in node:
        return f"list{many} of {_type(node['items'], 's')}"
    if "additionalProperties" in node:
        return f"map{many} of {_type(node['additionalProperties'], 's')}"
    return f"{node['type']}{many}"


def _bounds(node: Schema, grammars: Mapping[str, str]) -> Iterator[str]:
    """Say a value's bounds in words; `grammars` are the patterns that have some."""
    if node.get("x-kubernetes-int-or-string"):
        number, text = _span(node, "minimum", "maximum"), _span(node, "minLength", "maxLength")
        yield f"{number}, or {text} characters"
        return
    yield from _size(node)
    if "format" in node:
        yield _FORMATS[node["format"]]
    if "pattern" in node:
        yield grammars[node["pattern"]]
    for part in (node.get("items"), node.get("additionalProperties")):
        each = ", ".join(_bounds(part, grammars)) if part and "properties" not in part else ""
        if each:
            yield f"each {each}"


def _size(node: Schema) -> Iterator[str]:
    if "enum" in node:
        yield "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    least, most, what = _SPANS.get(node["type"], ("", "", ""))
    if span := _span(node, least, most):
        yield span + what
    if node.get("x-kubernetes-list-type") == "map":
        yield f"unique by `{node['x-kubernetes-list-map-keys'][0]}`"
    if node.get("x-kubernetes-list-type") == "set":
        yield "no item twice"


def _span(node: Schema, least: str, most: str) -> str:
    low, high = node.get(least), node.get(most)
    if high is None:
        return "" if low is None else f"at least {low}"
    if low is None:
        return f"at most {high}"
    return str(low) if low == high else f"{low} to {high}"


def _grammars(info: FieldInfo) -> dict[str, str]:
    """Find what the patterns of a field mean: `is not a DNS label` is said of whatever is none."""
    return {
        f"^({grammar.pattern})$": grammar.problem.replace("is not ", "", 1).replace("has ", "no ", 1)
        for grammar in _metadata((*info.metadata, info.annotation))
    }


def _metadata(parts: Iterable[Any]) -> Iterator[Grammar]:
    for part in parts:
        if isinstance(part, Grammar):
            yield part
        else:
            yield from _metadata(typing.get_args(part))


def _model_at(kind: str, path: str) -> type[Model]:
    """Find the model of a path such as `spec.stages[].reaches[]`."""
    root, *steps = path.split(".")
    model: type[Model] | None = getattr(MODELS[kind], root) if kind in MODELS and root in {"spec", "status"} else None
    for step in steps:
        by_api = {api_name(name): info for name, info in model.model_fields.items()} if model else {}
        info = by_api.get(step.removesuffix("[]"))
        model = _model_in(info.annotation) if info else None
    if model is None:
        raise ValueError(f"{kind} has no object {path}")
    return model


def _model_in(annotation: Any) -> type[Model] | None:
    """Find the model that a field's type holds, in a list or alone."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
