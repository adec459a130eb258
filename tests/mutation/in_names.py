"""Faults in what is done with host names that are looked up."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    Mutant(
        "an answer may lead into the cluster",
        "reach.lookups",
        "why",
        "if covering.is_of_the_cluster(read(address), rules, snapshot):",
        "if False:",
    ),
    Mutant(
        "an answer may lead to the metadata service",
        "reach.lookups",
        "why",
        "if addresses.touching(block, (), addresses.metadata()) is not None:",
        "if False:",
    ),
    Mutant(
        "an answer to whom the author names may be private",
        "reach.lookups",
        "why",
        "not (by_class and _is_named(rules, block))",
        "not _is_named(rules, block)",
    ),
    Mutant(
        "every private address is one that the class means",
        "reach.lookups",
        "why",
        "not (by_class and _is_named(rules, block))",
        "not by_class",
    ),
    Mutant(
        "that addresses stand for names is not told",
        "reach.hostnames",
        "opened",
        "names=tuple(n for n, each in found.items() if each)",
        "names=()",
    ),
)
