"""The house stands as it was drawn: no package shadows Python's own, rooms say what they are."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = sorted(p.parent.name for p in (ROOT / "operator/pipesegment").glob("*/__init__.py"))


def test_the_operator_folder_is_no_package():
    """An `operator/__init__.py` would shadow Python's own `operator` for everything started at the root."""
    assert not (ROOT / "operator/__init__.py").exists()


def test_import_operator_from_the_root_is_pythons_own():
    code = "import operator, sys; print(operator.__file__ or operator.__spec__.origin); operator.itemgetter(0)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert str(ROOT) not in found.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_holds(room):
    assert (importlib.import_module(f"pipesegment.{room}").__doc__ or "").strip()


def test_nothing_committed_names_this_machine_or_a_package_registrys_host():
    """Hosts are put together here, so that this file does not name them either."""
    hosts = [
        ".".join(parts)
        for parts in (
            ("pypi", "org"),
            ("files", "pythonhosted", "org"),
            ("proxy", "golang", "org"),
            ("registry", "npmjs", "org"),
            ("crates", "io"),
            ("deb", "debian", "org"),
        )
    ]
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wrong = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not path.is_file() or path.stat().st_size > 5_000_000:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        wrong += [f"{name}: {host}" for host in hosts if host in text]
    assert wrong == []


def test_tests_of_many_examples_are_marked_as_thorough():
    """`make check` leaves them to `make test`."""
    files = sorted((ROOT / "tests" / "properties").glob("test_*.py"))
    unmarked = [f.name for f in files if "pytestmark = pytest.mark." not in f.read_text()]
    assert files
    assert unmarked == []
