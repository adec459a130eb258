"""A mesh for real: istiod, its agents and stock Envoy judge what pods ask each other, with mutual TLS.

Everything runs as ordinary processes in network namespaces of their own; in the root namespace nothing but loopback is
used. It needs Linux, root, iptables and iproute2 (`missing` tells). See README.md here for what was left out.
"""

from lab.mesh.applications import Answer
from lab.mesh.members import Probe
from lab.mesh.meshlab import MeshLab
from lab.mesh.netns import missing
from lab.mesh.pods import Listening

__all__ = ["Answer", "Listening", "MeshLab", "Probe", "missing"]
