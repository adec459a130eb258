"""What the program has to tell people about a declaration: refusals, findings and gaps, as plain values.

Nothing of ours is imported here: every room speaks in these words, and `lint.catalogue` gives each reason its code.
"""

from dataclasses import dataclass

_CUT = 64


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """One reason why a document is refused.

    `path` is written as in `spec.stages[0].reaches[1].ports[0].endPort`; `problem` says what is wrong with `value`,
    `fix` how to mend it. `object` is `namespace/name` (or the name alone for cluster-scoped kinds).
    """

    path: str
    problem: str
    value: str
    fix: str
    reason: str = "Invalid"
    object: str = ""

    def __str__(self) -> str:
        """Render as the one line that users see: `path: what is wrong with 'value': how to fix it`."""
        return f"{self.path}: {self.problem} {quoted(self.value)}: {self.fix}"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something worth telling about an accepted declaration.

    `reason` is PascalCase and stable (`Unresolved`, `HalfOpen`, `Ungranted`, `Overlapping`, `NoService`…).
    `target` names what the entry points at, in the user's words. Used for `status.gaps[]` as it is.
    """

    path: str
    reason: str
    target: str
    message: str
    fix: str
    object: str = ""

    def __str__(self) -> str:
        """Render as one line for stderr."""
        where = f"{self.object} " if self.object else ""
        return f"{where}{self.path}: {self.reason}: {self.message}: {self.fix}"


def quoted(value: str) -> str:
    """Quote a user's value for a message: escaped, one line, cut at 64 characters."""
    clean = value.encode("unicode_escape").decode("ascii")
    return f"'{clean}'" if len(clean) <= _CUT else f"'{clean[:_CUT]}…'"
