"""A target and what became of a try. Nothing is imported here: the program in the pod calls its first target at once."""

from dataclasses import dataclass
from typing import Literal

#: What became of one try: `open` (and the answer came back, where one is due), `cut` after it was connected, `refused`,
#: `silent` until the time was over, `unreachable` by word of the network.
Answer = Literal["open", "cut", "refused", "silent", "unreachable"]


@dataclass(frozen=True, slots=True, order=True)
class Dial:
    """A TCP port to call. With `echo` a probe listens there, which sends back what it is sent."""

    address: str
    port: int
    echo: bool = True
