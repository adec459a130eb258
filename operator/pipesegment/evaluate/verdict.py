"""What an evaluator answers."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether traffic passes, and which object and rule says so (or which objects lack a rule)."""

    allowed: bool
    because: str
