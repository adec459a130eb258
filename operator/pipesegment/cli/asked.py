"""Whom `reach --from` and `--to` mean: pods and addresses, and what stands for several of them by one name."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from pipesegment.cli.advice import stage_of
from pipesegment.cli.ends import example, host, outside
from pipesegment.cli.verdicts import Matrix
from pipesegment.errors import Usage
from pipesegment.facts.ends import AddressEnd, End, PodEnd
from pipesegment.reach.edges import AddressPeer, PodPeer
from pipesegment.reach.services import destination as named
from pipesegment.spec.ports import within


@dataclass(frozen=True, slots=True)
class Asked:
    """The ends that a name means, one of each kind that is judged alike; `note` says so where the name is not their own."""

    ends: tuple[End, ...]
    note: str = ""


def source(name: str, matrix: Matrix) -> Asked:
    """Find whom `--from` means. Raises Usage."""
    return _known(name, matrix) or _address(
        name, matrix, "NAMESPACE/POD, NAMESPACE/SEGMENT-STAGE, NAMESPACE/SERVICE or an address"
    )


def destination(name: str, matrix: Matrix, asking: Asked) -> Asked:
    """Find whom `--to` means: also a destination, as the class of who asks has it. Raises Usage."""
    forms = "NAMESPACE/POD, NAMESPACE/SEGMENT-STAGE, NAMESPACE/SERVICE, an address or a destination's name"
    return _known(name, matrix) or _destination(name, matrix, asking.ends[0]) or _address(name, matrix, forms)


def _known(name: str, matrix: Matrix) -> Asked | None:
    end, pods = matrix.ends.find(name), matrix.ends.stages.get(name, ())
    if end is None:
        return _of(name, "a stage", pods, matrix) or _of(name, "a Service", _serving(name, matrix), matrix)
    others = [str(pod) for pod in pods if pod is not end]
    note = f"'{name}' is asked as the pod of that name, not as the stage, whose pods are {', '.join(others)}"
    return Asked((end,), note if others else "")


def _of(name: str, what: str, ends: Sequence[End], matrix: Matrix) -> Asked | None:
    """Ask for what has several ends those of them that may be judged differently."""
    if not ends:
        return None
    unlike = matrix.unlike(ends)
    alike = f", to which the others of its {len(ends)} pods are alike" if len(ends) > len(unlike) else ""
    is_one = len(unlike) == 1
    return Asked(unlike, f"'{name}' is {what}: asked {'is' if is_one else 'are'} {', '.join(map(str, unlike))}{alike}")


def _serving(name: str, matrix: Matrix) -> tuple[PodEnd, ...]:
    """Give the pods of a Service: the port that is asked about is theirs."""
    namespace, _, service = name.rpartition("/")
    found = matrix.snapshot.services.get(namespace, {}).get(service)
    return matrix.ends.meeting(PodPeer(namespace, found.selector)) if found and found.selector else ()


def _destination(name: str, matrix: Matrix, asking: End) -> Asked | None:
    mine = stage_of(asking, matrix.reaches)
    governing = (reach.governance for reach in matrix.reaches if mine is None or mine in reach.stages)
    found = next(filter(None, (named(each, name) for each in governing)), None)
    if found is None:
        return None
    inside: tuple[End, ...] = ()
    if found.service and found.service.name:
        inside = _serving(f"{found.service.namespace}/{found.service.name}", matrix)
    edges = (edge for edge in (mine.egress if mine else ()) if edge.described == f"destination {name}")
    met = [outside(peer, edge) for edge in edges for peer in edge.peers if not isinstance(peer, PodPeer)]
    # Where nothing opens it, its addresses are asked about, and its names only when it has none.
    blocks = [example(AddressPeer(block, tuple(e for e in found.except_ if within(e, block)))) for block in found.cidrs]
    stated = [AddressEnd(block) for block in blocks] or [host(each) for each in found.fqdns]
    return _of(name, "a destination", tuple(dict.fromkeys((*inside, *(met or stated)))), matrix)


def _address(name: str, matrix: Matrix, forms: str) -> Asked:
    try:
        return Asked(
            (AddressEnd(str(ip_address("" if "%" in name else name))),)
        )  # a zone means something on one host alone
    except ValueError:
        known = ", ".join(matrix.ends.stages)
        raise Usage(f"there is no pod or address '{name}': write {forms}; the stages are {known or 'none'}") from None
