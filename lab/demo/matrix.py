"""Who reaches whom right now, judged from the cluster's own NetworkPolicies: the picture before and after.

Columns are numbered, so that the picture fits on a terminal of 80 columns whatever pods are called.
"""

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
PORTS = tuple(Port("TCP", number) for number in (80, 443, 5432, 8080))


def picture(plane: ControlPlane) -> tuple[Table, str, int, int]:
    """Draw every pod of the pipeline against everything that it might reach.

    Gives the table, what its columns are, and how many pairs are open at any of `PORTS` of how many.
    """
    kinds = "pods,services,networkpolicies,namespaces"
    found = json.loads(plane.kubectl("get", kinds, "--all-namespaces", "--output", "json"))["items"]
    facts = snapshot(found)
    world = World(obj for obj in found if obj["kind"] == "NetworkPolicy")
    pods = [end for end in endpoints.live(facts) if end.namespace in _NAMESPACES]
    targets: list[tuple[str, End]] = [(_short(pod.name), pod) for pod in pods]
    targets += [(name, AddressEnd(address)) for name, address in _OUTSIDE]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("from \\ to", no_wrap=True)
    for number, _ in enumerate(targets, 1):
        table.add_column(str(number), justify="center", no_wrap=True)
    numbers = {target: number for number, (_, target) in enumerate(targets, 1)}
    opened = asked = 0
    for source in (pod for pod in pods if pod.namespace == "ci-shop"):
        cells = []
        for _, target in targets:
            if target is source:
                cells.append("")
                continue
            is_open = any(world.judge(source, target, port).enforced for port in PORTS)
            opened, asked = opened + is_open, asked + 1
            cells.append("[green]open[/]" if is_open else "[dim]·[/]")
        table.add_row(f"{numbers[source]:>2} {_short(source.name)}", *cells)
    # A number and its name stay on one line.
    legend = ", ".join(f"{number}\N{NO-BREAK SPACE}{name}" for number, (name, _) in enumerate(targets, 1))
    return table, legend, opened, asked


def _short(name: str) -> str:
    return name.removeprefix("shop-").removeprefix("run-").removesuffix("-pod")
