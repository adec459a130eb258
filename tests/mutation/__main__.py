"""`python -m tests.mutation`: every deliberate fault must be noticed. `make mutate` runs it.

Exit codes: 0 all were killed, 1 some survived or no longer apply, 2 bad usage.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.mutation import enforced, patching
from tests.mutation.mutant import Mutant
from tests.mutation.mutants import MUTANTS
from tests.mutation.trial import SECONDS, SUITES, Verdict, build_judges, files, preload, trial


class Attempt(NamedTuple):
    """A mutant, the tests that look at it, and what they may cost."""

    mutant: Mutant
    tests: Sequence[str]
    seconds: int


#: What all suites together may cost on the package as it is.
_ALL = 600


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose name holds one of these")
    parser.add_argument("--list", action="store_true", help="show the mutants and try none")
    parser.add_argument("--no-baseline", action="store_true", help="do not first check that the suites pass unmutated")
    parser.add_argument(
        "--suites",
        default="golden,properties",
        help=f"which of {', '.join(SUITES)} look at the mutants, in this order (default: golden,properties)",
    )
    parser.add_argument("--enforced", action="store_true", help="only what the kernel and real sidecars are to notice")
    arguments = parser.parse_args()
    suites = arguments.suites.split(",")
    if unknown := set(suites) - SUITES.keys():
        parser.error(f"there is no suite {min(unknown)}: use {', '.join(SUITES)}")
    chosen = [m for m in MUTANTS if not arguments.words or any(word in m.name for word in arguments.words)]
    if not chosen:
        parser.error(f"no mutant is called {' or '.join(arguments.words)}: see --list")
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.module}.{mutant.function}: {mutant.name}")
        return 0
    trouble = [str(found) for mutant in MUTANTS if (found := _inapplicable(mutant))]
    if trouble:
        print("\n".join(f"this mutant no longer applies: {each}" for each in trouble), file=sys.stderr)
        return 1
    if "judges" in suites:
        build_judges()
    preload()
    read = [] if arguments.enforced else [Attempt(mutant, files(suites), SECONDS * len(suites)) for mutant in chosen]
    seen = _before_those_who_enforce(chosen)
    if not arguments.no_baseline:
        for what, tests in (("suites", files(suites) if read else []), ("scenarios", [a.tests[0] for a in seen])):
            if tests and not _pass(what, tests):
                return 1
    every = [*read, *seen]
    return _report([(a.mutant, _try(number, len(every), a)) for number, a in enumerate(every, 1)])


def _inapplicable(mutant: Mutant) -> patching.InapplicableError | None:
    try:
        patching.mutated(mutant, patching.source_of(mutant))
    except patching.InapplicableError as error:
        return error
    return None


def _before_those_who_enforce(chosen: Sequence[Mutant]) -> list[Attempt]:
    """Give what is tried in the kernel and at real sidecars; nothing, and loudly, where they cannot be had."""
    wanted = [mutant for mutant in chosen if mutant.name in enforced.SCENARIOS]
    lacking = enforced.lacking() if wanted else ""
    if lacking:
        _say(f"NOTHING IS TRIED IN THE KERNEL AND AT SIDECARS: {lacking}")
        return []
    return [Attempt(mutant, [enforced.SCENARIOS[mutant.name]], enforced.SECONDS) for mutant in wanted]


def _pass(what: str, tests: Sequence[str]) -> bool:
    _say(f"the {what} on the package as it is …")
    baseline = trial(None, tests, seconds=_ALL)
    if baseline.killer or baseline.trouble:
        _say(f"they do not pass: {baseline.killer or baseline.trouble}")
        return False
    _say(f"they pass, in {baseline.seconds:.0f} s")
    return True


def _try(number: int, of: int, attempt: Attempt) -> Verdict:
    begun = time.monotonic()
    mutant = attempt.mutant
    found = trial(mutant, attempt.tests, attempt.seconds)
    fate = "killed" if found.killer else f"SURVIVES ({found.trouble or 'every test passed'})"
    _say(f"{number}/{of} {fate} after {time.monotonic() - begun:.0f} s: {mutant.name}")
    return found


def _report(found: Sequence[tuple[Mutant, Verdict]]) -> int:
    width = max(len(mutant.name) for mutant, _ in found)
    print(f"{'mutant':{width}}  seconds  killed by")
    for mutant, verdict in found:
        print(f"{mutant.name:{width}}  {verdict.seconds:7.1f}  {verdict.killer or '-'}")
    alive = [mutant.name for mutant, verdict in found if not verdict.killer]
    print(
        f"{len(found) - len(alive)} of {len(found)} killed, by readers of objects within {SECONDS} s of the processor "
        "for each suite"
    )
    if alive:
        print(f"alive: {'; '.join(alive)}", file=sys.stderr)
    return 1 if alive else 0


def _say(text: str) -> None:
    print(f"mutation: {text}", file=sys.stderr, flush=True)


sys.exit(main())
