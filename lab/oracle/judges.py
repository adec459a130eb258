"""Judges: whoever can say which ways policies leave open. Scenarios ask any of them by one method."""

import contextlib
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from typing import Any, Final, Protocol

from lab import gotools
from lab.errors import LabError
from lab.oracle.world import External, Way, World
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port
from pipesegment.evaluate.networkpolicy import NetworkPolicies

Raw = Mapping[str, Any]

NETWORK_POLICY: Final = "NetworkPolicy"
CILIUM_POLICY: Final = "CiliumNetworkPolicy"
#: Every kind that bears on what a judge of the network says; other objects are passed over.
POLICY_KINDS: Final = frozenset({NETWORK_POLICY, CILIUM_POLICY})


class Judge(Protocol):
    """Somebody with an opinion."""

    @property
    def name(self) -> str:
        """What it is called in reports."""

    def matrix(self, objects: Iterable[Raw], world: World, ports: Sequence[Port]) -> frozenset[Way]:
        """Give every open way between two ends of the world at one of the ports, an end's way to itself included.

        Raises LabError for policies that it does not know or takes for malformed.
        """


@dataclass(frozen=True)
class Program:
    """A judge that is a Go module in a folder beside this file."""

    name: str
    kinds: frozenset[str]
    #: Whether its ipBlocks hold the addresses of pods: Kubernetes leaves that to the engine.
    block_holds_pods: bool
    note: str

    @property
    def module(self) -> Path:
        """The folder of its module."""
        return Path(__file__).with_name(self.name)

    def built(self) -> Path:
        """Build it unless it is built already, and return its path. Raises LabError."""
        program = f"{self.name}-judge"
        return gotools.build(self.module, ["."], [program], note=self.note)[program]

    @contextlib.contextmanager
    def running(self) -> Iterator["Engine"]:
        """Run it, building it first if need be. Raises LabError."""
        command = [self.built()]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            yield Engine(self, child)
            assert child.stdin is not None
            child.stdin.close()
            child.wait()


CYCLONUS: Final = Program(
    "cyclonus", frozenset({NETWORK_POLICY}), block_holds_pods=True, note="about two minutes the first time"
)
CILIUM: Final = Program("cilium", POLICY_KINDS, block_holds_pods=False, note="about four minutes the first time")
PROGRAMS: Final = (CYCLONUS, CILIUM)


class Engine:
    """A running program that judges.

    It needs no stopping in an emergency: it ends by itself when its standard input does.
    """

    def __init__(self, program: Program, child: "subprocess.Popen[str]") -> None:
        self.program = program
        self._child = child

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    def matrix(
        self, objects: Iterable[Raw], world: World, ports: Sequence[Port], *, thorough: bool = False
    ) -> frozenset[Way]:
        """Judge, see `Judge`. `thorough` has an engine with several evaluators compare them: a difference is an error."""
        policies = [_plain(obj) for obj in objects if obj.get("kind") in POLICY_KINDS]
        for policy in policies:
            if policy["kind"] not in self.program.kinds:
                raise LabError(f"{self.name} knows no {policy['kind']}: ask another judge about it")
        allowed = self.ask(
            {
                "objects": policies,
                "world": world.wire(),
                "ports": [{"port": port.number, "protocol": port.protocol} for port in ports],
                "thorough": thorough,
            }
        )
        ways = product(world.names, world.names, map(str, ports))
        return frozenset(Way(*way) for way, bit in zip(ways, allowed, strict=True) if bit == "1")

    def ask(self, case: Mapping[str, Any]) -> str:
        """Judge one case in the JSON of the contract and return its `allowed`; raises LabError when it is malformed."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(case) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LabError(f"{self.name} ended with exit code {self._child.wait()} in the middle of a question")
        answer = json.loads(line)
        if answer.get("error"):
            raise LabError(f"{self.name} cannot judge this case: {answer['error']}")
        return str(answer["allowed"])


@dataclass(frozen=True)
class Ours:
    """Our own evaluator of NetworkPolicies as a judge."""

    block_holds_pods: bool = False
    name: str = "pipesegment"

    def matrix(self, objects: Iterable[Raw], world: World, ports: Sequence[Port]) -> frozenset[Way]:
        """Judge, see `Judge`."""
        objects = list(objects)
        if any(obj.get("kind") == CILIUM_POLICY for obj in objects):
            raise LabError(f"our evaluator knows no {CILIUM_POLICY}: ask another judge about it")
        policies = NetworkPolicies(objects, cidr_matches_pods=self.block_holds_pods)
        ends: tuple[PodEnd | External, ...] = (*world.pods, *world.externals)
        return frozenset(
            Way(str(source), str(destination), str(port))
            for source, destination in product(ends, repeat=2)
            for port in ports
            if any(policies.verdict(one, other, port).allowed for one, other in _pairs(source, destination))
        )


def _pairs(source: PodEnd | External, destination: PodEnd | External) -> Sequence[tuple[End, End]]:
    """See an external as its addresses: those whose family the other end has, or all where they share none."""
    every = list(product(_ends(source), _ends(destination)))
    return [pair for pair in every if _families(pair[0]) & _families(pair[1])] or every


def _ends(end: PodEnd | External) -> list[End]:
    return [AddressEnd(ip) for ip in end.ips] if isinstance(end, External) else [end]


def _families(end: End) -> set[int]:
    return {ip_address(ip).version for ip in end.ips}


def _plain(policy: Raw) -> dict[str, Any]:
    """Leave out what does not bear on traffic: programs read strictly, and servers add fields."""
    meta = policy["metadata"]
    return {
        "apiVersion": policy["apiVersion"],
        "kind": policy["kind"],
        "metadata": {"namespace": meta.get("namespace") or "default", "name": meta["name"]},
        **{key: policy[key] for key in ("spec", "specs") if key in policy},
    }
