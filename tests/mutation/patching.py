"""Mutants are made while a module is imported: nothing on the disk changes."""

import ast
import importlib.util
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from tests.mutation.mutant import Mutant

PACKAGE = "pipesegment"


class InapplicableError(Exception):
    """A mutant whose text is not where it says."""


def mutated(mutant: Mutant, source: str) -> str:
    """Give a module's source with the fault in it. Raises InapplicableError, also for a fault that is none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name == mutant.function:
            break
    else:
        raise InapplicableError(f"{mutant.module} has no function {mutant.function}")
    lines = source.splitlines(keepends=True)
    before, body, after = (
        "".join(part)
        for part in (lines[: node.lineno - 1], lines[node.lineno - 1 : node.end_lineno], lines[node.end_lineno :])
    )
    times = body.count(mutant.old)
    if times != 1:
        raise InapplicableError(
            f"{mutant.module}.{mutant.function} holds the text {times} times, not once: {mutant.old}"
        )
    found = before + body.replace(mutant.old, mutant.new) + after
    if ast.dump(ast.parse(found)) == ast.dump(ast.parse(source)):
        raise InapplicableError(f"{mutant.module}.{mutant.function} means the same with: {mutant.new}")
    return found


def source_of(mutant: Mutant) -> str:
    """Read the module that a mutant is about, without importing it. Raises InapplicableError."""
    root = importlib.util.find_spec(PACKAGE)
    assert root is not None
    assert root.submodule_search_locations is not None
    path = Path(root.submodule_search_locations[0], *mutant.module.split(".")).with_suffix(".py")
    if not path.is_file():
        raise InapplicableError(f"there is no module {mutant.module}")
    return path.read_text()


def install(mutant: Mutant) -> None:
    """Have the module imported with the fault in it, from here on in this process."""
    wrong = f"{PACKAGE}.{mutant.module}"
    loaded = [name for name in sys.modules if name.split(".")[0] == PACKAGE and name != PACKAGE]
    if loaded:
        raise RuntimeError(f"too late: {loaded[0]} is imported already")
    sys.meta_path.insert(0, _Finder(wrong, mutant))


class _Finder(MetaPathFinder):
    def __init__(self, name: str, mutant: Mutant) -> None:
        self._name = name
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Iterable[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, list(path or ()), target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutant)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, mutant: Mutant) -> None:
        super().__init__(name, path)
        self._mutant = mutant

    def path_stats(self, path: str) -> dict[str, float]:
        # Neither is bytecode of the right module read, nor that of the wrong one written.
        raise OSError

    def get_data(self, path: str) -> bytes:
        return mutated(self._mutant, Path(path).read_text()).encode()
