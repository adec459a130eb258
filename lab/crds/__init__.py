"""Custom resource definitions of others, read from the Go modules that they are published in."""

import functools
from pathlib import Path
from typing import Any

import yaml

from lab import gotools

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
    documents = yaml.load_all((gotools.module_folder(MODULE, _ISTIO) / _ISTIO_FILE).read_text(), Loader=loader)
    return [document for document in documents if document]
