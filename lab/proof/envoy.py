"""Envoy: HTTP requests through real sidecars, with mutual TLS, to the stages that have one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lab.errors import LabError, UnsupportedError
from lab.mesh import MeshLab, Probe, missing
from lab.mesh.pods import plan
from lab.network import objects
from lab.network.matrix import Way
from lab.network.objects import Object
from lab.proof.hearing import Answer
from lab.proof.scene import Scene

_PASSED: Final = frozenset({"200", "open"})


class Envoy:
    """The mesh lab as a judge; it sees the ways into stages with a sidecar, at the ports that a Service leads to."""

    name = "Envoy"
    about = "HTTP requests through real sidecars with mutual TLS (403: refused for who asks, reset: cut off)"

    def ask(self, scene: Scene) -> Mapping[Way, Answer]:
        """Ask on every way, first without policies, when all must be answered."""
        lacking = missing()
        if lacking:
            raise UnsupportedError(lacking)
        probes = dict(asked(scene))
        with MeshLab() as lab:
            lab.create(_world(scene), _observer(scene))
            before = {way: lab.probe(probe).said for way, probe in probes.items()}
            with lab.applied(scene.for_the_mesh):
                after = {way: lab.probe(probe).said for way, probe in probes.items()}
        _all_open(before)
        return {way: Answer(said in _PASSED, said) for way, said in after.items()}


def asked(scene: Scene) -> Iterator[tuple[Way, Probe]]:
    """Give the ways that sidecars have a say in, and what is asked on each.

    A caller's sidecar goes by the Services that it knows. Whoever asks for another one, or has no sidecar, is led to the
    pod as it is: by kube-proxy in a cluster, by its address here.
    """
    fronts = dict(_fronts(scene))
    for way in scene.ways:
        if way.source not in scene.moment.pods or (way.destination, way.port) not in fronts:
            continue
        service, port = fronts[way.destination, way.port]
        if way.source in scene.meshed and _knows(scene, way.source, service):
            yield way, Probe(way.source, "service", service, port)
        else:
            yield way, Probe(way.source, "pod", way.destination, int(way.port.partition("/")[2]))


def _knows(scene: Scene, source: str, service: str) -> bool:
    """Tell whether the Sidecar of a pod, if there is one, lists a Service."""
    meta = scene.moment.pods[source]["metadata"]
    space, _, name = service.partition("/")
    host = f"{space}/{name}.{space}.svc.cluster.local"
    sidecars = [obj for obj in scene.for_the_mesh if obj["kind"] == "Sidecar"]
    specs = [obj["spec"] for obj in sidecars if obj["metadata"]["namespace"] == meta["namespace"]]
    own = [spec for spec in specs if spec["workloadSelector"]["labels"].items() <= meta["labels"].items()]
    return all(any(host in each["hosts"] for each in spec["egress"]) for spec in own)


def _fronts(scene: Scene) -> Iterator[tuple[tuple[str, str], tuple[str, int]]]:
    """Give each stage's pod with a port that it listens on, and the Service with the port that leads there."""
    for name in scene.meshed & scene.stages.keys():
        pod = plan(scene.moment.pods[name])
        listening = {(each.protocol, each.port) for each in pod.serves}
        for service in _services(scene):
            meta, spec = service["metadata"], service["spec"]
            selector = spec.get("selector") or {}
            if meta["namespace"] != pod.namespace or not selector or not selector.items() <= pod.labels.items():
                continue
            for port in spec["ports"]:
                protocol = port.get("protocol", "TCP")
                number = pod.number(port.get("targetPort", port["port"]), protocol)
                if protocol == "TCP" and (protocol, number) in listening:
                    front = f"{meta['namespace']}/{meta['name']}"
                    yield (name, f"{protocol}/{number}"), (front, port["port"])


def _observer(scene: Scene) -> str:
    """Find a pod with a sidecar that no policy selects."""
    free = sorted(scene.meshed - scene.stages.keys())
    if not free:
        raise LabError("the sample needs a pod that has a sidecar and is no stage: somebody must ask for the lab")
    return free[0]


def _world(scene: Scene) -> Sequence[Object]:
    moment = scene.moment
    spaces = [objects.namespace(name, labels) for name, labels in moment.namespaces.items()]
    pods = [{key: part for key, part in pod.items() if key != "status"} for pod in moment.pods.values()]
    accounts = {(pod["metadata"]["namespace"], plan(pod).account) for pod in pods}
    services = [obj for obj in _services(scene) if obj["metadata"]["namespace"] in moment.namespaces]
    return [*spaces, *(objects.account(*account) for account in sorted(accounts)), *services, *pods]


def _services(scene: Scene) -> list[Object]:
    return [obj for obj in scene.moment.facts if obj["kind"] == "Service"]


def _all_open(before: Mapping[Way, str]) -> None:
    closed = [f"{way} ({said})" for way, said in before.items() if said not in _PASSED]
    if closed:
        raise LabError(f"{len(closed)} ways are closed although no policy is there, the first: {closed[0]}")
