"""Settings of the operator: flags win over the environment, the environment over the defaults.

The only module that reads the environment. Every field says in its metadata what it is for; `pipesegment run --help` and
the docs print exactly that.
"""

import os
import re
import socket
import uuid
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from pipesegment.errors import Usage
from pipesegment.names import ADMISSION

PREFIX: Final = "PIPESEGMENT_"
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS: Final = ("json", "text")
BACKENDS: Final = ("ACK", "Crossplane")

_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_WITH_PORT: Final = re.compile(r"(?P<host>\[[^]]+\]|[^:]+):(?P<port>[0-9]{1,5})")
_DNS_PORT: Final = 53
_LAST_PORT: Final = 65535
_TYPES: Final[Mapping[Any, Any]] = {str: str, int: int, float: float}


def setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Any:
    """Declare one setting: its default, what it is for, its bounds or choices, further environment names for it."""
    metadata = {"help": text, "low": low, "high": high, "choices": choices, "also": also}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _namespace() -> str:
    try:
        return _OWN_NAMESPACE.read_text(encoding="utf-8").strip() or "pipesegment-system"
    except OSError:
        return "pipesegment-system"


def _identity() -> str:
    # Two processes of one name would both take the lease for their own, hence the random part.
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured about a running operator. Times are seconds."""

    namespace: str = setting(_namespace, "The operator's own namespace, where its Lease lives.")
    identity: str = setting(_identity, "This process in the Lease; unique for each start.")
    kubeconfig: str = setting("", "A kubeconfig; absent: the pod's own account.", also=("KUBECONFIG",))
    context: str = setting("", "The kubeconfig's context; absent: its current one.")

    workers: int = setting(16, "Segments that are reconciled at once.", low=1, high=256)
    coalesce: float = setting(0.02, "How long changes of one segment are gathered before it is due.", low=0, high=5)
    backoff_max: float = setting(300.0, "The longest pause before a failing segment is tried again.", low=1, high=3600)
    resync_min: float = setting(1800.0, "A segment without changes is looked at again after this…", low=10, high=86400)
    resync_max: float = setting(3600.0, "…to this, spread over the segments.", low=10, high=86400)
    reconcile_timeout: float = setting(120.0, "One look at one segment is given up after this.", low=1, high=3600)
    drain_timeout: float = setting(20.0, "How long a stopping operator finishes what it began.", low=0, high=600)

    lease_name: str = setting("pipesegment", "The Lease by which replicas elect their leader.")
    lease_duration: float = setting(15.0, "Others take over a Lease unchanged for this long.", low=1, high=600)
    lease_renew: float = setting(10.0, "A leader that could not renew for this long ends itself.", low=0.5, high=600)
    lease_retry: float = setting(2.0, "The pause between two attempts to take or renew the Lease.", low=0.05, high=60)
    lease_timeout: float = setting(3.0, "An answer about the Lease that takes longer is none.", low=0.05, high=60)

    request_timeout: float = setting(30.0, "An answer of the API server that takes longer is none.", low=1, high=600)
    page_size: int = setting(500, "Objects in one page of a list.", low=1, high=10_000)
    writes_in_flight: int = setting(32, "Writes that are under way at once.", low=1, high=1024)
    watch_seconds: float = setting(300.0, "A watch is renewed after about this long.", low=5, high=3600)
    watch_silence: float = setting(120.0, "A watch without any sign of life for this long is dead.", low=1, high=3600)
    segment_refresh: float = setting(
        600.0, "How often the list of segments is compared as a whole.", low=10, high=86400
    )

    resolvers: str = setting(
        "",
        "DNS servers that are asked for host names: addresses with commas between, each with :port where that is not 53; "
        "absent: those of /etc/resolv.conf.",
    )
    names_pause: float = setting(30.0, "A host name is asked for again no sooner than this.", low=1, high=300)
    names_kept: float = setting(
        900.0, "How long an address stays open with which a host name is answered no more.", low=1, high=86400
    )

    aws: str = setting("on", "off: nothing is made or read in AWS, whatever segments declare.", choices=("on", "off"))
    aws_backends: str = setting(
        "", "Controllers that may make roles where a class says so: ACK, Crossplane, or both with a comma between."
    )
    aws_region: str = setting(
        "",
        "The region to call where a class names none; absent: boto3's own.",
        also=("AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    aws_workers: int = setting(4, "Segments whose roles are looked at in AWS at once.", low=1, high=64)
    aws_resync: float = setting(1800.0, "Roles without changes are looked at again after this.", low=10, high=86400)

    admission_name: str = setting(
        ADMISSION, "What the names of the chart's admission policies begin with; no approval is believed without them."
    )

    admin_host: str = setting("", "The address of /healthz, /readyz and /metrics; absent: every one.")
    admin_port: int = setting(8080, "The port of /healthz, /readyz and /metrics; 0: any free one.", low=0, high=65535)
    log_level: str = setting("INFO", "The least severity that is logged.", choices=LOG_LEVELS)
    log_format: str = setting("json", "How log lines look.", choices=LOG_FORMATS)

    def __post_init__(self) -> None:
        wrong = [problem for item in fields(self) if (problem := _out_of_bounds(item, getattr(self, item.name)))]
        if self.resync_min > self.resync_max:
            wrong.append(_line("resync_min", "is above resync_max in", self.resync_min, f"at most {self.resync_max}"))
        if not self.lease_timeout + self.lease_retry < self.lease_renew:
            fix = f"more than lease_timeout + lease_retry = {self.lease_timeout + self.lease_retry}"
            wrong.append(_line("lease_renew", "leaves no time for a second attempt with", self.lease_renew, fix))
        if not self.lease_renew < self.lease_duration:
            fix = f"less than lease_duration = {self.lease_duration}"
            wrong.append(_line("lease_renew", "would let two leaders overlap with", self.lease_renew, fix))
        wrong += [
            _line("aws_backends", "names no controller that is known:", name, "use ACK and Crossplane")
            for name in self.backends
            if name not in BACKENDS
        ]
        wrong += [
            _line("resolvers", "holds no address of a DNS server:", text, "write it as 10.96.0.10 or 10.96.0.10:5353")
            for text in _listed(self.resolvers)
            if _server(text) is None
        ]
        if wrong:
            raise Usage("\n".join(wrong))

    @property
    def dns_servers(self) -> tuple[tuple[str, int], ...]:
        """The DNS servers that are given, each as (address, port)."""
        return tuple(filter(None, map(_server, _listed(self.resolvers))))

    @property
    def backends(self) -> tuple[str, ...]:
        """The controllers that may make roles."""
        return _listed(self.aws_backends)

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings. `flags` are by field name, None for those not given.

        Raises Usage that lists every wrong value at once.
        """
        source = os.environ if environ is None else environ
        flags = flags or {}
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for item in fields(cls):
            given = flags.get(item.name)
            text = given if given is not None else _from_environment(item, source)
            if text is None:
                continue
            try:
                values[item.name] = _convert(item, text)
            except ValueError as error:
                wrong.append(_line(item.name, str(error), text, "leave it out for the default"))
        if wrong:
            raise Usage("\n".join(wrong))
        return cls(**values)


def environment_name(name: str) -> str:
    """Name the environment variable of a setting."""
    return PREFIX + name.upper()


def _from_environment(item: "Field[Any]", source: Mapping[str, str]) -> str | None:
    names = (environment_name(item.name), *item.metadata["also"])
    return next((source[name] for name in names if source.get(name)), None)


def _convert(item: "Field[Any]", value: Any) -> Any:
    try:
        return _TYPES[item.type](value)
    except ValueError:
        raise ValueError("is no whole number:" if item.type is int else "is no number:") from None


def _out_of_bounds(item: "Field[Any]", value: Any) -> str:
    low, high, choices = (item.metadata[key] for key in ("low", "high", "choices"))
    if choices and value not in choices:
        return _line(item.name, "is unknown:", value, f"one of {', '.join(choices)}")
    # Written so that NaN, which compares false with everything, is out of bounds too.
    if low is not None and not low <= value <= high:
        return _line(item.name, "is out of bounds with", value, f"from {low:g} to {high:g}")
    if item.name in {"namespace", "identity", "lease_name"} and not value:
        return _line(item.name, "is empty:", value, "give it a name")
    return ""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _server(text: str) -> tuple[str, int] | None:
    """Read the address of a DNS server, of IPv6 in brackets where a port follows; None when it is none."""
    found = _WITH_PORT.fullmatch(text)
    host, port = (found["host"].strip("[]"), int(found["port"])) if found else (text, _DNS_PORT)
    try:
        return (str(ip_address(host)), port) if 0 < port <= _LAST_PORT else None
    except ValueError:
        return None


def _line(name: str, problem: str, value: Any, fix: str) -> str:
    return f"{environment_name(name)}: {name} {problem} '{str(value)[:64]}': {fix}"
