"""Faults in what is written for identities and the mesh."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    # Identity and mesh.
    Mutant(
        "an account that must exist is written",
        "compile.identity",
        "service_accounts",
        "for stage in reach.stages if stage.account.create",
        "for stage in reach.stages",
    ),
    Mutant(
        "a principal loses its namespace",
        "compile.istio",
        "sources",
        "{trust_domain}/ns/{p.namespace}/sa/{p.account}",
        "{trust_domain}/ns/*/sa/{p.account}",
    ),
    Mutant(
        "the trust domain is lost",
        "compile.istio",
        "_authorization",
        "reach.governance.spec.mesh.trust_domain",
        '"cluster.local"',
    ),
    Mutant("STRICT is dropped", "compile.istio", "strict", '"STRICT"', '"PERMISSIVE"'),
    Mutant(
        "a stage that observes is held by the mesh",
        "compile.istio",
        "_authorization",
        "_DRY_RUN if stage.mode is Mode.OBSERVE else None",
        "None",
    ),
    Mutant(
        "http rules lose their paths",
        "compile.istio",
        "operations",
        '{"paths": sorted(set(rule.paths))} if rule.paths else {}',
        "{}",
    ),
    Mutant(
        "http rules lose their methods",
        "compile.istio",
        "operations",
        '{"methods": sorted(set(rule.methods))} if rule.methods else {}',
        "{}",
    ),
    Mutant(
        "an ALLOW that admits nobody admits everybody",
        "compile.istio",
        "allow",
        '{"rules": rules} if rules else {}',
        '{"rules": rules or [{}]}',
    ),
)
