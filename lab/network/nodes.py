"""Nodes: where they are, and how the API sees them."""

from dataclasses import dataclass

from lab.network import netns
from lab.network.links import Host
from lab.network.objects import Object


@dataclass(frozen=True)
class Node:
    """A node: its name in the API, its namespace and addresses, and the ranges of its pods."""

    name: str
    host: Host
    pod_cidrs: tuple[str, ...]

    @classmethod
    def number(cls, number: int) -> "Node":
        """Give the node of a number."""
        host = Host(netns.named(f"node{number}"), (f"10.250.1.{number + 1}", f"fd00:10:250:1::{number + 1:x}"))
        return cls(f"node{number}", host, (f"10.244.{number}.0/24", f"fd00:10:244:{number:x}::/64"))

    def object(self) -> Object:
        """Give the Node as the API takes it."""
        four, six = self.host.ips
        calico = {"projectcalico.org/IPv4Address": f"{four}/32", "projectcalico.org/IPv6Address": f"{six}/128"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "annotations": calico, "labels": {"kubernetes.io/hostname": self.name}},
            "spec": {"podCIDR": self.pod_cidrs[0], "podCIDRs": list(self.pod_cidrs)},
        }

    def status(self) -> Object:
        """Give the Node's status."""
        addresses = [{"type": "InternalIP", "address": ip} for ip in self.host.ips]
        return {"addresses": addresses, "conditions": [{"type": "Ready", "status": "True", "reason": "Lab"}]}
