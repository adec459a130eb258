"""DNS for those who may never ask: most clusters have no name looked up."""

from pipesegment.world.lookups import Answered, Family, Lookups


class Dns:
    """Asks the resolvers of this machine; what asks them is loaded with the first name."""

    def __init__(self) -> None:
        self._resolvers: Lookups | None = None

    async def lookup(self, name: str, family: Family) -> Answered:
        """Ask once; see `Lookups`."""
        if self._resolvers is None:
            from pipesegment.world.dns import Resolvers  # noqa: PLC0415

            self._resolvers = Resolvers()
        return await self._resolvers.lookup(name, family)
