"""What stands between an edge and Linkerd's sidecars."""

from pipesegment.compile.capture import numbers
from pipesegment.compile.linkerd import OPAQUE
from pipesegment.compile.linkerd_routes import MAX_PATH, MAX_PATHS, sayable
from pipesegment.compile.problem import HTTP_NOT_ENFORCED, Problem
from pipesegment.reach.edges import Edge, Mesh
from pipesegment.reach.graph import StageReach


def linkerd_problem(stage: StageReach, edge: Edge, receiver: str) -> Problem | None:
    """Find why an edge to a stage in Linkerd cannot be expressed; `stage` is the one that has it."""
    if not edge.http:
        return None
    ports = set(numbers(edge.ports, Mesh.LINKERD))
    opaque = sorted(ports & OPAQUE)
    if opaque:
        return Problem(
            HTTP_NOT_ENFORCED,
            f"Linkerd takes port {', '.join(map(str, opaque))} of {receiver} for bytes, so nobody reads requests there",
            "serve HTTP at another port, or leave `http` out",
        )
    beside = stage.ingress if edge.direction == "ingress" else ()
    together = [e for e in beside if e.open and e.http and ports & set(numbers(e.ports, Mesh.LINKERD))]
    if not sayable({rule for each in (edge, *together) for rule in each.http}):
        return Problem(
            HTTP_NOT_ENFORCED,
            f"the paths that callers may ask {receiver} for at one port are more than {MAX_PATHS}, or what parts one from those "
            f"inside of it is longer than the {MAX_PATH} characters of a route's path",
            "declare fewer paths, or such as do not lie in each other",
        )
    return None
