"""What istiod is asked of the ambient mesh: scenarios with what must come of them, and every golden case.

A scenario's pods are the shared world's. A golden case has few pods or none, so they are made up from its policies: what
each selects, and what it does not for one label or for its namespace.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import yaml
from lab.api import Object
from lab.mesh import ambient
from lab.mesh.ztunnel import Call
from pipesegment import names
from tests.enforcement.mesh_world import ISTIO_CRD, OURS
from tests.golden.walk import compiled

_HERE = Path(__file__).with_name("ambient")
_GOLDEN = Path(__file__).parents[1] / "golden" / "cases"
_ISTIO = "security.istio.io/"
#: What a waypoint is bound by; golden cases leave out of listeners what only an API server asks for.
_FRONTS = ("Namespace", "Service", "Gateway")
_LISTENERS = [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]
_MANAGED = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
_STRANGER = "cluster.local/ns/elsewhere/sa/stranger"
_STRANGE_PORTS = frozenset({1, 80})


@dataclass(frozen=True)
class Asked:
    """From one pod of the world to another, at one port, and whether ztunnel must let it in."""

    source: str
    target: str
    port: int
    open: bool

    def __str__(self) -> str:
        return f"{self.source} -> {self.target} at {self.port}"


@dataclass(frozen=True)
class Case:
    """Objects for the cluster, policies among them; what must come of it, where somebody wrote it down.

    They are made when they are asked for: collecting tests compiles nothing. `bound`: policies at Services are among them.
    """

    name: str
    make: Callable[[], Sequence[Object]]
    asked: Sequence[Asked] = ()
    bound: bool = False

    def __str__(self) -> str:
        return self.name

    @functools.cached_property
    def objects(self) -> Sequence[Object]:
        """All of it, once."""
        return self.make()

    @property
    def pods(self) -> list[Object]:
        """The pods that ztunnel captures."""
        return [obj for obj in self.objects if obj["kind"] == "Pod" and obj["metadata"].get("annotations")]

    @property
    def policies(self) -> list[Object]:
        """What istiod converts for ztunnel, or must not."""
        return [obj for obj in self.objects if obj["kind"] == "AuthorizationPolicy"]

    @property
    def at_services(self) -> list[Object]:
        """What we write for waypoints."""
        ours = (obj for obj in self.policies if _MANAGED.items() <= obj["metadata"].get("labels", {}).items())
        return [obj for obj in ours if "targetRefs" in obj["spec"]]

    @property
    def istio(self) -> list[Object]:
        """All that Istio takes from it, as our evaluator reads it."""
        return [obj for obj in self.objects if obj["apiVersion"].startswith(_ISTIO)]

    def calls(self) -> Iterator[Call]:
        """Give whoever may be told apart by the policies, at every port that may be, and strangers at others."""
        callers = {_STRANGER, None, *(principal(pod) for pod in self.pods)}
        ports = set(_STRANGE_PORTS)
        addresses = {"192.0.2.1"}
        for text in _texts([policy["spec"] for policy in self.policies]):
            if text.isdecimal():
                ports |= {int(text), int(text) + 1}
            elif "/sa/" in text:
                domain, _, namespace, _, account = text.split("/")
                callers |= {text, f"{domain}/ns/other-{namespace}/sa/{account}", f"{domain}/ns/{namespace}/sa/others"}
                callers |= {f"other.{domain}/ns/{namespace}/sa/{account}"}
            elif "/" in text and text.rpartition("/")[2].isdecimal():
                addresses.add(text.rpartition("/")[0])
            else:
                callers |= {f"cluster.local/ns/{text}/sa/any"}
        for caller in sorted(callers, key=str):
            for port in sorted(ports):
                for address in sorted(addresses):
                    yield Call(caller, port, address)


def principal(pod: Mapping[str, Any]) -> str | None:
    """Give who a pod is in the mesh; None where ztunnel does not capture it."""
    if not pod["metadata"].get("annotations"):
        return None
    return f"cluster.local/ns/{pod['metadata']['namespace']}/sa/{pod['spec']['serviceAccountName']}"


def scenarios() -> Iterator[Case]:
    """Read every scenario, by name."""
    for path in sorted((_HERE / "scenarios").glob("*.yaml")):
        raw = yaml.safe_load(path.read_text())
        asked = [Asked(each["from"], each["to"], port, way) for each in raw["asked"] for way, port in _ports(each)]
        objects = raw["objects"]
        yield Case(
            path.stem, functools.partial(_scenario, objects), asked, any(o["kind"] == "Gateway" for o in objects)
        )


def golden() -> Iterator[Case]:
    """Give the golden cases whose compilation leaves policies for a mesh of Istio."""
    for path in sorted(_GOLDEN.glob("*.in.yaml")):
        made = path.with_name(path.name.replace(".in.yaml", ".out.yaml")).read_text()
        if "security.istio.io/v1\n  kind: AuthorizationPolicy" in made:
            yield Case(path.name.removesuffix(".in.yaml"), functools.partial(_golden, path), (), "targetRefs" in made)


def _scenario(objects: Sequence[Object]) -> list[Object]:
    world = yaml.safe_load((_HERE / "world.yaml").read_text())
    ours = [obj for obj in objects if obj["apiVersion"].startswith(OURS)]
    others = [obj for obj in objects if obj not in ours]
    made = _made({"given": ours, "facts": [*world, ISTIO_CRD, *others]}) if ours else []
    return [*map(_created, world), *others, *made]


def _golden(path: Path) -> list[Object]:
    case = yaml.safe_load(path.read_text())
    facts = case.get("facts") or []
    policies = [*(_created(obj) for obj in facts if obj["apiVersion"].startswith(_ISTIO)), *_made(case)]
    fronts = [_created(obj) for obj in facts if obj["kind"] in _FRONTS]
    return [*fronts, *_namespaces(policies, fronts), *_pods(policies), *policies]


def _made(case: Mapping[str, Any]) -> list[Object]:
    out, messages, code = compiled(case)
    assert code == 0, messages
    return [_created(obj) for obj in yaml.safe_load_all(out) if obj and obj["apiVersion"].startswith(_ISTIO)]


def _created(obj: Object) -> Object:
    """Give an object as somebody creates it: whose it is and which address it has the API server says."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in {"uid", "ownerReferences", "resourceVersion"}}
    if obj["kind"] == "Gateway":
        return {**obj, "metadata": meta, "spec": {**obj["spec"], "listeners": _LISTENERS}}
    if obj["kind"] != "Service":
        return {**obj, "metadata": meta}
    return {**obj, "metadata": meta, "spec": {k: v for k, v in obj["spec"].items() if k != "clusterIP" or v == "None"}}


def _namespaces(policies: Sequence[Object], there: Sequence[Object]) -> list[Object]:
    known = {obj["metadata"]["name"] for obj in there if obj["kind"] == "Namespace"}
    named = {obj["metadata"]["namespace"] for obj in (*policies, *there) if obj["kind"] != "Namespace"}
    return [_namespace(name) for name in sorted((named | {"elsewhere"}) - known)]


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _pods(policies: Sequence[Object]) -> Iterator[Object]:
    """Make up the pods: for each selector one that it selects, one that lacks a label, one in another namespace.

    Each has some label: istiod counts a pod without any for every policy of its namespace, whatever that selects.
    """
    made: dict[tuple[str, tuple[tuple[str, str], ...]], Object] = {}
    for policy in policies:
        selected = (policy["spec"].get("selector") or {}).get("matchLabels") or {}
        namespace = policy["metadata"]["namespace"]
        fewer = dict(list(selected.items())[1:])
        for where, what in ((namespace, selected), (namespace, fewer), ("elsewhere", selected)):
            key = where, tuple(sorted(what.items()))
            number = len(made) + 1
            labels = {"lab": "pod", **what}
            made.setdefault(key, ambient.pod(where, f"pod-{number}", labels=labels, account=f"account-{number}"))
    yield from made.values()


def _texts(value: Any) -> Iterator[str]:
    """Give every text of a policy's rules; selectors have no say in who calls."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in {"selector", "targetRefs", "action", "key", "methods", "paths", "notMethods", "notPaths"}:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _ports(raw: Mapping[str, Any]) -> Iterator[tuple[bool, int]]:
    yield from ((True, port) for port in raw.get("open", ()))
    yield from ((False, port) for port in raw.get("closed", ()))
