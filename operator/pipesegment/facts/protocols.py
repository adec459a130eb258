"""What Istio takes a Service's port for: its `appProtocol`, else the beginning of its name, else the first bytes.

Source: Istio's page on protocol selection, and how istiod converts Service ports.
"""

from typing import Final, Literal

from pipesegment.facts.snapshot import ServicePort

Spoken = Literal["http", "bytes", "unknown"]

_HTTP: Final = frozenset({"http", "http2", "http_proxy", "grpc"})
_BYTES: Final = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis"})
_KUBERNETES: Final = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}
#: Servers that speak first would wait for ever for bytes to be looked at: mail, DNS, MySQL, MongoDB.
_SPEAK_FIRST: Final = frozenset({25, 53, 3306, 27017})


def spoken(port: ServicePort) -> Spoken:
    """Tell what a sidecar reads a TCP port as; `unknown` ports are looked at connection by connection."""
    name = _KUBERNETES.get(port.app_protocol, port.app_protocol or port.name)
    kind = name.partition("-")[0].lower()
    if kind in _HTTP:
        return "http"
    if kind in _BYTES or port.port in _SPEAK_FIRST:
        return "bytes"
    return "unknown"
