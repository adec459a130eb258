"""Some of the faults once more, before those who enforce: the kernel behind Calico's Felix, real sidecars, istiod for ztunnel.

What the others conclude from objects is seen in packets and status codes here: a fault that all readers of objects took for
harmless would show. Each is tried with the one scenario that is about it, for every trial starts a lab of its own.
"""

import importlib
from collections.abc import Mapping
from typing import Final

from tests.mutation.trial import apart

_KERNEL: Final = "tests/enforcement/test_scenarios.py::test_enforced"
_SIDECARS: Final = "tests/enforcement/test_mesh_lab.py::test_sidecars_answer_as_expected_and_as_the_evaluator_says"
_ZTUNNEL: Final = "tests/enforcement/test_ambient_lab.py::test_ztunnel_is_told_to_let_in_whom_the_scenario_says"

#: A mutant, by its name -> the test that must notice it.
SCENARIOS: Final[Mapping[str, str]] = {
    "Egress is dropped from policyTypes": (
        f"{_KERNEL}[a-stage-that-declares-nothing-reaches-nobody-and-is-reached-by-nobody]"
    ),
    "the two selectors of a peer are split into two peers, an OR": (
        f"{_KERNEL}[pods-of-a-namespace-are-meant-by-namespace-and-labels-together]"
    ),
    "a port loses its protocol": f"{_KERNEL}[udp-tcp-and-sctp-are-three-things]",
    "a principal loses its namespace": f"{_SIDECARS}[an-account-of-the-same-name-in-another-namespace-is-nobody]",
    "an ALLOW that admits nobody admits everybody": f"{_SIDECARS}[a-stage-that-accepts-nothing-answers-nobody]",
    "a waypoint is let in at every port": (
        f"{_ZTUNNEL}[behind-a-waypoint-ztunnel-lets-in-the-waypoint-and-whoever-needs-none]"
    ),
    "a grant's callers are denied nothing": (
        f"{_ZTUNNEL}[a-grant-denies-its-caller-every-other-port-and-nobody-else-anything]"
    ),
}
#: What any one process of a trial may cost, in seconds of the processor: an API server is among them.
SECONDS: Final = 300


def lacking() -> str:
    """Say what this machine lacks for both labs; '' when nothing does. What is not built yet is built."""
    return apart(_lacking)


def _lacking() -> str:
    network, mesh = importlib.import_module("lab.network.binaries"), importlib.import_module("lab.mesh")
    try:
        network.check_machine()
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing would be enforced
        return str(error)
    return mesh.missing() or ""
