"""Lists of EC2, which come in pages."""

from typing import Any, Final

from pipesegment.plan.aws.steps import Call
from pipesegment.world.aws.port import Answer, Cloud, Place

PAGE: Final = 100


class Pages:
    """Reads lists in one place."""

    def __init__(self, cloud: Cloud, place: Place) -> None:
        self._cloud = cloud
        self._place = place

    async def read(self, action: str, key: str, **parameters: Any) -> list[dict[str, Any]]:
        """Read every page of a list."""
        found: list[dict[str, Any]] = []
        while True:
            answer = await self.call(action, MaxResults=PAGE, **parameters)
            found += answer[key]
            if not answer.get("NextToken"):
                return found
            parameters["NextToken"] = answer["NextToken"]

    async def call(self, action: str, **parameters: Any) -> Answer:
        """Make one call of EC2."""
        return await self._cloud.call(self._place, Call("ec2", action, parameters))


def named(name: str, *values: str) -> dict[str, Any]:
    """Write a filter: what has one of these values."""
    return {"Name": name, "Values": list(values)}
