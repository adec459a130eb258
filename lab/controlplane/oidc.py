"""An OpenID Connect issuer of the lab's own: people whose tokens say how they signed in, as a company's issuer would.

A TLS server on loopback serves discovery and keys; the API server trusts it by an AuthenticationConfiguration, which is the
only way to have a claim end up in `userInfo.extra`.
"""

import base64
import json
import ssl
import threading
import time
import uuid
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab.controlplane.pki import Authority, openssl

AUDIENCE = "lab-kubernetes"
#: Where the ways of signing in end up (RFC 8176 names them), and what is put before what the issuer says.
EXTRA_KEY = "example.com/amr"
PREFIX = "oidc:"
_KEY = "lab"
_HOUR = 3600.0
_DISCOVERY = "/.well-known/openid-configuration"
#: Of one number of an ES256 signature and of a point on its curve.
_BYTES = 32


class Issuer:
    """Signs tokens and serves what is needed to check them, until `stop`. The files lie in the authority's folder."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        certificate, key = authority.issue("oidc", "lab-oidc", names=["IP:127.0.0.1"])
        self._signing, public = authority.signing_keys("oidc-tokens")
        self._server = _Server(_public_key(public))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.url = self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="lab-oidc", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the server; safe to call again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def configuration(self) -> dict[str, Any]:
        """Return what tells an API server to trust this issuer, and what to take from its tokens."""
        return {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [
                {
                    "issuer": {
                        "url": self.url,
                        "audiences": [AUDIENCE],
                        "certificateAuthority": self._authority.certificate.read_text(),
                    },
                    "claimMappings": {
                        "username": {"claim": "email", "prefix": PREFIX},
                        "groups": {"claim": "groups", "prefix": PREFIX},
                        "uid": {"claim": "sub"},
                        "extra": [{"key": EXTRA_KEY, "valueExpression": "has(claims.amr) ? claims.amr : []"}],
                    },
                    "userValidationRules": [
                        {
                            "expression": "!user.username.startsWith('system:')",
                            "message": "names of the system are not for people",
                        }
                    ],
                }
            ],
        }

    def token(
        self, email: str, *, groups: Sequence[str] = (), amr: Sequence[str] = (), lifetime: float = _HOUR, **claims: Any
    ) -> str:
        """Sign a token of a person who signed in by the methods `amr`; further claims win over what is usual."""
        now = time.time()
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": f"sub-{email}",
            "email": email,
            "groups": list(groups),
            **({"amr": list(amr)} if amr else {}),
            "iat": int(now),
            "exp": int(now + lifetime),
            "jti": str(uuid.uuid4()),
        } | claims
        header = {"alg": "ES256", "typ": "JWT", "kid": _KEY}
        signed = ".".join(_base64(json.dumps(part).encode()) for part in (header, said))
        return f"{signed}.{_base64(self._sign(signed.encode()))}"

    def _sign(self, content: bytes) -> bytes:
        """Sign as JWS asks for: both numbers side by side, where openssl writes a DER sequence of them."""
        der = openssl("dgst", "-sha256", "-sign", self._signing, content=content)
        first = der[4 : 4 + der[3]]
        second = der[6 + der[3] :]
        return b"".join(number[-_BYTES:].rjust(_BYTES, b"\0") for number in (first, second))


class _Server(ThreadingHTTPServer):
    """Serves two documents, and says nothing of who asked."""

    daemon_threads = True
    url = ""

    def __init__(self, key: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = key

    def document(self, path: str) -> dict[str, Any] | None:
        """Return what is at a path."""
        if path == _DISCOVERY:
            return {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        return {"keys": [self.key]} if path == "/keys" else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over who hangs up in the middle: a port on loopback is knocked at by others as well."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        found = self.server.document(self.path)
        content = json.dumps(found or {}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
        """Say nothing."""


def _public_key(path: Path) -> dict[str, str]:
    """Read a public key as a JWK: the last bytes of its DER form are the point on the curve."""
    der = openssl("pkey", "-pubin", "-in", path, "-outform", "DER")
    point = der[-2 * _BYTES :]
    return {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": _KEY,
        "x": _base64(point[:_BYTES]),
        "y": _base64(point[_BYTES:]),
    }


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
