"""Who reaches whom right now, judged from the cluster's own NetworkPolicies: the picture before and after."""

import json

from rich.table import Table

from lab.controlplane import ControlPlane
from pipesegment.evaluate import endpoints
from pipesegment.evaluate.world import World
from pipesegment.facts.ends import AddressEnd, End, Port
from pipesegment.facts.parse import snapshot

_NAMESPACES = ("ci-shop", "shop-prod")
_OUTSIDE = (("registry", "203.0.113.10"), ("metadata", "169.254.169.254"), ("internet", "198.51.100.7"))
#: The ports at which somebody serves here; a cell is open when any of them is.
_PORTS = tuple(Port("TCP", number) for number in (80, 443, 5432, 8080))


def picture(plane: ControlPlane) -> tuple[Table, int, int]:
    """Draw every pod of the pipeline against everything that it might reach; give how many ways are open of how many."""
    kinds = "pods,services,networkpolicies,namespaces"
    found = json.loads(plane.kubectl("get", kinds, "--all-namespaces", "--output", "json"))["items"]
    facts = snapshot(found)
    world = World(obj for obj in found if obj["kind"] == "NetworkPolicy")
    pods = [end for end in endpoints.live(facts) if end.namespace in _NAMESPACES]
    targets: list[tuple[str, End]] = [(_short(pod.name), pod) for pod in pods]
    targets += [(name, AddressEnd(address)) for name, address in _OUTSIDE]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("from \\ to", no_wrap=True)
    for name, _ in targets:
        table.add_column(name, justify="center", no_wrap=True)
    opened = asked = 0
    for source in (pod for pod in pods if pod.namespace == "ci-shop"):
        cells = []
        for _, target in targets:
            if target is source:
                cells.append("")
                continue
            is_open = any(world.judge(source, target, port).enforced for port in _PORTS)
            opened, asked = opened + is_open, asked + 1
            cells.append("[green]open[/]" if is_open else "[dim]·[/]")
        table.add_row(_short(source.name), *cells)
    return table, opened, asked


def _short(name: str) -> str:
    return name.removeprefix("shop-").removeprefix("run-").removesuffix("-pod")
