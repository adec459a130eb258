"""Write the hash-locked requirements again from pyproject.toml: `python requirements/lock.py`.

operator.txt  what runs in the image
build.txt     what builds the wheel in the image
dev.txt       both, and the group `dev`: what `make` installs

The files name no package index: where packages come from is the installing machine's own setting.
"""
# ruff: noqa: INP001 - a script beside its output, not a package

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPILE = (
    sys.executable,
    "-m",
    "piptools",
    "compile",
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",  # pip and setuptools are pinned as well, where something needs them
    "--strip-extras",
    "--no-header",  # it would repeat this command line, with the machine's own options
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-find-links",
)


def lock(output: str, *arguments: str, requirements: str = "") -> None:
    """Run pip-compile for one file; `requirements` goes to its standard input."""
    # A folder of local wheels would put hashes into the lock that nobody else can download.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}  # noqa: TID251 - no room
    subprocess.run(  # noqa: S603 - the arguments are the constants of this file
        [*COMPILE, "--output-file", f"requirements/{output}", *arguments],
        cwd=ROOT,
        env=environment,
        input=requirements,
        text=True,
        check=True,
    )


def main() -> None:
    """Lock the three files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock("operator.txt", "pyproject.toml")
    lock("build.txt", "--only-build-deps", "--build-deps-for", "wheel", "pyproject.toml")
    # editables: `pip install --editable` asks hatchling for it.
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
        "editables",
    ]
    lock("dev.txt", "--no-annotate", "-", requirements="\n".join(wanted))


if __name__ == "__main__":
    main()
