"""A moto server on loopback, a proxy before it that answers as AWS does on bad days, and the real client on them."""

import http.client
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from pipesegment.world.aws.client import Aws

KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "eu-west-1"}
_THROTTLED = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    "<RequestId>1</RequestId></ErrorResponse>"
)


class Quiet(BaseHTTPRequestHandler):
    """Says nothing on stderr."""

    def log_message(self, *_: Any) -> None:
        pass


class Front:
    """The proxy: counts actions, and answers 400 Throttling or a page of its own while it is told to."""

    def __init__(self, behind: tuple[str, int]) -> None:
        self.behind = behind
        self.actions: Counter[str] = Counter()
        self.throttle = 0
        self.page = ""
        self._lock = threading.Lock()
        front = self

        class Handler(Quiet):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                front.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        action = urllib.parse.parse_qs(body.decode()).get("Action", [""])[0]
        with self._lock:
            self.actions[action] += 1
            throttled = self.throttle > 0
            self.throttle -= throttled
        if throttled:
            status, kind, content = 400, "text/xml", _THROTTLED.encode()
        elif self.page:
            status, kind, content = 502, "text/html", self.page.encode()
        else:
            onward = http.client.HTTPConnection(*self.behind)
            onward.request("POST", request.path, body, dict(request.headers))
            reply = onward.getresponse()
            status, kind, content = reply.status, reply.headers.get("Content-Type", "text/xml"), reply.read()
            onward.close()
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def moto() -> Iterator[Front]:
    """Run a moto server, with the proxy before it."""
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    front = Front(("127.0.0.1", server.server_port))
    try:
        yield front
    finally:
        front.close()
        server.shutdown()
        server.server_close()
        thread.join()


def session(**keys: str) -> boto3.Session:
    """Give a session with credentials that moto takes, or with others."""
    return boto3.Session(**{**KEYS, **keys})


@contextmanager
def client(front: Front, monkeypatch: Any, **kwargs: Any) -> Iterator[Aws]:
    """Give the real client, which finds moto as it finds every other endpoint: by the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    aws = Aws(session=session(), **kwargs)
    try:
        yield aws
    finally:
        aws.close()
