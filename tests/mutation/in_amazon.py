"""Faults in what is said of the Amazon VPC CNI."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    Mutant("ports that it drops stay open", "compile.expressible", "_crowded", '!= "AmazonVPC"', '!= "Amazon"'),
    Mutant(
        "the ports of a block that holds another are not counted there",
        "reach.crowding",
        "_around",
        "length <= own.prefixlen",
        "length == own.prefixlen",
    ),
    Mutant(
        "a Service that leads to a stage by fewer labels is taken to be open",
        "reach.conformance.fronted",
        "_of_peer",
        "if not peer.selector.matches(dict(selector.labels)):",
        "if False:",
    ),
    Mutant(
        "names of ports with several numbers are not told",
        "reach.conformance.amazon",
        "_merged_ports",
        "len(found) > 1",
        "len(found) > 2",
    ),
)
