"""What a value has to be, said once in words and as a test; and what is wrong with one that is not."""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final, NamedTuple

from pipesegment.findings import Refusal
from pipesegment.spec.base import shown
from pipesegment.spec.phrases import path


class Leaf(NamedTuple):
    """A single value; the test may raise ValueError."""

    what: str
    holds: Callable[[Any], bool]


class Must(NamedTuple):
    """A field that has to be there."""

    shape: Any


#: A value, the fields of an object that are read, or the one shape of all items of a list.
Shape = Leaf | Mapping[str, Any] | list[Any]

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_LARGEST_PORT: Final = 65535


def faults(value: Any, shape: Shape, place: tuple[str | int, ...] = ()) -> Iterator[Refusal]:
    """Find everything that is not as its shape says; a null counts as absent, as in the API."""
    if isinstance(shape, Leaf):
        if not holds(shape, value):
            yield _fault(place, f"is not {shape.what}:", shown(value))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield _fault(place, "is not a list:", shown(value))
            return
        for index, item in enumerate(value):
            yield from faults(item, shape[0], (*place, index))
    elif not isinstance(value, Mapping):
        yield _fault(place, "is not an object:", shown(value))
    else:
        for field, inner in shape.items():
            found = value.get(field)
            if found is not None:
                yield from faults(found, inner.shape if isinstance(inner, Must) else inner, (*place, field))
            elif isinstance(inner, Must):
                yield _fault((*place, field), "missing required field", field)


def holds(leaf: Leaf, value: Any) -> bool:
    """Tell whether a single value is what it has to be."""
    try:
        return leaf.holds(value)
    except ValueError:
        return False


def one_of(*values: str) -> Leaf:
    """Allow a few words."""
    return Leaf(f"one of {', '.join(values)}", lambda value: value in values)


def is_text(value: Any) -> bool:
    """Tell whether it is text."""
    return isinstance(value, str)


def is_address(value: Any) -> bool:
    """Tell whether it is an address; a zone is one host's own name for a link, and no cluster knows any."""
    return isinstance(value, str) and "%" not in value and ip_address(value) is not None


def is_block(value: Any) -> bool:
    """Tell whether it is a block of addresses, or one of them, host bits or not."""
    return isinstance(value, str) and "%" not in value and ip_network(value, strict=False) is not None


def is_whole(value: Any) -> bool:
    """Tell whether it is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_port(value: Any) -> bool:
    """Tell whether it is the number of a port."""
    return is_whole(value) and 0 < value <= _LARGEST_PORT


TEXT: Final = Leaf("text", is_text)
NAME: Final = Leaf("a name", lambda value: isinstance(value, str) and value != "")
FLAG: Final = Leaf("true or false", lambda value: isinstance(value, bool))
WHOLE: Final = Leaf("a whole number", is_whole)
TEXTS: Final = Leaf("an object of texts", lambda value: isinstance(value, dict) and all(map(_is_pair, value.items())))
MOMENT: Final = Leaf("a time", lambda value: isinstance(value, str) and _TIME.match(value) is not None)
PORT: Final = Leaf("a port", is_port)
PORT_OR_NAME: Final = Leaf("a port or the name of one", lambda value: is_text(value) or _is_port_or_zero(value))
PROTOCOL: Final = one_of("TCP", "UDP", "SCTP")
ADDRESS: Final = Leaf("an address", is_address)
BLOCK: Final = Leaf("a block of addresses", is_block)
#: A block without host bits.
RANGE: Final = Leaf("a block of addresses", lambda value: is_block(value) and ip_network(value) is not None)
#: Services and pods may say that they have none.
ADDRESS_OR_NONE: Final = Leaf("an address", lambda value: value in ("", "None") or is_address(value))


def _is_port_or_zero(value: Any) -> bool:
    return is_whole(value) and 0 <= value <= _LARGEST_PORT


def _is_pair(pair: tuple[Any, Any]) -> bool:
    return all(map(is_text, pair))


def _fault(place: tuple[str | int, ...], problem: str, value: str) -> Refusal:
    return Refusal(path("", place), problem, value, "give it as `kubectl get -o yaml` prints it")
