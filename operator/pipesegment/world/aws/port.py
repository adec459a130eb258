"""What the rest of the program may ask of AWS. `Aws` is the real one, `MemoryAws` its twin."""

from typing import Any, NamedTuple, Protocol

from pipesegment.plan.aws.steps import Call

Answer = dict[str, Any]


class Place(NamedTuple):
    """Where calls go, and how many in a second at the most: `budget` names whose they are counted against."""

    budget: str
    account: str
    partition: str
    region: str
    calls_per_second: float


class Cloud(Protocol):
    """AWS, by its own actions. Answers are boto3's, with policy documents as mappings."""

    async def call(self, place: Place, call: Call) -> Answer:
        """Make one call.

        Raises NoCredentials when nobody known is asking, Rejected when AWS says no (`reason` is its code, throttling is
        429), Unreachable when it says nothing.
        """
