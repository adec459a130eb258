"""What a role may do, as sets that can be compared: is something lost, is something gained, what do both allow.

The comparison is by the letter, never by what wildcards mean: a right that is written otherwise counts as lost and as
gained, so that nothing that shrinks passes for unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.iam.values import Document, Role
from pipesegment.facts.moments import moment
from pipesegment.reach.aws.values import NOW, UNTIL

#: How a denial says which VPC endpoints it spares.
_ELSEWHERE: Final = "StringNotEquals"
_ENDPOINTS: Final = "aws:SourceVpce"


@dataclass(frozen=True, slots=True)
class Rights:
    """`allowed` are (action, resource, the rest of the statement), `managed` ARNs.

    `denied` are whole statements, each with the VPC endpoints that it spares: one more of them denies less.
    """

    allowed: frozenset[tuple[str, str, str]] = frozenset()
    denied: frozenset[tuple[str, frozenset[str]]] = frozenset()
    managed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, role: Role, now: datetime | None = None) -> "Rights":
        """Read a role's; with `now`, less those whose time was over by then."""
        return cls.written(role.inline.values(), role.managed, now)

    @classmethod
    def written(
        cls, documents: Iterable[Document], managed: Iterable[str] = (), now: datetime | None = None
    ) -> "Rights":
        """Read what documents say, and which managed policies stand beside them."""
        said = (statement for document in documents for statement in statements(document))
        every = [statement for statement in said if now is None or not _is_over(statement, now)]
        allowed = frozenset(triple for s in every if s.get("Effect") != "Deny" for triple in _triples(s))
        denied = frozenset(_denial(s) for s in every if s.get("Effect") == "Deny")
        return cls(allowed, denied, frozenset(managed))

    def loses(self, new: "Rights") -> bool:
        """Tell whether something that these allow is not allowed by the new ones."""
        denies = all(any(t == text and spared <= more for t, spared in self.denied) for text, more in new.denied)
        return not (self.allowed <= new.allowed and self.managed <= new.managed and denies)


def statements(document: Document) -> list[Mapping[str, Any]]:
    """Give the statements of a document, which may be written as a single one."""
    found = document.get("Statement") or []
    return [found] if isinstance(found, Mapping) else list(found)


def _is_over(statement: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether a statement allowed something until a moment that is over: it allows nothing any more."""
    ends = ((statement.get("Condition") or {}).get(UNTIL) or {}).get(NOW)
    times = [moment(each) for each in _listed(ends)] if ends and statement.get("Effect") == "Allow" else []
    # Of several values any one is enough.
    return bool(times) and all(time is not None and time <= now for time in times)


def common(live: Document, desired: Document) -> Document | None:
    """Give the statements of a live document that the desired one allows whole, with all that it denies; None: nothing."""
    wanted = Rights.written([desired]).allowed
    kept = [s for s in statements(live) if s.get("Effect") == "Allow" and set(_triples(s)) <= wanted]
    if not kept:
        return None
    denials = [s for s in statements(desired) if s.get("Effect") == "Deny"]
    return {"Version": desired["Version"], "Statement": [*kept, *denials]}


def narrowed(live: Role, desired: Role) -> Role:
    """Give what a role of a segment that is held back should be: what old and new both allow, and nothing new."""
    inline = {}
    for name, before in live.inline.items():
        wanted = desired.inline.get(name)
        if wanted is None:
            continue
        loses = Rights.written([before]).loses(Rights.written([wanted]))
        both = common(before, wanted) if loses else before
        if both is not None:
            inline[name] = both
    managed = tuple(sorted(set(live.managed) & set(desired.managed)))
    return replace(live, inline=inline, managed=managed, boundary=live.boundary or desired.boundary)


def _denial(statement: Mapping[str, Any]) -> tuple[str, frozenset[str]]:
    """Part a denial from the endpoints that it spares, where it says 'came through none of these'."""
    condition = statement.get("Condition") or {}
    elsewhere = condition.get(_ELSEWHERE) or {}
    if _ENDPOINTS not in elsewhere:
        return _text(statement), frozenset()
    rest = {**condition, _ELSEWHERE: {**elsewhere, _ENDPOINTS: []}}
    return _text({**statement, "Condition": rest}), frozenset(_listed(elsewhere[_ENDPOINTS]))


def _triples(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    rest = _text({k: _unordered(v) for k, v in statement.items() if k not in {"Action", "Resource", "Sid"}})
    for action in _listed(statement.get("Action", "")):
        for resource in _listed(statement.get("Resource", "")):
            yield action, resource, rest


def _unordered(value: Any) -> Any:
    """Give a condition's values in one order: in IAM they have none."""
    if isinstance(value, Mapping):
        return {key: _unordered(item) for key, item in value.items()}
    return sorted(map(str, value)) if isinstance(value, list) else value


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value]


def _text(value: Any) -> str:
    return canonical_bytes(value).decode()
