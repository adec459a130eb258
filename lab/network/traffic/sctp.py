"""The first two packets of an SCTP association, by hand.

Not every kernel has SCTP, but every packet filter of the lab knows it, and it is the first packet that a filter decides
on. So a prober sends INIT and a server answers INIT ACK, through raw sockets; the name that a server answers with travels
as the state cookie. RFC 9260 has the formats.
"""

import struct
from typing import NamedTuple

PROTOCOL = 132
INIT, INIT_ACK = 1, 2
_COOKIE = 7
_IPV4_HEADER = 20
_COMMON = struct.Struct("!HHLL")
_CHUNK = struct.Struct("!BBH")
_START = struct.Struct("!LLHHL")
_POLYNOMIAL = 0x82F63B78


class Packet(NamedTuple):
    """A packet with one chunk; `tag` is the sender's own, `verification` the receiver's."""

    source: int
    destination: int
    verification: int
    chunk: int
    tag: int
    cookie: str = ""


def build(packet: Packet) -> bytes:
    """Write a packet as it travels behind the IP header."""
    body = _START.pack(packet.tag, 0xFFFF, 1, 1, packet.tag)
    if packet.chunk == INIT_ACK:
        cookie = packet.cookie.encode()
        body += struct.pack("!HH", _COOKIE, 4 + len(cookie)) + cookie
    # A parameter's padding counts for the packet, not for the chunk's length.
    chunk = _CHUNK.pack(packet.chunk, 0, _CHUNK.size + len(body)) + body + bytes(-len(body) % 4)
    header = _COMMON.pack(packet.source, packet.destination, packet.verification, 0)
    checksum = struct.pack("<L", _crc32c(header + chunk))
    return header[:8] + checksum + chunk


def parse(data: bytes, *, ip_header: bool) -> Packet | None:
    """Read a packet as a raw socket delivers it (with its header for IPv4); None for anything but INIT and INIT ACK."""
    if ip_header:
        data = data[(data[0] & 0xF) * 4 :] if len(data) >= _IPV4_HEADER else b""
    if len(data) < _COMMON.size + _CHUNK.size + _START.size:
        return None
    source, destination, verification, _ = _COMMON.unpack_from(data)
    chunk, _, length = _CHUNK.unpack_from(data, _COMMON.size)
    if chunk not in {INIT, INIT_ACK}:
        return None
    tag = _START.unpack_from(data, _COMMON.size + _CHUNK.size)[0]
    parameter = _COMMON.size + _CHUNK.size + _START.size
    cookie = data[parameter + 4 : _COMMON.size + length].decode(errors="replace") if chunk == INIT_ACK else ""
    return Packet(source, destination, verification, chunk, tag, cookie)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _table()


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
