"""What an exception shall open: a list in a file, or the few targets that have a flag."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipesegment.errors import Refused, Usage
from pipesegment.findings import Refusal


def reaches(
    file: str | None, cidrs: Sequence[str], fqdns: Sequence[str], services: Sequence[str], ports: Sequence[str]
) -> list[Any]:
    """Give `spec.reaches`; whether it is right the model tells."""
    found = [*(_from_file(file) if file is not None else ()), *_from_flags(cidrs, fqdns, services, ports)]
    if not found:
        raise Usage("what shall be reached: give -f, --cidr, --fqdn or --service")
    return found


def _from_file(file: str) -> list[Any]:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused([Refusal(file, "is no YAML", str(error).partition("\n")[0], "correct it")]) from error
    if isinstance(given, dict) and set(given) == {"reaches"}:
        given = given["reaches"]
    if not isinstance(given, list):
        raise Refused([Refusal(file, "is no list of what to reach", type(given).__name__, "write it as in reaches")])
    return given


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
