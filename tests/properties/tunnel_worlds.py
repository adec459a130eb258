"""Worlds in which a mesh's one port decides: drawn ones meet these by chance, so each is looked at in any case."""

from typing import Any

from tests.properties.segment_worlds import front, gate, pod

Object = dict[str, Any]

_STRAY = {"podSelector": {"matchLabels": {"app": "stray"}}, "namespace": "ops"}
_AGENT = {"podSelector": {"matchLabels": {"app": "agent"}}, "namespace": "ops"}
_AT_HTTP, _AT_METRICS = [{"port": 8080}], [{"port": 9090}]


def unguarded(*, linkerd: bool = False) -> list[Object]:
    """A stage reaches one port of pods that no policy of ours stands in front of."""
    return _world(linkerd, {"name": "build", "reaches": [{"pods": _STRAY, "ports": _AT_HTTP}]})


def granted(isolate: str) -> list[Object]:
    """The owners of those pods give the stage one port of them."""
    found = unguarded()
    spec = {"from": [{"namespace": "ci"}], "to": {"podSelector": _STRAY["podSelector"]}, "ports": _AT_HTTP}
    grant = {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "SegmentGrant",
        "metadata": {"namespace": "ops", "name": "stray", "uid": "uid-stray"},
        "spec": {**spec, "isolate": isolate},
    }
    return [*found, grant]


def two_ports_of_one_namespace(*, linkerd: bool = False) -> list[Object]:
    """A stage takes pods of a namespace at one port and others at another, and names no accounts."""
    accepts = [{"pods": _STRAY, "ports": _AT_HTTP}, {"pods": _AGENT, "ports": _AT_METRICS}]
    return _world(linkerd, {"name": "build", "accepts": accepts})


def some_pods_by_a_waypoint() -> list[Object]:
    """A stage behind a waypoint takes some pods of a namespace, and names no accounts."""
    found = _world(False, {"name": "build", "accepts": [{"pods": _STRAY, "ports": _AT_HTTP}]})
    before = front(next(obj for obj in found if obj["metadata"]["name"] == "shop-build"))
    before["metadata"]["labels"] = {"istio.io/use-waypoint": "gate"}
    before["spec"]["clusterIP"] = "10.96.1.1"
    return [*found, before, gate("ci", "gate", "service")]


def _world(linkerd: bool, stage: Object) -> list[Object]:
    labels = {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "build", "app": "own"}
    pods = [
        pod("ci", "shop-build", labels, "10.0.3.1", serviceAccountName="shop-build"),
        pod("ops", "stray", {"app": "stray"}, "10.0.2.1"),
        pod("ops", "agent", {"app": "agent"}, "10.0.2.2"),
    ]
    spaces = [{"kind": "Namespace", "metadata": {"name": n, "uid": f"uid-{n}"}} for n in ("ci", "ops")]
    for obj in pods:
        if linkerd:
            obj["spec"]["containers"].append({"name": "linkerd-proxy"})
        else:
            obj["metadata"]["annotations"] = {"ambient.istio.io/redirection": "enabled"}
    for obj in spaces:
        if linkerd:
            annotations = {"linkerd.io/inject": "enabled"}
            if obj["metadata"]["name"] == "ci":
                annotations["config.linkerd.io/default-inbound-policy"] = "deny"
            obj["metadata"]["annotations"] = annotations
        else:
            obj["metadata"]["labels"] = {"istio.io/dataplane-mode": "ambient"}
    segment = {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": {"namespace": "ci", "name": "shop"},
        "spec": {"stages": [stage]},
    }
    return [*spaces, *pods, segment]
