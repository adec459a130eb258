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
)
