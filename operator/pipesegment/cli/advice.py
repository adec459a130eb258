"""What to add to a declaration so that one way opens: YAML, and where it belongs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import yaml

from pipesegment.cli.ends import METADATA
from pipesegment.facts.ends import AddressEnd, End, PodEnd, Port
from pipesegment.facts.snapshot import Service, Snapshot
from pipesegment.reach import addresses
from pipesegment.reach.graph import Governance, Reach, StageReach

#: The metadata service's addresses, which have a target of their own.
_IMDS: Final = frozenset({METADATA, "fd00:ec2::254"})


@dataclass(frozen=True, slots=True)
class Addition:
    """An entry, and the list that it belongs to: `spec.stages[0].reaches of ci/shop`."""

    place: str
    entry: dict[str, Any]

    def __str__(self) -> str:
        """Render as a line and a list item of YAML."""
        text = yaml.safe_dump([self.entry], sort_keys=False, default_flow_style=None, width=110)
        return f"add to {self.place}:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def additions(
    source: End, destination: End, port: Port, reaches: Sequence[Reach], snapshot: Snapshot
) -> tuple[Addition, ...]:
    """Say what each side has to declare; empty where nothing that could be declared would do."""
    return tuple(_additions(source, destination, port, reaches, snapshot))


def nothing(source: End, destination: End, reaches: Sequence[Reach]) -> str:
    """Say why there is nothing to advise: nobody is told to open a metadata service without a word about it."""
    mine = stage_of(source, reaches)
    if mine is None or not _is_metadata(destination):
        return "nothing that a segment may declare opens this way"
    governing = _governing(mine, reaches)
    if not governing.spec.network.allow_imds:
        who = "its SegmentClass does" if governing.name else "the built-in defaults do"
        return f"{who} not allow metadata and link-local addresses (network.allowIMDS)"
    return (
        "only the target `imds` opens this way, and gives the node's own credentials to whoever asks: rather give the stage "
        "an identity of its own"
    )


def stage_of(end: End, reaches: Sequence[Reach]) -> StageReach | None:
    """Find the stage that a pod belongs to."""
    if isinstance(end, PodEnd):
        for reach in reaches:
            for stage in reach.stages:
                if stage.key.namespace == end.namespace and stage.selector.matches(end.labels):
                    return stage
    return None


def _additions(
    source: End, destination: End, port: Port, reaches: Sequence[Reach], snapshot: Snapshot
) -> Iterator[Addition]:
    mine, theirs = stage_of(source, reaches), stage_of(destination, reaches)
    if mine is not None and _is_metadata(destination):
        by_name = isinstance(destination, AddressEnd) and destination.ip in _IMDS
        if by_name or not _governing(mine, reaches).spec.network.allow_imds:
            return
    ports = [{"port": port.number, **({} if port.protocol == "TCP" else {"protocol": port.protocol})}]
    if mine is not None:
        yield Addition(_list(mine, "reaches"), _target(mine, theirs, destination, port, ports, snapshot))
    same = mine and theirs and (mine.key.namespace, mine.key.segment) == (theirs.key.namespace, theirs.key.segment)
    if theirs is not None and not same:
        yield Addition(_list(theirs, "accepts"), {**_source(mine, theirs, source), "ports": ports})


def _is_metadata(end: End) -> bool:
    """Tell whether an end is an address that no `cidr` may hold unless the class allows the metadata service."""
    return isinstance(end, AddressEnd) and addresses.touching(_block(end.ip), (), addresses.metadata()) is not None


def _governing(mine: StageReach, reaches: Sequence[Reach]) -> Governance:
    return next(reach.governance for reach in reaches if mine in reach.stages)


def _target(
    mine: StageReach,
    theirs: StageReach | None,
    destination: End,
    port: Port,
    ports: list[dict[str, Any]],
    snapshot: Snapshot,
) -> dict[str, Any]:
    if isinstance(destination, AddressEnd):
        return {"cidr": {"block": _block(destination.ip)}, "ports": ports}
    if theirs is not None:
        return {"stage": _named(theirs, mine), "ports": ports}
    where = {} if destination.namespace == mine.key.namespace else {"namespace": destination.namespace}
    service = _serving(destination, port, snapshot)
    if service is not None:
        return {"service": {"name": service.meta.name, **where}}
    return {"pods": {"podSelector": {"matchLabels": dict(destination.labels)}, **where}, "ports": ports}


def _source(mine: StageReach | None, theirs: StageReach, source: End) -> dict[str, Any]:
    if mine is not None:
        return {"stage": _named(mine, theirs)}
    if isinstance(source, AddressEnd):
        return {"cidr": {"block": _block(source.ip)}}
    where = {} if source.namespace == theirs.key.namespace else {"namespace": source.namespace}
    return {"pods": {"podSelector": {"matchLabels": dict(source.labels)}, **where}}


def _named(stage: StageReach, seen_from: StageReach) -> dict[str, str]:
    found = {"name": stage.key.stage}
    if stage.key.segment != seen_from.key.segment or stage.key.namespace != seen_from.key.namespace:
        found["segment"] = stage.key.segment
    if stage.key.namespace != seen_from.key.namespace:
        found["namespace"] = stage.key.namespace
    return found


def _serving(pod: PodEnd, port: Port, snapshot: Snapshot) -> Service | None:
    """Find a Service that targets the pod's port: the name by which clients know it."""
    names = {p.name for p in pod.ports if (p.port, p.protocol) == (port.number, port.protocol)}
    for _, service in sorted(snapshot.services.get(pod.namespace, {}).items()):
        if service.selector is not None and service.selector.matches(pod.labels):
            targets = {p.target for p in service.ports if p.protocol == port.protocol}
            if targets & {port.number, *names}:
                return service
    return None


def _list(stage: StageReach, field: str) -> str:
    return f"{stage.path}.{field} of PipelineSegment {stage.key.namespace}/{stage.key.segment}"


def _block(address: str) -> str:
    return f"{address}/{ip_address(address).max_prefixlen}"
