"""The judge for NetworkPolicies: a small Go program around github.com/mattfenwick/cyclonus, asked line by line."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lab import gotools
from lab.errors import LabError

MODULE: Final = Path(__file__).with_name("cyclonus")
PROGRAM: Final = "cyclonus-judge"


def program() -> Path:
    """Build the judge unless it is built already, and return its path. Raises LabError."""
    return gotools.build(MODULE, ["."], [PROGRAM], note="about two minutes the first time")[PROGRAM]


class Judge:
    """A running judge.

    It needs no stopping in an emergency: it ends by itself when its standard input does.
    """

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    def ask(self, case: Mapping[str, Any]) -> list[bool]:
        """Judge one case, in the JSON that main.go documents.

        Returns one answer for each (source, destination, port), the port varying fastest; sources and destinations are
        the case's pods and then its external ends. Raises LabError when the case is malformed.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(case) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise LabError(f"{PROGRAM} ended with exit code {self._child.wait()} in the middle of a question")
        answer = json.loads(line)
        if answer.get("error"):
            raise LabError(f"{PROGRAM} cannot judge this case: {answer['error']}")
        return [bit == "1" for bit in answer["allowed"]]


@contextlib.contextmanager
def running() -> Iterator[Judge]:
    """Run the judge, building it first if need be. Raises LabError."""
    with subprocess.Popen([program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield Judge(child)
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
