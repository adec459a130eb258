"""What the network lab needs: Felix and its CRDs from the Go module of this folder, and what the machine must have."""

import functools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from lab import gotools, yaml
from lab.errors import LabError, UnsupportedError

MODULE = Path(__file__).parent
FELIX = "calico-felix"
_CALICO = "github.com/projectcalico/calico"
_CRDS = "libcalico-go/config/crd"
#: program -> the Debian package that has it
_PROGRAMS = {"ip": "iproute2", "iptables": "iptables", "ip6tables": "iptables", "ipset": "ipset"}


def felix() -> Path:
    """Build Felix unless it is built already, and return its path. Raises LabError."""
    note = "about five minutes on 2 cores, later starts take seconds"
    return gotools.build(MODULE, ["."], [FELIX], note=note)[FELIX]


@functools.cache
def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions that Felix reads, in the version of go.mod. The same list each time."""
    files = sorted((gotools.module_folder(MODULE, _CALICO) / _CRDS).glob("*.yaml"))
    found = [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]
    if not found:
        raise LabError(f"{_CALICO} holds no CRDs in {_CRDS}: look where its version keeps them")
    return found


def check_machine() -> None:
    """Raise UnsupportedError that says what is missing, when policies cannot be enforced on this machine."""
    if sys.platform != "linux":
        raise UnsupportedError("network namespaces are needed: run this on Linux")
    if os.geteuid() != 0:
        raise UnsupportedError("only root may make network namespaces: run this as root")
    missing = sorted({package for program, package in _PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise UnsupportedError(
            f"programs are missing: install the packages {' '.join(missing)} ('make tools' does, as root)"
        )
