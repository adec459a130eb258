"""The network lab: NetworkPolicies enforced by the kernel, as Calico's Felix tells it.

Nodes and pods are network namespaces of this machine, pods are objects of a real API server, and who reaches whom is
found out by trying. Needs Linux and root.
"""
