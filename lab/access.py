"""A way into an API server: its address, how to know it, and who one is there."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Access:
    """Server URL, CA file (None for plain HTTP), and either a bearer token, a client certificate, or nothing.

    `acting` are the headers by which one asks to be taken for somebody else.
    """

    server: str
    ca: Path | None = None
    token: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    acting: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that say who one is."""
        return ({"Authorization": f"Bearer {self.token}"} if self.token else {}) | dict(self.acting)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context that trusts the CA and shows the certificate, or None for plain HTTP."""
        if self.ca is None:
            return None
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Send one request, blocking, and return status and body; OSError when nobody answers.

        For starting and stopping; tests and tools use `lab.api`.
        """
        url = urlsplit(self.server)
        assert url.hostname is not None
        context = self.ssl_context()
        connection = (
            http.client.HTTPSConnection(url.hostname, url.port, timeout=30, context=context)
            if context
            else http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        )
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, self.headers | {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.server} broke off: {error!r}") from error
        finally:
            connection.close()

    def write_kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig (as JSON, which is YAML) that only the owner can read, and return its path."""
        cluster = {"server": self.server} | ({"certificate-authority": str(self.ca)} if self.ca else {})
        user: dict[str, Any] = {}
        if self.token:
            user["token"] = self.token
        if self.certificate:
            user |= {"client-certificate": str(self.certificate), "client-key": str(self.key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": "lab", "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "current-context": "lab",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=2) + "\n")
        return path
