"""Custom resource definitions of others, read from the Go modules that they are published in."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from lab import toolchain
from lab.errors import LabError

MODULE = Path(__file__).parent
_ISTIO = "istio.io/api"
_ISTIO_FILE = "kubernetes/customresourcedefinitions.gen.yaml"


@functools.cache
def istio() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of Istio's API, in the version that go.mod beside this file pins.

    The same list each time: do not change it. Raises LabError when the module cannot be fetched.
    """
    # A megabyte of YAML: libyaml reads it in a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = yaml.load_all((_module_folder(_ISTIO) / _ISTIO_FILE).read_text(), Loader=loader)
    return [document for document in documents if document]


def _module_folder(module: str) -> Path:
    """Return where the module's files are, fetching it into Go's own cache first when it is not there (go.sum checks it)."""
    command = [str(toolchain.find().ready()), "mod", "download", "-json", module]
    reply = subprocess.run(
        command, cwd=MODULE, env=toolchain.environment(), capture_output=True, text=True, check=False
    )
    if reply.returncode != 0:
        raise LabError(f"the Go module {module} could not be fetched: {reply.stdout.strip()} {reply.stderr.strip()}")
    return Path(json.loads(reply.stdout)["Dir"])
