"""What stands between an edge and Linkerd's sidecars."""

from pipesegment.compile.problem import HTTP_NOT_ENFORCED, Problem
from pipesegment.reach.graph import Edge


def linkerd_problem(edge: Edge, receiver: str) -> Problem | None:
    """Find why an edge to a stage in Linkerd cannot be expressed."""
    if not edge.http:
        return None
    return Problem(
        HTTP_NOT_ENFORCED,
        f"{receiver} is in Linkerd, where requests are not told apart in this version",
        "leave `http` out, or let the class set `inexact.http: Coarse`",
    )
