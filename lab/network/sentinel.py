"""The sentinel: how one knows that the engines enforce what the API server was told before.

Felix acknowledges nothing. But it takes each kind of object in the order of its changes, and writes to the kernel what it
has taken, in order: so a change of our own is made after the changes of others, and its effect in the kernel is waited for.
On each node an asker tries an answerer at ports that are open in turn: one pair of ports follows the asker's label, one
the namespace's, one the policy itself. Never is a rule's absence waited for, always a port that opens.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence

from lab.api import Api
from lab.errors import LabError
from lab.network import objects, pods
from lab.network.agent import Agent
from lab.network.nodes import Node
from lab.network.objects import Object
from lab.network.pods import Addresses, Pod
from lab.network.traffic import Outcome, Probe, Server

_SPACE = "lab-sentinel"
_TURNS = ("even", "odd")
#: The ports of (even, odd): open to an asker of this turn, to a namespace of this turn, by a policy of this turn.
_BY_POD, _BY_SPACE, _BY_POLICY = (8001, 8002), (8003, 8004), (8005, 8006)
#: Open by every policy: the control beside whatever is blocked.
CONTROL = 8000
_TRY = 0.01
_WITHIN = 10.0


class Sentinel:
    """The pods of the sentinel; `settled` waits for the engines."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._pods = self._policies = 0
        self._pairs: list[tuple[Pod, Pod]] = []

    async def start(self, api: Api, nodes: Sequence[Node], addresses: Addresses) -> None:
        """Make the sentinel's pods and policies, and wait until every node enforces them."""
        await api.apply(objects.namespace(_SPACE, {"turn": _TURNS[0]}))
        await api.wait("v1", "ServiceAccount", "default", _SPACE)
        for obj in (*_fixed(), self._policy()):
            await api.apply(obj)
        placed = [
            (objects.pod(_SPACE, f"{role}-{node.name}", {"role": role, "turn": _TURNS[0]}), node, addresses.of(node))
            for node in nodes
            for role in ("asker", "answerer")
        ]
        made = await pods.make(api, placed)
        self._pairs = list(zip(made[::2], made[1::2], strict=True))
        ports = (CONTROL, *_BY_POD, *_BY_SPACE, *_BY_POLICY)
        answerers = [answerer for _, answerer in self._pairs]
        self._agent.serve(
            Server(a.host.namespace, "TCP", ip, port, str(a)) for a in answerers for ip in a.host.ips for port in ports
        )
        await self._opened((_BY_POD[0], _BY_SPACE[0], _BY_POLICY[0]))
        await self.settled(api)

    async def settled(self, api: Api) -> None:
        """Wait until every node enforces what the API server was told before. Raises LabError."""
        self._pods = 1 - self._pods
        label = {"metadata": {"labels": {"turn": _TURNS[self._pods]}}}
        await asyncio.gather(
            api.patch("v1", "Namespace", _SPACE, label),
            self._turn_policy(api),
            *(api.patch("v1", "Pod", asker.name, label, _SPACE) for asker, _ in self._pairs),
        )
        await self._opened((_BY_POD[self._pods], _BY_SPACE[self._pods], _BY_POLICY[self._policies]))
        # What came with these changes may have been written in part: sets come before rules. It is whole when a later
        # rule is there.
        await self._turn_policy(api)
        await self._opened((_BY_POLICY[self._policies],))

    async def _turn_policy(self, api: Api) -> None:
        self._policies = 1 - self._policies
        await api.apply(self._policy())

    def controls(self) -> list[Probe]:
        """Give probes that every engine must let through at any time."""
        return self._probes([CONTROL])

    async def _opened(self, ports: Iterable[int]) -> None:
        pending = self._probes(ports)
        deadline = time.monotonic() + _WITHIN
        while pending:
            answers = await asyncio.to_thread(self._agent.probe, pending, _TRY)
            left = [p for p, answer in zip(pending, answers, strict=True) if answer.outcome is not Outcome.ANSWERED]
            if left and time.monotonic() > deadline:
                raise LabError(f"an engine does not enforce what it was told {_WITHIN:g} s ago: {left[0]} is not open")
            pending = left

    def _probes(self, ports: Iterable[int]) -> list[Probe]:
        return [
            Probe(asker.host.namespace, "TCP", ip, port)
            for port in ports
            for asker, answerer in self._pairs
            for ip in answerer.host.ips
        ]

    def _policy(self) -> Object:
        ports = [{"port": CONTROL, "protocol": "TCP"}, {"port": _BY_POLICY[self._policies], "protocol": "TCP"}]
        return objects.policy(_SPACE, "policies", {"role": "answerer"}, ingress=[{"ports": ports}])


def _fixed() -> Iterable[Object]:
    for name, peer, ports in (("pods", "podSelector", _BY_POD), ("namespaces", "namespaceSelector", _BY_SPACE)):
        rules = [
            {"from": [{peer: {"matchLabels": {"turn": turn}}}], "ports": [{"port": port, "protocol": "TCP"}]}
            for turn, port in zip(_TURNS, ports, strict=True)
        ]
        yield objects.policy(_SPACE, name, {"role": "answerer"}, ingress=rules)
