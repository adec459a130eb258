"""DNS for those who may never ask: most clusters have no name looked up."""

from pipesegment.world.lookups import Answered, Family, Lookups


class Dns:
    """Asks the resolvers of this machine, or those that are given; what asks them is loaded with the first name."""

    def __init__(self, servers: tuple[tuple[str, int], ...] = ()) -> None:
        self._servers = servers
        self._resolvers: Lookups | None = None

    async def lookup(self, name: str, family: Family) -> Answered:
        """Ask once; see `Lookups`."""
        if self._resolvers is None:
            from pipesegment.world.dns import Resolvers  # noqa: PLC0415

            self._resolvers = Resolvers(self._servers)
        return await self._resolvers.lookup(name, family)
