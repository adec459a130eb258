"""Validation errors in the users' words: every pydantic error becomes a Refusal with path, problem, value and fix."""

import difflib
import re
import typing
from collections.abc import Iterable
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipesegment.findings import Refusal
from pipesegment.spec.base import REFUSED, Model, api_name, shown

_PLAIN_STEP: Final = re.compile(r"[A-Za-z0-9_./-]{1,64}", re.ASCII)
_KEY: Final = "[key]"

#: Error types whose words depend on nothing but the type: (problem, fix).
_FIXED: Final = {
    "string_type": ("must be text, not", "put the value in quotes"),
    "int_type": ("must be a whole number, not", "write digits only, without quotes"),
    "bool_type": ("must be true or false, not", "write true or false, without quotes"),
    "dict_type": ("must be an object, not", "write its fields as `name: value`"),
    "model_type": ("must be an object, not", "write its fields as `name: value`"),
    "model_attributes_type": ("must be an object, not", "write its fields as `name: value`"),
    "tuple_type": ("must be a list, not", "write each item after `- `"),
}


def refusals(error: ValidationError, root: type[Model], prefix: str, name: str) -> tuple[Refusal, ...]:
    """Translate a validation error of `root`, whose place in the document is `prefix` (`spec`); `name` is the object.

    Unknown fields come first: what else is wrong may only follow from a field that is misspelt, as one that is missing does.
    """
    found: list[Refusal] = []
    for detail in sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden"):
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # pydantic counts the items that are right; the wrong ones have been told
        place = tuple(step for step in detail["loc"] if step != _KEY)
        problem, value, fix = _words(detail, root, place)
        # A key that is wrong has no place of its own: its map has.
        where = place[:-1] if _KEY in detail["loc"] else place
        found.append(Refusal(path(prefix, where), problem, value, fix, object=name))
    return tuple(found)


def path(prefix: str, place: Iterable[str | int]) -> str:
    """Write a place as in `spec.stages[0].ports[0].endPort`; steps that are not names are quoted and cut."""
    text = prefix
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_STEP.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{step.encode('unicode_escape').decode('ascii')[:64]!r}]"
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def unknown_field(name: str, known: Iterable[str]) -> tuple[str, str, str]:
    """Give problem, value and fix for a field that does not exist."""
    names = sorted(known)
    meant = nearest(name, names)
    if meant:
        return "unknown field", name, f"did you mean {meant}?"
    return "unknown field", name, f"remove it; known here: {', '.join(names)}" if names else "remove it"


def _words(detail: ErrorDetails, root: type[Model], place: tuple[str | int, ...]) -> tuple[str, str, str]:
    kind = detail["type"]
    context = detail.get("ctx", {})
    value = detail["input"]
    if kind == REFUSED:
        return context["problem"], shown(value), context["fix"]
    if kind == "missing":
        return "missing required field", str(place[-1]), "add it"
    if kind == "extra_forbidden":
        return unknown_field(str(place[-1]), _fields(root, place[:-1]))
    if kind in _FIXED:
        problem, fix = _FIXED[kind]
        return problem, shown(value), fix
    if kind == "literal_error":
        return _choice(value, context["expected"])
    return _bounds(kind, context, value) or (detail["msg"], shown(value), "see the description of the field")


def _choice(value: Any, expected: str) -> tuple[str, str, str]:
    known = re.findall(r"'([^']*)'", expected)
    meant = nearest(value, known) if isinstance(value, str) else None
    hint = f"did you mean {meant}? " if meant else ""
    return "is not one of the known values", shown(value), f"{hint}use {_or(known)}"


def _or(words: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _bounds(kind: str, context: dict[str, Any], value: Any) -> tuple[str, str, str] | None:
    match kind:
        case "string_too_long":
            most = context["max_length"]
            return f"is longer than {most} characters", shown(value), f"use at most {most}"
        case "string_too_short":
            least = context["min_length"]
            problem = "is empty" if value == "" else f"is shorter than {least} characters"
            return problem, shown(value), f"give at least {_count(least, 'character')}"
        case "too_long":
            most = context["max_length"]
            return f"has more than {most} items", f"{len(value)} items", f"keep at most {most}"
        case "too_short":
            least = context["min_length"]
            return "is empty", shown(value), f"give at least {_count(least, 'item')}"
        case "greater_than_equal":
            return f"is below {context['ge']}", shown(value), f"use a number of at least {context['ge']}"
        case "less_than_equal":
            return f"is above {context['le']}", shown(value), f"use a number of at most {context['le']}"
        case _:
            return None


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _fields(root: type[Model], place: tuple[str | int, ...]) -> Iterable[str]:
    model: type[Model] | None = root
    for step in place:
        if isinstance(step, int) or model is None:
            continue
        by_api = {api_name(name): info for name, info in model.model_fields.items()}
        model = _model_in(by_api[step].annotation) if step in by_api else None
    return [api_name(name) for name in model.model_fields] if model else []


def _model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    for part in typing.get_args(annotation):
        found = _model_in(part)
        if found:
            return found
    return None
