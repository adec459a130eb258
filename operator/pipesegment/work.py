"""What a worker looks at."""

from collections.abc import Callable
from typing import NamedTuple

from pipesegment.facts.meta import Key
from pipesegment.world.queue import Priority


class Work(NamedTuple):
    """A segment, a class, a grant, an exception, an approval, or a namespace for the pods there that nobody fences in."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


#: Makes a key due: after how many seconds at the earliest, and how urgently.
Add = Callable[[Work, float, Priority], None]
