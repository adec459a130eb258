"""Scenarios: a world and what must be open in it, as a YAML file that reads like the sentence of its name.

    ports: [TCP/5432, UDP/53]                       # everybody serves all of them, and is tried at all of them
    namespaces: {prod: {team: shop}}                # labels; those without need not be listed
    pods:
      ci/build: {stage: shop/build}                 # the canonical labels and account of a stage, or:
      prod/db: {labels: {app: db}, ports: {pg: TCP/5432}, account: db}
    outside: {imds: 169.254.169.254, aws: [52.94.236.248, "2600:1f18::1"]}
    given: []                                       # documents of pipesegment.dev
    facts: []                                       # other objects: Services, EndpointSlices
    policies: {prod/deny: {podSelector: {}}}        # NetworkPolicies of others, by their spec
    reaches: {ci/build: [prod/db 5432]}             # what each pod that is closed for leaving reaches, all of it
    accepts: {prod/db: [ci/build 5432]}             # who gets into each pod that is closed for entering, all of them
    withheld: {ci/build: [prod/web 80]}             # what no declaration closes, and others or a missing grant do
    then:                                           # afterwards, if anything changes; the lists anew
      - {labels: {ci/build: {stage: null}}, reaches: {}, accepts: {}}

An entry is an end (`*` stands for any characters) and ports (all when there is none; `5432` is TCP/5432). Whoever is not
listed is not closed. A step of `then` may change `labels` of pods and `namespaces`, write `policies`, `apply` documents or
objects (of `given` or `facts`, by what they are), and `delete` any of them as `Kind namespace/name`.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from lab import yaml
from lab.errors import LabError
from lab.network import matrix, objects
from lab.network.matrix import Matrix, Member, Way
from lab.network.nodes import Node
from lab.network.objects import Object
from lab.network.pods import Addresses
from pipesegment import names

_KEYS: Final = frozenset(
    {"ports", "namespaces", "pods", "outside", "given", "facts", "policies", "reaches", "accepts", "withheld", "then"}
)
_STEP_KEYS: Final = frozenset({"labels", "namespaces", "policies", "apply", "delete", "reaches", "accepts", "withheld"})
_POD_KEYS: Final = frozenset({"stage", "labels", "ports", "account"})


@dataclass(frozen=True)
class Moment:
    """A world as it stands, and the ways that must be open in it, all others being closed.

    `withheld` are closed ways that the declaration has nothing against. `pods` are Pod objects with their addresses,
    `given` and `facts` plain objects.
    """

    ports: tuple[str, ...]
    nodes: tuple[Node, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    pods: Mapping[str, Object]
    outside: Mapping[str, tuple[str, ...]]
    given: tuple[Object, ...]
    facts: tuple[Object, ...]
    expected: Matrix
    withheld: Matrix

    @property
    def members(self) -> list[Member]:
        """Everybody, pods first."""
        pods = {name: tuple(ip["ip"] for ip in pod["status"]["podIPs"]) for name, pod in self.pods.items()}
        inside = [Member(name, ips, pod=True) for name, ips in pods.items()]
        return inside + [Member(name, ips, pod=False) for name, ips in self.outside.items()]

    def surroundings(self) -> list[Object]:
        """Give all facts as a cluster would show them."""
        nodes = [{**node.object(), "status": node.status()} for node in self.nodes]
        spaces = [objects.namespace(name, labels) for name, labels in self.namespaces.items()]
        return [*nodes, *spaces, *self.pods.values(), *self.facts]


def read(path: Path, addresses: Addresses | None = None, *, world: Path | None = None) -> list[Moment]:
    """Read a scenario: its moments in their order. Without `addresses` of a lab its pods are on two empty nodes.

    What the file does not say is taken from the file `world`, which many may share.

    Raises LabError when the file contradicts itself.
    """
    try:
        shared = yaml.safe_load(world.read_text()) if world else {}
        return list(_moments({**shared, **yaml.safe_load(path.read_text())}, addresses or _of_empty_nodes()))
    except LabError as error:
        raise LabError(f"{path.name}: {error}") from error


def _moments(raw: Mapping[str, Any], addresses: Addresses) -> Iterable[Moment]:
    _known(raw, _KEYS, "the scenario")
    pods = {name: _pod(name, spec or {}, addresses.next()) for name, spec in raw["pods"].items()}
    spaces = {name.partition("/")[0]: {} for name in pods} | (raw.get("namespaces") or {})
    outside = {name: (ips,) if isinstance(ips, str) else tuple(ips) for name, ips in (raw.get("outside") or {}).items()}
    moment = Moment(
        ports=tuple(raw["ports"]),
        nodes=addresses.nodes,
        namespaces=spaces,
        pods=pods,
        outside=outside,
        given=tuple(raw.get("given") or ()),
        facts=(*(raw.get("facts") or ()), *_policies(raw)),
        expected=frozenset(),
        withheld=frozenset(),
    )
    for step in (raw, *(raw.get("then") or ())):
        if step is not raw:
            _known(step, _STEP_KEYS, "a step")
            moment = _changed(moment, step)
        expected = _expected(step, moment.members, moment.ports)
        withheld = _lists(step.get("withheld") or {}, [m.name for m in moment.members], moment.ports)
        ways = frozenset(Way(a, b, port) for a, entries in withheld.items() for b, port in entries)
        moment = replace(moment, expected=expected, withheld=ways)
        yield moment


def _changed(moment: Moment, step: Mapping[str, Any]) -> Moment:
    pods = deepcopy(dict(moment.pods))
    for name, labels in (step.get("labels") or {}).items():
        merged = pods[name]["metadata"]["labels"] | labels
        pods[name]["metadata"]["labels"] = {key: value for key, value in merged.items() if value is not None}
    kept = {_identity(obj): obj for obj in (*moment.given, *moment.facts)}
    for obj in (*(step.get("apply") or ()), *_policies(step)):
        kept[_identity(obj)] = obj
    for text in step.get("delete") or ():
        if kept.pop(text, None) is None:
            raise LabError(f"delete: '{text}' is not there: there are {', '.join(kept)}")
    ours = [obj for obj in kept.values() if obj["kind"] in names.KINDS]
    return replace(
        moment,
        namespaces={**moment.namespaces, **(step.get("namespaces") or {})},
        pods=pods,
        given=tuple(ours),
        facts=tuple(obj for obj in kept.values() if obj not in ours),
    )


def _expected(raw: Mapping[str, Any], members: Sequence[Member], ports: Sequence[str]) -> Matrix:
    ends = [member.name for member in members]
    lists = {side: _lists(raw.get(side) or {}, ends, ports) for side in ("reaches", "accepts")}
    reaches, accepts = lists["reaches"], lists["accepts"]

    def opened(way: Way) -> bool:
        leaves = way.source not in reaches or (way.destination, way.port) in reaches[way.source]
        return leaves and (way.destination not in accepts or (way.source, way.port) in accepts[way.destination])

    found = frozenset(filter(opened, matrix.every(members, ports)))
    # Both lists say what is open, so neither may name what the other closes.
    said = {Way(a, b, port) for a, entries in reaches.items() for b, port in entries}
    said |= {Way(a, b, port) for b, entries in accepts.items() for a, port in entries}
    for way in sorted(said - found):
        raise LabError(f"reaches and accepts contradict each other about {way}: list it on both sides or on neither")
    return found


def _lists(raw: Mapping[str, Any], ends: Sequence[str], ports: Sequence[str]) -> dict[str, set[tuple[str, str]]]:
    found = {}
    for name, entries in raw.items():
        for end in _matching(name, ends):
            pairs = (_entry(entry, ends, ports) for entry in entries or ())
            found[end] = {(other, port) for pair in pairs for other, port in pair if other != end}
    return found


def _entry(text: str, ends: Sequence[str], ports: Sequence[str]) -> Iterable[tuple[str, str]]:
    pattern, *wanted = text.split()
    wanted = [port if "/" in port else f"TCP/{port}" for port in wanted]
    for port in wanted:
        if port not in ports:
            raise LabError(f"'{text}' names the port {port}, which is not among `ports`")
    return [(end, port) for end in _matching(pattern, ends) for port in wanted or ports]


def _matching(pattern: str, ends: Sequence[str]) -> list[str]:
    found = [end for end in ends if fnmatchcase(end, pattern)]
    if not found:
        raise LabError(f"there is nobody called '{pattern}': there are {', '.join(ends)}")
    return found


def _pod(name: str, raw: Mapping[str, Any], ips: tuple[str, ...]) -> Object:
    _known(raw, _POD_KEYS, name)
    labels, account = dict(raw.get("labels") or {}), raw.get("account")
    if "stage" in raw:
        segment, _, stage = raw["stage"].partition("/")
        labels |= {names.SEGMENT_LABEL: segment, names.STAGE_LABEL: stage}
        account = account or f"{segment}-{stage}"
    ports = [
        {"name": port, "containerPort": int(text.partition("/")[2]), "protocol": text.partition("/")[0]}
        for port, text in (raw.get("ports") or {}).items()
    ]
    space, _, short = name.partition("/")
    made = objects.pod(space, short, labels, **({"serviceAccountName": account} if account else {}))
    if ports:
        made["spec"]["containers"][0]["ports"] = ports
    return {**made, "status": objects.running(ips)}


def _policies(raw: Mapping[str, Any]) -> Iterable[Object]:
    for name, spec in (raw.get("policies") or {}).items():
        space, _, short = name.partition("/")
        yield {**objects.policy(space, short), "spec": spec}


def _identity(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{obj['kind']} {'/'.join(part for part in (meta.get('namespace'), meta['name']) if part)}"


def _known(raw: Mapping[str, Any], keys: frozenset[str], what: str) -> None:
    for key in raw:
        if key not in keys:
            raise LabError(f"{what} has no '{key}': it has {', '.join(sorted(keys))}")


def _of_empty_nodes() -> Addresses:
    return Addresses([Node.number(0), Node.number(1)])
