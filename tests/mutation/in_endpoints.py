"""Faults in what services of AWS become."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    Mutant(
        "endpoints of any VPC carry a service",
        "facts.snapshot",
        "endpoints_of",
        "if each.vpc == vpc",
        "",
    ),
    Mutant(
        "endpoints that nobody knows count as absent",
        "reach.endpoints",
        "_part",
        "coarse and known is not None",
        "coarse",
    ),
    Mutant(
        "public addresses stand for services although the class keeps stages from them",
        "reach.endpoints",
        "may_be_coarse",
        " and guardrails.names_allowed(governing)",
        "",
    ),
    Mutant(
        "the address of a pod is taken for an endpoint's",
        "reach.endpoints",
        "_endpoint",
        "if not held:",
        "if True:",
    ),
    Mutant(
        "an endpoint that is not in use counts",
        "facts.vpc",
        "_endpoint",
        '(raw.get("State") or "available").lower() != "available"',
        "False",
    ),
    Mutant(
        "addresses of other interfaces are an endpoint's",
        "facts.vpc",
        "_addresses",
        "for interface in wanted for address",
        "for interface in known for address",
    ),
    Mutant(
        "a prefix list of any service is a gateway's",
        "facts.vpc",
        "_listed",
        "own.groups() == named.groups()",
        'own["region"] == named["region"]',
    ),
    Mutant(
        "that a gateway is region-wide is not told",
        "compile.network_rules",
        "is_region_wide",
        "edge.through is None or not edge.through.prefix_list",
        "True",
    ),
    Mutant(
        "rights reach services although the stage declares its ways",
        "reach.aws.services",
        "needed",
        ' or aws.reach_services == "Declared"',
        "",
    ),
)
