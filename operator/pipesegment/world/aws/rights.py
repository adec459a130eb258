"""The rights of roles as they were read last. At rest a look reads one part of them anew, in turn (docs/adr/0057).

Whose a role is, whom it trusts and what bounds it is read at every look, beside this.
"""

from dataclasses import dataclass
from typing import Final

from pipesegment.plan.aws.roles import Found
from pipesegment.world.aws.port import Place
from pipesegment.world.aws.reading import Given, Reader

#: What is read in turn: which managed policies it has, which inline ones, and what these say.
_PARTS: Final = 3


@dataclass(slots=True)
class _Read:
    """What was read of one role, and the role itself, as it was then: another id, or another trust, is news.

    `turn` is the part that is next.
    """

    head: Found
    given: Given
    turn: int = 0


class Rights:
    """Reads rights, and remembers them."""

    def __init__(self) -> None:
        self._read: dict[tuple[Place, str], _Read] = {}

    async def of(self, reader: Reader, place: Place, head: Found, *, at_rest: bool) -> Found:
        """Give a role with its rights: as a whole, or (`at_rest`) with one part read anew. What differs has all read.

        So has a role whose trust, boundary, tags or id are others than before: whoever changed them may have given more.
        """
        name = head.role.name
        known = self._read.get((place, name))
        if at_rest and known is not None and known.head == head and await self._stands(reader, name, known):
            known.turn = (known.turn + 1) % _PARTS
            return known.given.to(head)
        given = await reader.given(name)
        self._read[place, name] = _Read(head, given)
        return given.to(head)

    def forget(self, place: Place, name: str) -> None:
        """Forget a role that is not there any more."""
        self._read.pop((place, name), None)

    async def _stands(self, reader: Reader, name: str, known: _Read) -> bool:
        inline, managed = known.given.inline, known.given.managed
        match known.turn:
            case 0:
                return await reader.attached(name) == managed
            case 1:
                return set(await reader.policies(name)) == set(inline)
            case _:
                return await reader.documents(name, inline) == dict(inline)
