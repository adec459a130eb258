"""Ends for evaluators: from the pods of the facts, or made up where there are none; and the ways between two ends."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from pipesegment.facts.ends import Address, AddressEnd, End, PodEnd, Port, address, is_same
from pipesegment.facts.others import PROXY, is_captured
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import ContainerPort, Pod, Snapshot

__all__ = [
    "PROXY",
    "Address",
    "AddressEnd",
    "End",
    "PodEnd",
    "Port",
    "address",
    "example_labels",
    "is_same",
    "live",
    "of_pod",
    "representative",
    "routes",
]


def of_pod(pod: Pod, namespace_labels: Mapping[str, str]) -> PodEnd:
    """See a pod of the facts as an end."""
    return PodEnd(
        namespace=pod.meta.namespace,
        name=pod.meta.name,
        labels=pod.labels,
        namespace_labels=namespace_labels,
        ips=pod.ips,
        ports=pod.ports,
        host_network=pod.host_network,
        service_account=pod.service_account,
        meshed=PROXY in pod.containers,
        ambient=is_captured(pod.meta.annotations),
    )


def live(snapshot: Snapshot) -> Iterator[PodEnd]:
    """Give every live pod of the facts, by namespace and name."""
    for namespace in sorted(snapshot.pods):
        found = snapshot.namespaces.get(namespace)
        for _, pod in sorted(snapshot.pods[namespace].items()):
            if pod.live:
                yield of_pod(pod, found.labels if found else {})


def representative(  # the fields of a pod
    namespace: str,
    name: str,
    selector: Selector,
    *,
    namespace_labels: Mapping[str, str] | None = None,
    ports: Iterable[ContainerPort] = (),
    service_account: str = "default",
    meshed: bool = False,
    ambient: bool = False,
) -> PodEnd | None:
    """Make up a pod that a selector selects, for surroundings without pods; None when no pod can be selected."""
    labels = example_labels(selector)
    if labels is None:
        return None
    return PodEnd(
        namespace,
        name,
        labels,
        namespace_labels or {},
        ports=tuple(ports),
        service_account=service_account,
        meshed=meshed,
        ambient=ambient,
    )


def example_labels(selector: Selector) -> dict[str, str] | None:
    """Find labels that a selector selects; None when it contradicts itself."""
    labels = dict(selector.labels)
    for requirement in selector.expressions:
        if requirement.operator == "In" and requirement.key not in labels:
            every = [r for r in selector.expressions if r.key == requirement.key]
            fitting = (v for v in requirement.values if all(r.matches({r.key: v}) for r in every))
            labels[requirement.key] = next(fitting, requirement.values[0])
    for requirement in selector.expressions:
        if requirement.operator == "Exists" and requirement.key not in labels:
            refused = {v for r in selector.expressions if r.key == requirement.key for v in r.values}
            labels[requirement.key] = next(
                v for v in (f"example{n}" for n in range(len(refused) + 1)) if v not in refused
            )
    return labels if selector.matches(labels) else None


def routes(source: End, destination: End) -> tuple[tuple[Address | None, Address | None], ...]:
    """Give the address pairs that a connection may use: one for each family that both ends have.

    Ends that share no family are judged by each pair of addresses, as if they did; an end without an address (a pod
    that has not got one yet) counts as None.
    """
    return _routes(source.ips, destination.ips)


@lru_cache(maxsize=65536)
def _routes(source: tuple[str, ...], destination: tuple[str, ...]) -> tuple[tuple[Address | None, Address | None], ...]:
    mine: list[Address | None] = [address(ip) for ip in source]
    theirs: list[Address | None] = [address(ip) for ip in destination]
    every = tuple((a, b) for a in mine or [None] for b in theirs or [None])
    same = tuple((a, b) for a, b in every if a is not None and b is not None and a.version == b.version)
    return same or every
