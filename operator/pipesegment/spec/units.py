"""The small units of the API: names, labels, addresses, durations. Each knows its grammar and how to mend a breach."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainValidator, Strict, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from pipesegment.spec.base import Offence, Rule, Unique, refusal


class Grammar:
    """Metadata of a string: a pattern (without anchors), and what to say when the text does not match."""

    def __init__(self, pattern: str, problem: str, fix: str) -> None:
        self.pattern = pattern
        self.problem = problem
        self.fix = fix
        self._compiled = re.compile(pattern, re.ASCII)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check after type and length."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the anchored pattern."""
        return {**handler(schema), "pattern": f"^({self.pattern})$"}

    def _check(self, text: str) -> str:
        if not self._compiled.fullmatch(text):
            raise refusal(self.problem, self.fix)
        return text


def text(most: int, least: int = 0) -> Any:
    """Bound a string's length in characters."""
    return Field(min_length=least or None, max_length=most)


def size(most: int, least: int = 0) -> Any:
    """Bound the number of items of a list or a map."""
    return Field(min_length=least or None, max_length=most)


def between(least: int, most: int) -> Any:
    """Bound a whole number, both ends included."""
    return Field(ge=least, le=most)


LABEL_PATTERN: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_PROBLEM: Final = "is not a DNS label"
LABEL_FIX: Final = "use lower-case letters, digits and '-' inside, no dots"
_VALUE: Final = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_SUBDOMAIN: Final = rf"{LABEL_PATTERN}(\.{LABEL_PATTERN})*"
_QUALIFIED: Final = rf"(({_SUBDOMAIN})/)?{_VALUE}"

Bool = Annotated[bool, Strict()]
Int = Annotated[int, Strict()]

Text = Annotated[str, text(1024)]
#: A name from elsewhere, such as a group's.
Word = Annotated[
    str,
    text(253, 1),
    Grammar(r"[^\x00-\x1f\x7f]+", "has control characters", "write it as one line of plain text"),
]

Label = Annotated[
    str,
    text(63, 1),
    Grammar(LABEL_PATTERN, LABEL_PROBLEM, LABEL_FIX),
]
Subdomain = Annotated[
    str,
    text(253, 1),
    Grammar(
        _SUBDOMAIN, "is not a DNS name", "use lower-case letters, digits, '-' and '.', a letter or digit at both ends"
    ),
]
#: RBAC allows more in the names of roles than in those of other objects.
RoleName = Annotated[
    str,
    text(253, 1),
    Grammar("[A-Za-z0-9:._-]+", "is not the name of a role", "use letters, digits, ':', '.', '_', '-'"),
]
LabelKey = Annotated[
    str,
    text(317, 1),
    Grammar(
        _QUALIFIED,
        "is not a label key",
        "write it as `name` or `prefix.example.com/name`, letters, digits, '-', '_', '.'",
    ),
    Rule(
        cel="",  # keys of maps have no schema at the API server
        problem="has a prefix of more than 253 characters",
        fix="shorten what stands before the '/'",
        offences=lambda key: [((), key)] if key.rpartition("/")[0][253:] else [],
    ),
]
LabelValue = Annotated[
    str,
    text(63),
    Grammar(
        f"({_VALUE})?", "is not a label value", "use letters, digits, '-', '_', '.', a letter or digit at both ends"
    ),
]
#: A label value that must say something, such as the name of a queue.
LabelText = Annotated[LabelValue, Field(min_length=1)]

Labels = Annotated[dict[LabelKey, LabelValue], size(32)]
Annotations = Annotated[dict[LabelKey, Annotated[str, text(4096)]], size(32)]

HostName = Annotated[
    str,
    text(253, 1),
    Grammar(
        rf"(\*\.)?({LABEL_PATTERN}\.)+[a-z]([-a-z0-9]*[a-z0-9])?",
        "is not a host name",
        "write it in full and in lower case as `git.example.com`, or `*.example.com` for every name below it",
    ),
]
URL = Annotated[
    str,
    text(512, 1),
    Grammar("https://[!-~]+", "is not an https address", "write it as `https://host/path`"),
]
Duration = Annotated[
    str,
    text(16, 1),
    Grammar("([1-9][0-9]*[smhd])+", "is not a duration", "write it as `30m`, `4h` or `7d`"),
]
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
#: Longer ones end in a year that no calendar has; nothing that lasts a century is a while.
_MOST_SECONDS: Final = 100 * 366 * 86_400


def seconds(duration: str) -> int:
    """Count the seconds of a Duration; at most a century."""
    parts = re.findall("([0-9]+)([smhd])", duration)
    return min(sum(int(number) * _SECONDS[unit] for number, unit in parts), _MOST_SECONDS)


Timestamp = Annotated[
    str,
    text(32, 1),
    Grammar(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?",
        "is not a date",
        "write it as `2030-01-31` or `2030-01-31T12:00:00Z`",
    ),
]
#: Of exactly one thing: IAM reads `*` and `?` in the ARNs of conditions and principals as any text.
ARN = Annotated[
    str,
    text(2048, 1),
    Grammar(
        "arn:[-a-z]+:[-a-z0-9]+:[-a-z0-9]*:[0-9a-z]*:[!-)+->@-~]+",
        "is not the ARN of one thing",
        "write it in full, without '*' and '?', as `arn:aws:iam::111122223333:role/name`",
    ),
]


# A block is asked about by every rule on it, and by every exception inside it.
@lru_cache(maxsize=65536)
def network(block: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Read a CIDR block, host bits or not. Raises ValueError where Go's netip.ParsePrefix would refuse it."""
    if not re.search(r"/(0|[1-9][0-9]{0,2})\Z", block) or "%" in block:
        raise ValueError(block)
    found = ipaddress.ip_network(block, strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.network_address.ipv4_mapped is not None:
        raise ValueError(block)
    return found


def _block(text: str) -> str:
    try:
        network(text)
    except ValueError:
        raise refusal("is not a CIDR block", _as_block(text)) from None
    return text


def _as_block(text: str) -> str:
    """Say how to write what is no block; an address is most likely meant alone."""
    try:
        address = ipaddress.ip_address("" if "%" in text else text)
        alone = f"{address}/{address.max_prefixlen}"
        network(alone)
    except ValueError:
        return "write it as `10.0.0.0/8` or `2001:db8::/32`"
    return f"write it as `{alone}` for this address alone, or with the prefix length of its block"


def _host_bits(text: str) -> Iterable[Offence]:
    if ipaddress.ip_interface(text).ip != network(text).network_address:
        yield (), text


class _Block:
    """Metadata of a string that is a CIDR block; the API server knows the format by itself."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check after type and length."""
        return core_schema.no_info_after_validator_function(_block, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the format."""
        return {**handler(schema), "format": "cidr"}


HOST_BITS: Final = Rule(
    cel="[cidr(self)].all(block, block.masked() == block)",
    problem="has bits set behind its prefix length",
    fix="write the first address of the block, or a longer prefix",
    offences=_host_bits,
)
#: A block of addresses, IPv4 or IPv6, its host bits zero.
Cidr = Annotated[str, text(43, 1), _Block(), HOST_BITS]
Cidrs = Annotated[tuple[Cidr, ...], size(64), Unique()]
#: Blocks that a CidrBlock leaves out: it has the API server look at all of them in one rule, for a rule for each of 64 in 64 entries of 64
#: stages costs more than Kubernetes 1.31 allows.
Excepts = Annotated[tuple[Annotated[str, text(43, 1), _Block(), replace(HOST_BITS, cel="")], ...], size(64), Unique()]

#: A service account's name; never the one that every other pod has.
AccountName = Annotated[
    Subdomain,
    Rule(
        cel="self != 'default'",
        problem="is the account of every pod that names none",
        fix="give the stage an account of its own, or leave the name out for <segment>-<stage>",
        offences=lambda name: [((), name)] if name == "default" else [],
    ),
]

#: IANA service name: groups between single hyphens, at least one letter.
_PORT_NAME: Final = "([0-9]+-)*[0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
_PORT: Final = "is not a port"
_PORT_FIX: Final = (
    "use a number from 1 to 65535, or a port's name: at most 15 lower-case letters, digits, single hyphens"
)


def _port(value: Any) -> int | str:
    if isinstance(value, str) and value.isdecimal():
        raise refusal("is a number in quotes", "write the number without quotes")
    if isinstance(value, str) and len(value) <= 15 and re.fullmatch(_PORT_NAME, value, re.ASCII):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535:
        return value
    raise refusal(_PORT, _PORT_FIX)


_INT_OR_STRING: Final = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}

PortNumber = Annotated[int, Strict(), between(1, 65535)]
#: A port's number, or the name that the pods (or the Service) give it.
PortValue = Annotated[
    int | str,
    PlainValidator(_port),
    WithJsonSchema(
        _INT_OR_STRING
        | {"minimum": 1, "maximum": 65535, "minLength": 1, "maxLength": 15}
        | {"pattern": f"^{_PORT_NAME}$"}
    ),
]


def _digits(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18:
        return str(value)
    if isinstance(value, str) and re.fullmatch("[1-9][0-9]{0,17}", value, re.ASCII):
        return value
    raise refusal("is not a numeric id", "give the number that the engine shows, not a name or path")


#: An id that an engine puts on its pods as a label: digits, quoted or not. Always a string in the model.
NumericID = Annotated[
    str,
    PlainValidator(_digits),
    WithJsonSchema(_INT_OR_STRING | {"minimum": 1, "minLength": 1, "maxLength": 18, "pattern": "^[1-9][0-9]*$"}),
]
