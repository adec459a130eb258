"""What the rest of the program may ask of AWS. `Aws` is the real one, `MemoryAws` its twin."""

from typing import Any, NamedTuple, Protocol

from pipesegment.plan.aws.steps import Call
from pipesegment.spec.classaws import ClassAws

Answer = dict[str, Any]


class Place(NamedTuple):
    """Where calls go, and how many in a second at the most: `budget` names whose they are counted against."""

    budget: str
    account: str
    partition: str
    region: str
    calls_per_second: float

    @classmethod
    def of(cls, budget: str, aws: ClassAws) -> "Place":
        """Read it off what a class says; what the class leaves out is empty."""
        return cls(budget, aws.account_id or "", aws.partition, aws.region or "", aws.calls_per_second)


class Cloud(Protocol):
    """AWS, by its own actions. Answers are boto3's, with policy documents as mappings."""

    async def call(self, place: Place, call: Call) -> Answer:
        """Make one call.

        Raises NoCredentials when nobody known is asking, Rejected when AWS says no (`reason` is its code, throttling is
        429), Unreachable when it says nothing.
        """
