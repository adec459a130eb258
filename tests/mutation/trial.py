"""One mutant before its judges, in a process of its own that imports the package anew."""

import contextlib
import importlib
import io
import multiprocessing
import re
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.mutation import patching
from tests.mutation.mutant import Mutant

ROOT = Path(__file__).parents[2]
#: Golden cases, then properties, those first that cost little and see much, then judges. The safe order is no compiler's
#: matter.
SUITES: Mapping[str, Sequence[str]] = {
    "golden": ("tests/golden",),
    "properties": (
        "tests/properties/test_declared_is_enforced.py",
        "tests/properties/test_evaluator_against_declaration.py",
        "tests/properties/test_rendered_shapes.py",
        "tests/properties/test_consent.py",
        "tests/properties/test_grants_in_the_mesh.py",
        "tests/properties/test_declarations_only_open.py",
        "tests/properties/test_order_never_matters.py",
    ),
    "judges": ("tests/properties/test_declared_is_what_judges_say.py",),
}
#: What a mutant may cost for each suite, in seconds of the processor: a busy machine must not let mutants live.
SECONDS = 15
_WORD = re.compile(r"[a-z]{4,}")
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the first test that failed, '' when none did; `trouble` where there was no trial."""

    killer: str
    seconds: float
    trouble: str = ""


def build_judges() -> None:
    """Build the judges."""
    apart(_build)


def apart(what: Callable[[], str]) -> str:
    """Do something in a process of its own, for what it imports is what mutants change. Ends the program when it fails."""
    ours, theirs = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=lambda: theirs.send(what()))
    child.start()
    theirs.close()
    try:
        return str(ours.recv())
    except EOFError:
        raise SystemExit(f"mutation: {what.__name__.strip('_')} failed, as told above") from None
    finally:
        child.join()


def _build() -> str:
    for judge in importlib.import_module("lab.oracle.judges").PROGRAMS:
        judge.built()
    return ""


def files(suites: Sequence[str]) -> list[str]:
    """Give the files of suites, in their order."""
    return [file for suite in suites for file in SUITES[suite]]


def preload() -> None:
    """Import once what every trial needs and no mutant changes."""
    for name in ("orjson", "pydantic", "yaml", "lab.cluster", "lab.crds"):
        importlib.import_module(name)


def trial(mutant: Mutant | None, tests: Sequence[str], seconds: int = SECONDS) -> Verdict:
    """Run tests on a mutant until one fails; None is the package as it is."""
    ours, theirs = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_run, args=(mutant, tests, seconds, theirs))
    begun = time.monotonic()
    child.start()
    theirs.close()
    try:
        killer, trouble, spent = ours.recv()
    except EOFError:
        killer, trouble, spent = "", f"no test failed within {seconds} s", time.monotonic() - begun
    child.join()
    return Verdict(killer, spent, trouble)


def _run(mutant: Mutant | None, tests: Sequence[str], seconds: int, answer: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    watch = _Watch(mutant)
    told = io.StringIO()
    if mutant is not None:
        patching.install(mutant)
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        arguments = ["-x", "-q", "-p", "no:cacheprovider", "--cluster-required"]
        code = pytest.main([*arguments, *(str(ROOT / test) for test in tests)], plugins=[watch])
    trouble = watch.trouble
    if not trouble and not watch.killer and code is not pytest.ExitCode.OK:
        trouble = f"pytest ended with {code!r}: {told.getvalue()[-300:]}"
    answer.send((watch.killer, trouble, time.process_time()))


class _Watch:
    """Notes the first test that fails; what cannot be collected is no verdict.

    Golden cases that have words of the mutant's in their names come first: the one that is about it may be the last of all.
    """

    def __init__(self, mutant: Mutant | None) -> None:
        self.killer = ""
        self.trouble = ""
        self._words = frozenset(_WORD.findall(f"{mutant.module} {mutant.name}")) if mutant else frozenset()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        # Only their order among each other changes: what costs more stays behind them.
        places = [number for number, item in enumerate(items) if "test_golden.py" in item.nodeid]
        ordered = sorted((items[number] for number in places), key=self._strangeness)
        for number, item in zip(places, ordered, strict=True):
            items[number] = item

    def _strangeness(self, item: pytest.Item) -> int:
        return -len(self._words & set(_WORD.findall(item.name)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when != "call":
            # A lab that does not start has noticed nothing.
            self.trouble = f"could not be tried: {str(report.longrepr)[-300:]}"
        elif report.failed and not self.killer:
            self.killer = report.nodeid.removeprefix("tests/")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.trouble = f"cannot be imported: {str(report.longrepr)[-300:]}"
