"""The embedded control plane: etcd, kube-apiserver, kube-controller-manager and optionally kwok, on loopback.

`start` brings it up, `ControlPlane` is what everybody else holds, whatever cluster is behind it. The programs come from
the Go module beside this file.
"""

from lab.access import Access
from lab.controlplane.audit import AuditEvent, AuditLog
from lab.controlplane.base import ControlPlane, Feature
from lab.controlplane.binaries import Binaries
from lab.controlplane.commands import Options
from lab.controlplane.embedded import EmbeddedControlPlane, start

__all__ = [
    "Access",
    "AuditEvent",
    "AuditLog",
    "Binaries",
    "ControlPlane",
    "EmbeddedControlPlane",
    "Feature",
    "Options",
    "start",
]
