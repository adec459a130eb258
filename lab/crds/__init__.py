"""Custom resource definitions of others, read from the Go modules that they are published in; Linkerd's and AWS's are our own."""

import functools
from pathlib import Path
from typing import Any

from lab import gotools, yaml

MODULE = Path(__file__).parent
#: Cilium is pinned where its engine is: what judges policies and what takes them are one version.
CILIUM_MODULE = MODULE.parent / "oracle" / "cilium"
_ISTIO = "istio.io/api"
_ISTIO_FILE = "kubernetes/customresourcedefinitions.gen.yaml"
#: What Gateways are is pinned by Istio, whose waypoints they are here.
_MESH_MODULE = MODULE.parent / "mesh"
_GATEWAY = "sigs.k8s.io/gateway-api"
_GATEWAY_FILES = tuple(
    f"config/crd/standard/gateway.networking.k8s.io_{plural}.yaml" for plural in ("gateways", "gatewayclasses")
)
_CILIUM = "github.com/cilium/cilium"
_CILIUM_FILES = "pkg/k8s/apis/cilium.io/client/crds/v2"


@functools.cache
def istio() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of Istio's API, in the version that go.mod beside this file pins.

    The same list each time: do not change it. Raises LabError when the module cannot be fetched.
    """
    return _documents(gotools.module_folder(MODULE, _ISTIO) / _ISTIO_FILE)


@functools.cache
def cilium() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of Cilium's policies, clusterwide ones last; raises LabError as `istio` does.

    Where it is installed, segments of classes that do not say otherwise get Cilium's policies.
    """
    folder = gotools.module_folder(CILIUM_MODULE, _CILIUM) / _CILIUM_FILES
    files = ("ciliumnetworkpolicies.yaml", "ciliumclusterwidenetworkpolicies.yaml")
    return [document for file in files for document in _documents(folder / file)]


@functools.cache
def gateways() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinitions of Gateways and their classes; raises LabError as `istio` does.

    Whoever takes one without the other waits for ever, as istiod does.
    """
    folder = gotools.module_folder(_MESH_MODULE, _GATEWAY)
    return [document for file in _GATEWAY_FILES for document in _documents(folder / file)]


@functools.cache
def linkerd() -> list[dict[str, Any]]:
    """Return CustomResourceDefinitions of Linkerd's policies: written from its reference, and only as far as we write them."""
    return _documents(MODULE / "linkerd.yaml")


@functools.cache
def aws() -> list[dict[str, Any]]:
    """Return CustomResourceDefinitions of what is written for AWS, written from their types as Linkerd's are."""
    return _documents(MODULE / "aws.yaml")


def _documents(file: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]
