"""The locks: complete, hashed, in step with pyproject.toml, and naming no package index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("operator", "build", "dev")

RUNTIME = PROJECT["project"]["dependencies"]
BUILD = PROJECT["build-system"]["requires"]
DEV = PROJECT["dependency-groups"]["dev"]
ASKED = {"operator": RUNTIME, "build": BUILD, "dev": [*RUNTIME, *BUILD, *DEV]}

PIN = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^\s\\]+) \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    return {match["name"]: match["version"] for line in lines if (match := PIN.match(line))}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_hashes_and_comments_and_nothing_else(lock):
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    stray = [
        line
        for line in lines
        if line and not PIN.match(line) and not HASH.match(line) and not line.lstrip().startswith("#")
    ]

    assert stray == []
    assert not re.search(r"://|--(index|extra|find|trusted)", "\n".join(lines))
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert not PIN.match(line) or HASH.match(following), line


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for(lock):
    pinned = pins(lock)
    wrong = [
        asked
        for asked in map(Requirement, ASKED[lock])
        if not asked.specifier.contains(pinned.get(canonicalize_name(asked.name), "0"), prereleases=True)
    ]

    assert wrong == [], "run `python requirements/lock.py`"


@pytest.mark.parametrize("lock", ["operator", "build"])
def test_what_is_tested_is_what_is_shipped(lock):
    assert pins(lock).items() <= pins("dev").items()


def test_the_dependencies_page_names_every_direct_dependency_with_its_version():
    page = (ROOT / "docs" / "dependencies.md").read_text()
    named = dict(re.findall(r"^\| `([^`]+)` \| ([^ |]+) \|", page, re.MULTILINE))
    direct = {canonicalize_name(Requirement(asked).name) for asked in ASKED["dev"]}

    assert named == {name: version for name, version in pins("dev").items() if name in direct}


def test_the_dependencies_page_names_no_host():
    assert "://" not in (ROOT / "docs" / "dependencies.md").read_text()
