"""What an exception shall open and give: a file, or the few targets that have a flag."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pipesegment.cli.inputs import text_of
from pipesegment.errors import Refused, Usage
from pipesegment.findings import Refusal
from pipesegment.spec import yamlfile

#: What a file may say, as an exception's spec says it.
_PARTS: Final = frozenset({"reaches", "aws"})


def wanted(
    file: str | None, cidrs: Sequence[str], fqdns: Sequence[str], services: Sequence[str], ports: Sequence[str]
) -> dict[str, Any]:
    """Give `reaches` and `aws` of a spec; whether they are right the model tells."""
    given = _from_file(file) if file is not None else {}
    flagged = list(_from_flags(cidrs, fqdns, services, ports))
    own = given.get("reaches")
    if flagged and (own is None or isinstance(own, list)):
        given = {**given, "reaches": [*(own or ()), *flagged]}
    if not given:
        raise Usage("what shall be reached: give -f, --cidr, --fqdn or --service")
    return given


def _from_file(file: str) -> dict[str, Any]:
    name = "stdin" if file == "-" else file
    found = [value for _, value in yamlfile.read(text_of(file), name) if value is not None]
    given = found[0] if len(found) == 1 else None
    if isinstance(given, list):
        return {"reaches": given} if given else {}
    if isinstance(given, dict) and given and given.keys() <= _PARTS:
        return given
    if len(found) > 1:
        problem, value = "holds more than one document:", str(len(found))
    else:
        problem, value = "is no list of what to reach", type(given).__name__
    fix = "write it as in reaches, or as a mapping with reaches, aws or both"
    raise Refused([Refusal(name, problem, value, fix)])


def _from_flags(
    cidrs: Sequence[str], fqdns: Sequence[str], services: Sequence[str], ports: Sequence[str]
) -> Iterator[dict[str, Any]]:
    if ports and not (cidrs or fqdns or services):
        raise Usage("--port: goes with --cidr, --fqdn or --service")
    if cidrs and not ports:
        raise Usage("--cidr: needs --port")
    open_at = {"ports": [_port(port) for port in ports]} if ports else {}
    for block in cidrs:
        yield {"cidr": {"block": block}, **open_at}
    if fqdns:
        yield {"fqdn": {"names": list(fqdns)}, **open_at}
    for service in services:
        name, _, namespace = service.partition(".")
        yield {"service": {"name": name, **({"namespace": namespace} if namespace else {})}, **open_at}


def _port(given: str) -> dict[str, Any]:
    port, _, protocol = given.partition("/")
    if port.upper() in {"TCP", "UDP", "SCTP"}:
        port, protocol = protocol, port
    if not port or protocol.upper() not in {"", "TCP", "UDP", "SCTP"}:
        raise Usage(f"--port: is no port: '{given}': write it as 443 or 53/UDP")
    return {"port": int(port) if port.isdecimal() else port, **({"protocol": protocol.upper()} if protocol else {})}
