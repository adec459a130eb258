"""`make proof` as people run it: every judge is there, none differs from the declaration, and README shows it so."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.errors import UnsupportedError
from lab.mesh import missing
from lab.network import binaries
from lab.proof.show import NOT_ASKED
from tests.planes import give_up

pytestmark = pytest.mark.enforcement

ROOT = Path(__file__).parents[2]
WITHIN = 300


@pytest.fixture
def root(request):
    """Root, on a machine where network namespaces and redirection can be had."""
    lacking = missing()
    try:
        binaries.check_machine()
    except UnsupportedError as error:
        lacking = str(error)
    if lacking:
        give_up(request.config, f"NOTHING WAS PROVED HERE, the labs cannot run: {lacking}")


def test_what_the_sample_declares_is_what_every_judge_sees(root):
    # A process may have one network lab, and this one's may be in use.
    done = subprocess.run(
        [sys.executable, "-m", "lab.proof", "-o", "json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["holds"], found["differences"], found["missing"]) == (True, 0, [])
    answers = {judge["name"]: judge["answers"] for judge in found["judges"]}
    assert answers["cyclonus"] == answers["kernel"] == found["compared"]
    opened = {(way["from"], way["to"], way["port"]) for way in found["ways"] if way["judges"]["kernel"]["open"]}
    resolver = ("kube-system/dns", "UDP/53")
    assert opened == {
        ("ci/build", "registry", "TCP/443"),
        ("ci/build", "ci/cache", "TCP/8080"),
        ("ci/test", "ci/build", "TCP/8080"),
        ("ci/deploy", "apiserver", "TCP/6443"),
        ("ci/deploy", "prod/api", "TCP/8080"),
        *((f"ci/{stage}", *resolver) for stage in ("build", "cache", "test", "deploy")),
    }
    said = {
        (way["from"], way["to"]): way["judges"]["Envoy"]["said"] for way in found["ways"] if "Envoy" in way["judges"]
    }
    # Whoever is a pod asks each stage: the other three, the stray one, the application and the resolver.
    assert answers["Envoy"] == 4 * (3 + 3)
    assert {pair for pair, status in said.items() if status == "200"} == {
        ("ci/build", "ci/cache"),
        ("ci/test", "ci/build"),
    }
    assert said["ci/stray", "ci/deploy"] == "403"
    assert said["prod/api", "ci/deploy"] == "reset"
    shown = _shown_in_the_readme()
    assert len(shown) > len(found["judges"])
    assert shown.items() <= {_name(way): _cells(way, list(answers)) for way in found["ways"]}.items()


def _shown_in_the_readme() -> dict[str, list[str]]:
    """The lines of README's picture: a way, and what stands in its columns."""
    lines = re.findall(r"^  (\S+ → \S+ : \S+) +(\S.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {way: re.split(r" {2,}", cells) for way, cells in lines}


def _name(way: dict[str, Any]) -> str:
    return f"{way['from']} → {way['to']} : {way['port'].removeprefix('TCP/')}"


def _cells(way: dict[str, Any], judges: list[str]) -> list[str]:
    signs = {
        name: f"{'✓' if said['open'] else '✗'} {said.get('said', '')}".strip() for name, said in way["judges"].items()
    }
    return ["✓" if way["declared"] else "✗", *(signs.get(name, NOT_ASKED) for name in judges)]
