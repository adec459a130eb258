"""A DNS server on loopback, UDP and TCP, that answers what a test tells it to."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = dict[tuple[str, str], list[str]]


@dataclass
class DnsServer:
    """`zone` holds the data of (name, type); a CNAME is followed. `ttl` is of every record, `ttls` of some names.

    `rcode` is answered instead of everything else, `silent` answers nothing, `spoil` may change the bytes of an answer.
    """

    zone: Zone = field(default_factory=dict)
    ttl: int = 60
    ttls: dict[str, int] = field(default_factory=dict)
    rcode: int = dns.rcode.NOERROR
    silent: bool = False
    spoil: Callable[[bytes], bytes] = bytes
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    port: int = 0

    def answer(self, wire: bytes, over: str) -> bytes | None:
        """Answer one question; over UDP what is too long is cut."""
        question = dns.message.from_wire(wire)
        (asked,) = question.question
        name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
        self.asked.append((name, kind, over))
        if self.silent:
            return None
        reply = dns.message.make_response(question, recursion_available=True)
        reply.set_rcode(self.rcode)
        if self.rcode == dns.rcode.NOERROR:
            self._fill(reply, name, kind)
        found = reply.to_wire(max_size=65535)
        if over == "UDP" and len(found) > 1200:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            found = reply.to_wire()
        return self.spoil(found)

    def _fill(self, reply: dns.message.Message, name: str, kind: str) -> None:
        if not any(name == known for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return
        while data := self.zone.get((name, "CNAME")):
            reply.answer.append(self._records(name, "CNAME", data))
            name = data[0].rstrip(".")
        data = self.zone.get((name, kind))
        if data:
            reply.answer.append(self._records(name, kind, data))

    def _records(self, name: str, kind: str, data: list[str]) -> dns.rrset.RRset:
        return dns.rrset.from_text_list(f"{name}.", self.ttls.get(name, self.ttl), "IN", kind, data)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        found = self._server.answer(data, "UDP")
        if found is not None and self._transport is not None:
            self._transport.sendto(found, addr)


@asynccontextmanager
async def serving(server: DnsServer) -> AsyncIterator[DnsServer]:
    """Serve for a block, at one port for both."""

    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        found = server.answer(await reader.readexactly(length), "TCP")
        if found is not None:
            writer.write(struct.pack("!H", len(found)) + found)
            await writer.drain()
        writer.close()

    streams = await asyncio.start_server(over_tcp, "127.0.0.1", 0)
    server.port = streams.sockets[0].getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Udp(server), local_addr=("127.0.0.1", server.port)
    )
    try:
        yield server
    finally:
        datagrams.close()
        streams.close()
        await streams.wait_closed()
