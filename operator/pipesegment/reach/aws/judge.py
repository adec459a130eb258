"""Where what the class does not allow is noted: a stage with any of it gets no role, and its network is untouched."""

from dataclasses import dataclass, field

from pipesegment.findings import Refusal
from pipesegment.reach.graph import Governance
from pipesegment.spec.classaws import ClassAws


@dataclass
class Judge:
    """One stage before the class that governs it; `object` is the segment as findings name it."""

    object: str
    governing: Governance
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def aws(self) -> ClassAws:
        """What the class says of AWS."""
        return self.governing.spec.aws

    @property
    def who(self) -> str:
        """The class as refusals name it."""
        return f"SegmentClass {self.governing.name}"

    def refuse(self, path: str, problem: str, value: str, fix: str) -> None:
        """Note a reason why there is no role; saying it twice notes it once."""
        refusal = Refusal(path, problem, value, fix, "Invalid", self.object)
        if refusal not in self.refusals:
            self.refusals.append(refusal)

    def lacks(self, path: str, field: str, value: str) -> None:
        """Note that the class leaves out what such a role needs."""
        problem = f"cannot become a role, since {self.who} has no aws.{field}:"
        self.refuse(path, problem, value, f"have the platform team set spec.aws.{field}")
