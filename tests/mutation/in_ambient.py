"""Faults in what is written for Istio's ambient mesh."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    Mutant(
        "the tunnel is not opened",
        "compile.wire",
        "_edge",
        "(*edge.ports, tunnel) if edge.ports else ()",
        "edge.ports",
    ),
    Mutant("requests are written for ztunnel", "compile.ambient", "_direct", "if not edge.http", "if True"),
    Mutant(
        "a waypoint is let in at every port",
        "compile.ambient",
        "_direct",
        '"to": operations(called, ())',
        '"to": operations((), ())',
    ),
    Mutant(
        "a waypoint's policy has the pods' ports",
        "compile.ambient",
        "_at_waypoint",
        "sorted({own for own, target",
        "sorted({target for own, target",
    ),
    Mutant(
        "a waypoint that passes calls to pods is trusted",
        "reach.tunnels",
        "_doubt",
        'not in {"", "service"}',
        "is None",
    ),
    Mutant(
        "a Service of others' pods is trusted",
        "reach.tunnels",
        "_doubt",
        "not service.selector.implies(target.selector)",
        "False",
    ),
    Mutant(
        "what the tunnel opens is not told",
        "compile.ambient_rules",
        "wider_than_declared",
        "not tunnel.guarded and edge.ports",
        "False",
    ),
    Mutant("a grant's ports are passed over", "compile.ambient_rules", "withheld", "or not covered", "or True"),
    Mutant(
        "STRICT is left out where ztunnel stands",
        "compile.ambient",
        "_stage_objects",
        "        if not stage.closed:\n            yield strict(",
        "        if False:\n            yield strict(",
    ),
    Mutant(
        "other pods of a namespace are let in beside those that are meant",
        "compile.callers",
        "_who",
        "next(_beside(stage, edge), None)",
        "None",
    ),
    Mutant(
        "whoever passes a waypoint is taken for those that are meant",
        "compile.callers",
        "_who",
        "if _passes_waypoint(stage, edge):",
        "if False:",
    ),
    Mutant(
        "a grant's callers are denied nothing",
        "compile.granted",
        "_but",
        "for n in ports)",
        "for n in (*ports, 80))",
    ),
    Mutant(
        "a DENY spares the ports of edges that were closed",
        "compile.granted",
        "left",
        "call.meant, call.ports))",
        "call.meant, call.ports), call.http)",
    ),
    Mutant(
        "pods that two entries mean in part are taken for held",
        "reach.calls",
        "_unheld",
        "not peer.selector.implies(other.selector)",
        "False",
    ),
    Mutant(
        "a grant for everyone keeps nobody out",
        "compile.granted",
        "_objects",
        "if said.everyone:",
        "if False:",
    ),
    Mutant(
        "a DENY of other requests asks for another method and another path",
        "compile.granted",
        "_choices",
        "product(*ways) if ways else ()",
        "[tuple(way for each in ways for way in each)] if ways else ()",
    ),
    Mutant(
        "a class makes a grant's requests wider",
        "compile.expressible",
        "_problem",
        "half.edge.by_grant",
        "False",
    ),
)
