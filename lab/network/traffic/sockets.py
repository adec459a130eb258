"""Opening sockets inside namespaces."""

import socket

from lab.network import netns
from lab.network.traffic import sctp


def family(address: str) -> socket.AddressFamily:
    """Tell an address's family."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_socket(namespace: str, protocol: str, address: str) -> socket.socket:
    """Open a socket that talks with an address, inside a namespace."""
    with netns.inside(namespace):
        return make(protocol, address)


def make(protocol: str, address: str) -> socket.socket:
    """Open a socket that talks with an address, in this thread's namespace; it never blocks."""
    match protocol:
        case "TCP":
            made = socket.socket(family(address), socket.SOCK_STREAM)
        case "UDP":
            made = socket.socket(family(address), socket.SOCK_DGRAM)
        case "SCTP":
            made = socket.socket(family(address), socket.SOCK_RAW, sctp.PROTOCOL)
        case _:
            raise ValueError(f"protocol '{protocol}' is none of TCP, UDP, SCTP")
    made.setblocking(False)
    return made
