"""The program in a probe pod, on loopback: what it calls open, and what it does not."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from pipesegment.errors import Unreachable
from pipesegment.probe import program
from pipesegment.probe.dial import Dial

HOST = "127.0.0.1"


def free(number: int = 1) -> list[int]:
    """Give ports that nobody has."""
    held = [socket.socket() for _ in range(number)]
    for each in held:
        each.bind((HOST, 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@asynccontextmanager
async def serving(answer):
    """A server of somebody else's."""
    server = await asyncio.start_server(answer, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def hold(reader, writer):
    await reader.read()
    writer.close()


async def reset(_reader, writer):
    writer.transport.abort()


async def babble(_reader, writer):
    writer.write(b"220 somebody else\r\n")
    writer.close()


async def test_a_listener_answers_once_each_of_its_ports_does():
    one, two, ready = free(3)
    listening = asyncio.create_task(program.listen([one, two], [HOST], ready, 60))
    try:
        async with asyncio.timeout(10):
            while (await program.call([Dial(HOST, ready)], 1, 0, 1)) != [["open"]]:  # noqa: ASYNC110 - a port cannot be awaited
                await asyncio.sleep(0.01)
        assert await program.call([Dial(HOST, one), Dial(HOST, two)], 2, 0, 1) == [["open"] * 2] * 2
    finally:
        listening.cancel()


async def test_a_listener_that_does_not_reach_itself_never_becomes_ready():
    one, ready = free(2)

    with pytest.raises(Unreachable, match=f"port {one} does not answer at the own address 255"):
        await program.listen([one], [HOST, "255.255.255.255"], ready, 60)
    assert await program.call([Dial(HOST, one), Dial(HOST, ready)], 1, 0, 1) == [["refused"], ["refused"]]


@pytest.mark.parametrize(("server", "expected"), [(hold, "cut"), (reset, "cut"), (babble, "cut")])
async def test_a_connection_without_the_answer_is_not_open(server, expected):
    async with serving(server) as port:
        assert await program.call([Dial(HOST, port)], 1, 0, 0.3) == [[expected]]


async def test_where_no_answer_is_due_a_connection_is_enough():
    async with serving(hold) as port:
        assert await program.call([Dial(HOST, port, echo=False)], 1, 0, 0.3) == [["open"]]


async def test_nobody_there_is_refused():
    (port,) = free()

    assert await program.call([Dial(HOST, port)], 1, 0, 1) == [["refused"]]


async def test_a_full_queue_is_silent():
    """A listening socket that accepts nobody drops what comes when its queue is full: so does a policy."""
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(3)]
        try:
            for each in held:
                each.setblocking(False)
                each.connect_ex((HOST, port))
            assert await program.call([Dial(HOST, port)], 1, 0, 0.2) == [["silent"]]
        finally:
            for each in held:
                each.close()


async def test_what_opens_later_is_seen_in_its_order():
    (port,) = free()
    calling = asyncio.create_task(program.call([Dial(HOST, port, echo=False)], 2, 0.5, 1))
    await asyncio.sleep(0.1)
    server = await asyncio.start_server(hold, HOST, port)
    async with server:
        assert await calling == [["refused", "open"]]


def probe(*args):
    return subprocess.run(
        [sys.executable, "-m", "pipesegment", "probe", *args], capture_output=True, text=True, check=False, timeout=30
    )


def test_the_verb_prints_one_line_of_json():
    (port,) = free()
    targets = json.dumps([{"address": HOST, "port": port}])

    done = probe("--targets", targets, "--rounds", "2", "--pause", "0")

    assert (done.returncode, json.loads(done.stdout)) == (0, {"answers": [["refused", "refused"]]})
    assert done.stderr == ""


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--targets", "[]", "--listen", "80"],
        ["--targets", "{"],
        ["--targets", "[1]"],
        ["--targets", json.dumps([{"address": HOST, "port": 1}] * 257)],
        ["--listen", "a"],
        ["--listen", "0"],
        ["--listen", "80", "--seconds", "99999"],
    ],
)
def test_the_verb_refuses_nonsense(args):
    assert probe(*args).returncode == 2


def test_the_program_in_the_pod_waits_for_no_library():
    script = (
        "import sys; from pipesegment.cli import program\n"
        "program.main(['probe', '--targets', '[]'], standalone_mode=False)\n"
        "heavy = {'kopf', 'kubernetes', 'aiohttp', 'pydantic', 'yaml', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
