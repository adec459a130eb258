"""The ground under every model: strictness, the API's field names, and rules that are said once.

A Rule carries the CEL expression for the CRD and the check for the model, with one message for both, so that the API
server and the command line refuse the same thing in the same words.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from pipesegment.spec.naming import Naming

#: Where inside the judged value, and what stands there.
Offence = tuple[tuple[str | int, ...], Any]

#: The pydantic error type under which our own refusals travel.
REFUSED: Final = "refused"

_ACRONYMS: Final = {"api": "API", "arn": "ARN", "arns": "ARNs", "cidrs": "CIDRs", "id": "ID", "ids": "IDs"} | {
    "imds": "IMDS",
    "vpc": "VPC",
}


def api_name(name: str) -> str:
    """Write an attribute's name as the API does: `kubernetes_api` → `kubernetesAPI`; a trailing `_` is dropped."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule between fields: `cel` for the API server, `offences` for the model, one message for both.

    `field` is the CEL fieldPath (`.endPort`), empty for the object itself. `offences` gives every place that breaks the
    rule; its places may be finer than CEL can say. Models list their rules in `rules`; a rule over one plain value is
    put into its `Annotated`. An empty `cel` leaves the rule to the model: its cost would not fit the API server's budget.
    `naming` has the API server name what it does not show by itself.
    """

    cel: str
    problem: str
    fix: str
    offences: Callable[[Any], Iterable[Offence]]
    field: str = ""
    naming: Naming | None = None

    @property
    def message(self) -> str:
        """Give what the API server says where it names nothing."""
        return f"{self.problem}: {self.fix}"

    @property
    def validation(self) -> dict[str, str]:
        """Give the item of `x-kubernetes-validations`."""
        found = {"rule": self.cel, "message": self.message}
        if self.naming:
            found["messageExpression"] = self.naming.message(self.problem, self.fix)
        return {**found, "fieldPath": self.field} if self.field else found

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check one plain value, after its type and bounds."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule to the value's schema."""
        found = handler(schema)
        if not self.cel:
            return found
        return {**found, "x-kubernetes-validations": [*found.get("x-kubernetes-validations", ()), self.validation]}

    def _check(self, value: Any) -> Any:
        broken = [(self.problem, self.fix, *offence) for offence in self.offences(value)]
        if broken:
            raise refusing(broken)
        return value


class Model(BaseModel):
    """A value of the API: frozen, unknown fields refused, attributes in snake_case and the API's names as aliases."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=api_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _obey(self) -> Self:
        broken = [(rule, offence) for rule in self.rules for offence in rule.offences(self)]
        if broken:
            raise refusing([(rule.problem, rule.fix, *offence) for rule, offence in broken])
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rules to the schema."""
        found = handler.resolve_ref_schema(handler(schema))
        if cls.rules:
            found["x-kubernetes-validations"] = [rule.validation for rule in cls.rules if rule.cel]
        return found

    def has(self, name: str) -> bool:
        """Tell whether the field was given (CEL's `has`): null counts as absent, as the API server prunes it."""
        return name in self.model_fields_set and getattr(self, name) is not None

    def wire(self) -> dict[str, Any]:
        """Give the value back in the API's shape, only what was given."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)


class Empty(Model):
    """A choice that carries nothing: `{}`."""


class Unique:
    """Metadata of a list: no two items with the same `key` (the items themselves without one).

    The CRD gets a list map or a set; for objects without a key only the model can tell.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check after the items themselves are known to be right."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say it in Kubernetes' words."""
        found = handler(schema)
        found["x-kubernetes-list-type"] = "map" if self.key else "set"
        if self.key:
            found["x-kubernetes-list-map-keys"] = [self.key]
        return found

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        seen: set[Any] = set()
        twice: list[tuple[str, str, tuple[str | int, ...], Any]] = []
        for index, item in enumerate(items):
            value = getattr(item, self.key) if self.key else item
            if value in seen:
                place = (index, self.key) if self.key else (index,)
                twice.append(("is given twice", "rename one of them" if self.key else "keep one of them", place, value))
            seen.add(value)
        if twice:
            raise refusing(twice)
        return items


def refusing(broken: Iterable[tuple[str, str, tuple[str | int, ...], Any]]) -> ValidationError:
    """Build the error that a validator raises, from (problem, fix, place, value); places survive in `loc`."""
    return ValidationError.from_exception_data(
        "refused",
        [InitErrorDetails(type=refusal(problem, fix), loc=place, input=value) for problem, fix, place, value in broken],
    )


def refusal(problem: str, fix: str) -> PydanticCustomError:
    """Build one error of ours, for a validator that judges a single value."""
    return PydanticCustomError(REFUSED, "{problem}: {fix}", {"problem": problem, "fix": fix})


def without_nulls(value: Any) -> Any:
    """Drop fields that are null, as the API server does before it judges: nothing of ours is nullable."""
    if isinstance(value, Mapping):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def shown(value: Any) -> str:
    """Render a user's value for a message: text as it is, everything else as compact JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Model):
        value = value.wire()
    return json.dumps(value, separators=(",", ":"), default=_plain)


def unless(
    holds: Callable[[Any], bool], *place: str, value: Callable[[Any], Any] | None = None
) -> Callable[[Any], Iterable[Offence]]:
    """Make `offences` of a predicate: one offence at `place` when it does not hold.

    What is shown is `value(model)`, by default what stands at `place`, or the object itself.
    """

    def offences(model: Model) -> Iterable[Offence]:
        if not holds(model):
            yield place, value(model) if value else _at(model, place)

    return offences


def exactly_one(what: str, names: Iterable[str], none: str, several: str) -> tuple[Rule, Rule]:
    """Make the two rules of a choice between optional fields; `none` and `several` are the fixes."""
    attributes = {name: api_name(name) for name in names}
    present = [f"has(self.{api})" for api in attributes.values()]

    def given(model: Model) -> list[str]:
        return [api for name, api in attributes.items() if model.has(name)]

    return (
        Rule(
            cel=" || ".join(present),
            problem=f"names no {what}",
            fix=none,
            offences=unless(lambda m: len(given(m)) > 0),
        ),
        Rule(
            cel=f"[{', '.join(present)}].filter(x, x).size() <= 1",
            problem=f"names more than one {what}",
            fix=several,
            offences=unless(lambda m: len(given(m)) <= 1, value=lambda m: ", ".join(given(m))),
        ),
    )


def _at(model: Model, place: tuple[str, ...]) -> Any:
    found: Any = model.wire()
    for step in place:
        found = found.get(step, "") if isinstance(found, dict) else ""
    return found


def _plain(value: Any) -> Any:
    return value.wire() if isinstance(value, Model) else str(value)
