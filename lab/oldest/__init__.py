"""What the oldest supported Kubernetes says of our kinds: its validation of CustomResourceDefinitions, without its server.

It estimates what CEL rules may cost, and refuses a definition that may cost too much; newer ones estimate lower.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab import gotools
from lab.errors import LabError

MODULE = Path(__file__).parent
_PROGRAM = "oldest-definitions"


def program() -> Path:
    """Build the program unless it is built already, and return its path. Raises LabError."""
    return gotools.build(MODULE, ["."], [_PROGRAM], note="about four minutes the first time")[_PROGRAM]


def wrong(definitions: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Give for each CustomResourceDefinition, by its name, what its API server would refuse it for. Raises LabError."""
    given = list(definitions)
    lines = "".join(json.dumps(definition) + "\n" for definition in given)
    reply = subprocess.run([program()], input=lines, capture_output=True, text=True, check=False)
    answers = reply.stdout.splitlines()
    if reply.returncode != 0 or len(answers) != len(given):
        raise LabError(f"{_PROGRAM} ended with exit code {reply.returncode}: {reply.stderr.strip()}")
    return {d["metadata"]["name"]: json.loads(line) for d, line in zip(given, answers, strict=True)}
