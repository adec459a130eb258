"""The wires: a fabric that routes, nodes and outside hosts on it, and pods on their nodes.

Every address is a single one (/32, /128) behind a route, as clouds do it. Names of links matter: an engine takes for pods
what is called `cali…`, and everything else for the world outside.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from lab.network import netns

#: The fabric's own address on each of its links.
_GATEWAY = ("10.250.0.1", "fd00:10:250::1")
#: What a pod takes for its gateway: an address that nobody has, with the hardware address of the node's end.
_POD_GATEWAY = ("169.254.1.1", "fe80::ecee:eeff:feee:eeee")
_POD_GATEWAY_MAC = "ee:ee:ee:ee:ee:ee"
#: Seconds that a connection is remembered without traffic: no longer than a scenario lasts.
_FORGET = 5


@dataclass(frozen=True)
class Host:
    """A namespace with addresses, at most one of each family."""

    namespace: str
    ips: tuple[str, ...]


def make_fabric(namespace: str) -> None:
    """Make the router between nodes and outside hosts."""
    _make([namespace])
    _route(namespace)


def attach(fabric: str, host: Host, link: str, *, routed: Iterable[str] = ()) -> None:
    """Make a host on the fabric, whose end of the wire is called `link`; it gets what goes to `routed` as well."""
    _make([host.namespace])
    netns.ip(
        f"link add {link} type veth peer name eth0 netns {host.namespace}",
        *(f"address add {_gateway(ip)}/{_bits(ip)} dev {link} nodad" for ip in host.ips),
        f"link set {link} up",
        namespace=fabric,
    )
    netns.ip(
        *(f"address add {ip}/{_bits(ip)} dev eth0{' nodad' if ':' in ip else ''}" for ip in host.ips),
        "link set eth0 up",
        *(f"route add {_gateway(ip)} dev eth0" for ip in host.ips),
        *(f"route add default via {_gateway(ip)}" for ip in host.ips),
        namespace=host.namespace,
    )
    netns.ip(
        *(f"route add {ip} dev {link}" for ip in host.ips),
        *(f"route add {block} via {ip}" for block in routed for ip in host.ips if (":" in ip) == (":" in block)),
        namespace=fabric,
    )


def make_router(node: str) -> None:
    """Let a node forward, without a memory of connections that outlasts a scenario."""
    _route(node)
    netns.sysctl(
        node,
        **{f"netfilter__nf_conntrack_{name}": _FORGET for name in ("udp_timeout", "udp_timeout_stream")},
        netfilter__nf_conntrack_tcp_timeout_close=1,
    )


def attach_pods(node: str, pods: Iterable[tuple[str, str, Host]]) -> None:
    """Make pods, each given by its namespace and name in the API and its host, on a node."""
    pods = list(pods)
    _make([host.namespace for _, _, host in pods])
    netns.ip(
        *(
            line
            for link, host in ((link_of(namespace, name), host) for namespace, name, host in pods)
            for line in (
                f"link add {link} address {_POD_GATEWAY_MAC} type veth peer name eth0 netns {host.namespace}",
                f"link set {link} up",
            )
        ),
        namespace=node,
    )
    for _, _, host in pods:
        netns.ip(*_pod_lines(host), namespace=host.namespace)


def detach_pods(node: str, pods: Iterable[tuple[str, str]]) -> None:
    """Remove the wires of pods from their node: a namespace that is deleted gives its links up only when it likes."""
    netns.ip(*(f"link delete {link_of(namespace, name)}" for namespace, name in pods), namespace=node)


def link_of(namespace: str, name: str) -> str:
    """Name the node's end of a pod's wire as Calico does for a pod of the API."""
    return f"cali{hashlib.sha1(f'{namespace}.{name}'.encode()).hexdigest()[:11]}"


def _pod_lines(host: Host) -> Iterable[str]:
    yield "link set eth0 up"
    for ip in host.ips:
        gateway = _POD_GATEWAY[":" in ip]
        yield f"address add {ip}/{_bits(ip)} dev eth0{' nodad' if ':' in ip else ''}"
        # Known for good: a pod need not ask for the neighbour that answers to no question.
        yield f"neighbour add {gateway} lladdr {_POD_GATEWAY_MAC} dev eth0 nud permanent"
        if ":" not in ip:
            yield f"route add {gateway} dev eth0 scope link"
        yield f"route add default via {gateway} dev eth0"


def _make(namespaces: Iterable[str]) -> None:
    namespaces = list(namespaces)
    netns.ip(*(f"netns add {name}" for name in namespaces))
    for name in namespaces:
        netns.sysctl(name, ipv6__conf__default__accept_dad=0, ipv6__conf__all__accept_dad=0)
        netns.ip("link set lo up", namespace=name)


def _route(namespace: str) -> None:
    netns.sysctl(
        namespace,
        ipv4__ip_forward=1,
        ipv4__conf__all__rp_filter=0,
        ipv4__conf__default__rp_filter=0,
        ipv6__conf__all__forwarding=1,
    )


def _gateway(ip: str) -> str:
    return _GATEWAY[":" in ip]


def _bits(ip: str) -> int:
    return 128 if ":" in ip else 32
