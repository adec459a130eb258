"""What runs in a pod of the mesh lab: servers on the pod's ports, and a client that asks others when it is told to.

A script of its own: `app.py CONTROL NAME PORTS`, PORTS as `TCP/8080,UDP/9053`. CONTROL is the path of a unix socket that
takes one JSON object a line and answers each with one; unix sockets do not mind network namespaces. A TCP port speaks
HTTP to whoever begins with an HTTP request, and answers any other line with the pod's name; UDP as well. It speaks no TLS, and
answers whoever begins it like anybody else.

It runs under a user id that is not the sidecar's, so that the redirection takes hold of what it sends.
"""

import asyncio
import contextlib
import ctypes
import encodings.idna  # noqa: F401 - once the user id is dropped, nothing more can be imported
import functools
import json
import os
import signal
import ssl
import sys
from asyncio import StreamReader, StreamWriter
from typing import Any

USER = 1000
#: Seconds for a whole exchange: a local answer takes milliseconds, and whoever says nothing is waited for so long.
_PATIENCE = 3.0
_PR_SET_PDEATHSIG = 1
_FAILURES: tuple[tuple[type[OSError], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (ConnectionResetError, "reset"),
    (BrokenPipeError, "reset"),
    (TimeoutError, "timeout"),
)


async def _serve_tcp(name: str, reader: StreamReader, writer: StreamWriter) -> None:
    try:
        line = await reader.readline()
        if line.rstrip().endswith(b"HTTP/1.1"):
            while (await reader.readline()).strip():
                pass
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nConnection: close\r\n\r\n"
            writer.write((head + name).encode())
        elif line:
            writer.write(f"{name}\n".encode())
        await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


class _Udp(asyncio.DatagramProtocol):
    """Answers every datagram with the pod's name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, _data: bytes, addr: Any) -> None:
        self._transport.sendto(self._name.encode(), addr)


class _Reply(asyncio.DatagramProtocol):
    """Waits for one datagram."""

    def __init__(self) -> None:
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _addr: Any) -> None:
        if not self.came.done():
            self.came.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.came.done():
            self.came.set_exception(exc)


async def _ask(order: dict[str, Any]) -> dict[str, Any]:
    """Do what the order says and tell what came of it: `said` in one word or status code, `text` as it was sent."""
    ask = {"HTTP": _ask_http, "TCP": _ask_tcp, "TLS": _ask_tls, "UDP": _ask_udp}[order["protocol"]]
    try:
        async with asyncio.timeout(_PATIENCE):
            return await ask(order)
    except EOFError as error:
        return {"said": "reset", "text": str(error)}
    except OSError as error:
        said = next((word for kind, word in _FAILURES if isinstance(error, kind)), "unreachable")
        return {"said": said, "text": str(error)}


async def _ask_http(order: dict[str, Any]) -> dict[str, Any]:
    lines = [f"{order['method']} {order['path']} HTTP/1.1", f"Host: {order['host']}", "Connection: close"]
    reader, writer = await asyncio.open_connection(order["address"], order["port"])
    try:
        writer.write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        await writer.drain()
        words = (await reader.readline()).split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/"):
            return {"said": "reset", "text": b" ".join(words).decode(errors="replace")}
        length = 0
        while line := (await reader.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        # No more is read than was promised: a proxy that refuses may take its time to close.
        body = await reader.readexactly(length)
        return {"said": words[1].decode(), "text": body.decode(errors="replace")}
    finally:
        writer.close()


async def _ask_tcp(order: dict[str, Any]) -> dict[str, Any]:
    return await _say(order, b"hello\n")


async def _say(order: dict[str, Any], what: bytes) -> dict[str, Any]:
    reader, writer = await asyncio.open_connection(order["address"], order["port"])
    try:
        writer.write(what)
        await writer.drain()
        answer = await reader.readline()
        return {"said": "open" if answer else "reset", "text": answer.decode(errors="replace").strip()}
    finally:
        writer.close()


async def _ask_tls(order: dict[str, Any]) -> dict[str, Any]:
    """Begin TLS as a client that asks for a name, and say a line behind it: who is on the way reads the name alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname=order["host"]).do_handshake()
    return await _say(order, hello.read() + b"\n")


async def _ask_udp(order: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    transport, reply = await loop.create_datagram_endpoint(_Reply, remote_addr=(order["address"], order["port"]))
    try:
        transport.sendto(b"hello")
        return {"said": "open", "text": (await reply.came).decode(errors="replace")}
    finally:
        transport.close()


async def _control(reader: StreamReader, writer: StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(json.dumps(await _ask(json.loads(line))).encode() + b"\n")
        await writer.drain()
    writer.close()


async def _run(control: str, name: str, ports: str) -> None:
    loop = asyncio.get_running_loop()
    for port in filter(None, ports.split(",")):
        protocol, _, number = port.partition("/")
        if protocol == "UDP":
            await loop.create_datagram_endpoint(functools.partial(_Udp, name), local_addr=("0.0.0.0", int(number)))
        else:
            await asyncio.start_server(functools.partial(_serve_tcp, name), "0.0.0.0", int(number))
    # Last: whoever can reach it finds every server there.
    server = await asyncio.start_unix_server(_control, control)
    _become(USER)
    async with server:
        await server.serve_forever()


def _become(user: int) -> None:
    parent = os.getppid()
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # The kernel forgets whom a process dies with when its user changes.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        sys.exit("the parent died meanwhile")


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:4]))
