"""Custom resource definitions of others, read from the Go modules that they are published in."""

import functools
from pathlib import Path
from typing import Any

import yaml

from lab import gotools

MODULE = Path(__file__).parent
#: Cilium is pinned where its engine is: what judges policies and what takes them are one version.
CILIUM_MODULE = MODULE.parent / "oracle" / "cilium"
_ISTIO = "istio.io/api"
_ISTIO_FILE = "kubernetes/customresourcedefinitions.gen.yaml"
_CILIUM = "github.com/cilium/cilium"
_CILIUM_FILE = "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"


@functools.cache
def istio() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of Istio's API, in the version that go.mod beside this file pins.

    The same list each time: do not change it. Raises LabError when the module cannot be fetched.
    """
    return _documents(gotools.module_folder(MODULE, _ISTIO) / _ISTIO_FILE)


@functools.cache
def cilium() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinition of CiliumNetworkPolicies; raises LabError as `istio` does.

    Where it is installed, segments of classes that do not say otherwise get Cilium's policies.
    """
    return _documents(gotools.module_folder(CILIUM_MODULE, _CILIUM) / _CILIUM_FILE)


def _documents(file: Path) -> list[dict[str, Any]]:
    # A megabyte of YAML: libyaml reads it in a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(file.read_text(), Loader=loader) if document]
