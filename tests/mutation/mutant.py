"""Deliberate faults in the compilers and in `reach`: each is one that somebody could make, and somebody else must notice.

A mutant names a function and a text in it that is replaced. The text must stand there exactly once: a mutant that no
longer applies is an error, not a survivor.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One fault: `old` becomes `new` in a function of a module of the package."""

    name: str
    module: str
    function: str
    old: str
    new: str
