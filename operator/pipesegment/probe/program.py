"""What runs in a probe pod: a listener that sends back what it is sent, and a caller that tries to reach one.

A connection alone proves little: a sidecar takes it before it knows whether it can pass it on. So callers send a line
and want it back, where a listener of ours is at the other end.
"""

import asyncio
import errno
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Final

from pipesegment.errors import Unreachable
from pipesegment.probe.dial import Answer, Dial

_LINE: Final = b"pipesegment probe\n"
_LONGEST: Final = 64
#: How long a listener bears with whoever connects and says nothing.
_PATIENCE: Final = 5.0


async def call(dials: Sequence[Dial], rounds: int, pause: float, patience: float) -> list[list[Answer]]:
    """Try every dial in every round; give the answers in the order of the dials."""
    answers: list[list[Answer]] = [[] for _ in dials]
    for number in range(rounds):
        if number:
            await asyncio.sleep(pause)
        tried = await asyncio.gather(*(_try(dial, patience) for dial in dials))
        for told, answer in zip(answers, tried, strict=True):
            told.append(answer)
    return answers


async def listen(ports: Sequence[int], addresses: Sequence[str], ready: int, seconds: float) -> None:
    """Answer at some ports for a while. Opens the port `ready` once each of them answers at each own address.

    Raises Unreachable when one does not.
    """
    async with AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(await asyncio.start_server(_echo, port=port))
        own = [Dial(address, port) for address in addresses for port in ports]
        tried = await asyncio.gather(*(_try(dial, _PATIENCE) for dial in own))
        for dial, answer in zip(own, tried, strict=True):
            if answer != "open":
                raise Unreachable(f"port {dial.port} does not answer at the own address {dial.address}: {answer}")
        await stack.enter_async_context(await asyncio.start_server(_echo, port=ready))
        await asyncio.sleep(seconds)


async def _try(dial: Dial, patience: float) -> Answer:
    connected = False
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(dial.address, dial.port)
            connected = True
            try:
                return await _exchange(reader, writer) if dial.echo else "open"
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return "cut" if connected else "silent"
    except OSError as error:
        if connected:
            return "cut"
        if error.errno == errno.ETIMEDOUT:
            return "silent"
        return "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
    writer.write(_LINE)
    await writer.drain()
    return "open" if await reader.readline() == _LINE else "cut"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, TimeoutError, asyncio.LimitOverrunError, ValueError):
        async with asyncio.timeout(_PATIENCE):
            line = await reader.read(_LONGEST)
            if line:
                writer.write(line)
                await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
