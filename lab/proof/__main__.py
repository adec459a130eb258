"""`make proof`: exit code 0 when every judge that there is sees what is declared, 1 when one differs or fails, 130 stopped."""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Final

from lab.errors import LabError
from lab.oracle.judges import CILIUM, CYCLONUS
from lab.progress import say
from lab.proof import scene, show
from lab.proof.engines import Engine
from lab.proof.envoy import Envoy
from lab.proof.hearing import Judge, hear
from lab.proof.kernel import Kernel

JUDGES: Final[Sequence[Judge]] = (
    Engine("cyclonus", "an engine of other people reads the compiled NetworkPolicies", CYCLONUS),
    Engine("Cilium", "Cilium's own policy engine reads them as well", CILIUM),
    Kernel(),
    Envoy(),
)


def main(arguments: Sequence[str] | None = None, judges: Sequence[Judge] = JUDGES) -> int:
    """Ask, show, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make proof", description="What a sample declares, and what engines enforce.")
    parser.add_argument("--all", action="store_true", help="show every way, not only those that say something")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="the form (default: text)")
    given = parser.parse_args(arguments)
    try:
        proof = hear(scene.read(), judges)
    except LabError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    if given.output == "json":
        print(show.document(proof, everything=given.all))
    else:
        show.picture(proof, show.for_people(), everything=given.all)
    return 0 if proof.holds else 1


if __name__ == "__main__":
    # Asked to end in either way, the labs unwind and are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
