"""Faults in what is written for Linkerd."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    Mutant(
        "an identity loses its trust domain",
        "compile.linkerd",
        "identity",
        "linkerd.{trust_domain}",
        "linkerd.cluster.local",
    ),
    Mutant("an identity loses its namespace", "compile.linkerd", "identity", "{account}.{principal.namespace}", "*"),
    Mutant(
        "a Server denies nobody",
        "compile.linkerd",
        "_server",
        '"audit" if stage.mode is Mode.OBSERVE else "deny"',
        '"audit"',
    ),
    Mutant(
        "a stage that observes is held by Linkerd",
        "compile.linkerd",
        "_server",
        '"audit" if stage.mode is Mode.OBSERVE else "deny"',
        '"deny"',
    ),
    Mutant(
        "a default that lets everybody in is taken to deny",
        "reach.tunnels",
        "_to_stage",
        'snapshot) == "deny"',
        'snapshot) != "none"',
    ),
    Mutant(
        "a caller of some requests is authorized at the Server",
        "compile.linkerd",
        "_stage_objects",
        "if HttpRule() in rules]",
        "if rules]",
    ),
    Mutant(
        "a stage that observes has routes",
        "compile.linkerd",
        "_stage_objects",
        "edge.http if stage.mode is Mode.ENFORCE else ()",
        "edge.http",
    ),
    Mutant(
        "callers of every request have no route beside those of others",
        "compile.linkerd",
        "_stage_objects",
        "beside_all=bool(free)",
        "beside_all=False",
    ),
    Mutant("kubelet has no route", "compile.linkerd", "_stage_objects", "if at == port", "if at != port"),
    Mutant(
        "kubelet's route is for every method",
        "compile.linkerd",
        "_stage_objects",
        'HttpRule(("GET",), paths)',
        "HttpRule((), paths)",
    ),
    Mutant(
        "a prefix is Linkerd's own",
        "compile.linkerd_routes",
        "_match",
        'return {"type": "RegularExpression", "value": f"^{re.escape(stem)}{rest}$"}',
        'return {"type": "PathPrefix", "value": stem or "/"}',
    ),
    Mutant(
        "a prefix does not leave out what is declared apart in it",
        "compile.linkerd_routes",
        "_match",
        "_other_than([other[len(stem) :] for other in inner])",
        '".*"',
    ),
    Mutant(
        "a path is an expression",
        "compile.linkerd_routes",
        "_match",
        "re.escape(stem)",
        "stem",
    ),
    Mutant(
        "whoever may ask for a part of a route is authorized at it",
        "compile.linkerd_routes",
        "routes",
        "any(covers(wide, path) for wide in rule.paths or (EVERY,))",
        "any(covers(wide, path) or covers(path, wide) for wide in rule.paths or (EVERY,))",
    ),
    Mutant(
        "whoever may use a method may use all",
        "compile.linkerd_routes",
        "routes",
        "if not methods)",
        "if methods or not methods)",
    ),
)
