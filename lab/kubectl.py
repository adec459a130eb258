"""kubectl with one kubeconfig, free of the preferences of the person who runs it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_TIMEOUT = 120.0


@dataclass(frozen=True)
class Kubectl:
    """The program, the kubeconfig that it uses, and the folder for its discovery cache. Call it with arguments."""

    program: Path
    kubeconfig: Path
    cache: Path

    def __call__(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl, with another kubeconfig if given, and return what it printed; LabError when it fails."""
        reply = subprocess.run(
            [
                str(self.program),
                f"--kubeconfig={kubeconfig or self.kubeconfig}",
                f"--cache-dir={self.cache}",
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
            env=os.environ | {"KUBERC": "off"},
        )
        if reply.returncode != 0:
            raise LabError(f"'kubectl {' '.join(arguments)}' ended with {reply.returncode}: {reply.stderr.strip()}")
        return reply.stdout
