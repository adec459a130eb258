"""The image: its recipe, and those of its steps that need no container engine; with one, the image itself."""

import email
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pipesegment
from lab import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
WORKFLOWS = {path.stem: path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}


def run(*command: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    # Packages come from where this machine's pip is told to look; nothing else of its settings has a say.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIPESEGMENT"))}
    reply = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert reply.returncode == 0, f"{' '.join(map(str, command))}:\n{reply.stdout}\n{reply.stderr}"
    return reply


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Path:
    """The build context: what .dockerignore lets through."""
    folder = tmp_path_factory.mktemp("context")
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in allowed:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, target)
    return folder


@pytest.fixture(scope="module")
def wheel(context: Path) -> Path:
    """The wheel, built from the context as the Dockerfile builds it."""
    arguments = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels", ".")
    run(sys.executable, *arguments, cwd=context)
    (found,) = (context / "wheels").glob("*.whl")
    return found


def stages() -> list[list[str]]:
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    instructions = [line for line in lines if line and not line.startswith("#")]
    starts = [index for index, line in enumerate(instructions) if line.startswith("FROM ")]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], len(instructions)], strict=True)]


def test_the_base_is_an_argument_with_a_tag_and_no_digest_is_invented():
    assert re.search(r"^ARG BASE=python:3\.\d+-slim$", DOCKERFILE, re.MULTILINE)
    assert [stage[0] for stage in stages()] == ["FROM ${BASE} AS build", "FROM ${BASE}"]
    # Not even in a comment that somebody could copy.
    assert not re.search(r"sha256:[0-9a-f]", DOCKERFILE)


def test_the_image_runs_as_a_number_that_the_chart_asks_for(install):
    (deployment,) = (obj for obj in install if obj["kind"] == "Deployment")
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    users = [line for line in stages()[-1] if line.startswith("USER ")]

    assert users == [f"USER {security['runAsUser']}:{security['runAsGroup']}"]


def test_the_last_stage_installs_nothing_and_starts_the_operator():
    last = stages()[-1]

    assert not [line for line in last if line.startswith(("RUN ", "ADD "))]
    assert last[-2:] == ['ENTRYPOINT ["pipesegment"]', 'CMD ["run"]']


def test_every_package_is_installed_by_its_hash_or_from_here():
    installs = re.findall(r"pip [^&]*install ([^&]*)", "\n".join(line for stage in stages() for line in stage))

    assert len(installs) == 3
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-index" in arguments
    assert "PIP_ONLY_BINARY=:all:" in DOCKERFILE


def test_the_build_context_holds_what_the_dockerfile_copies(context):
    copies = [line.split()[1:-1] for line in stages()[0] if line.startswith("COPY ")]

    for name in (name for names in copies for name in names):
        assert (context / name).exists(), name


def test_the_wheel_holds_the_package_and_its_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = email.message_from_bytes(archive.read(metadata))
    modules = {str(path.relative_to(ROOT / "operator")) for path in (ROOT / "operator").rglob("*.py")}

    assert {name for name in names if name.endswith(".py")} == modules
    assert fields["Version"] == pipesegment.__version__
    assert fields["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_installed_program_runs_and_writes_nothing_beside_itself(wheel, tmp_path):
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    python = venv / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel)
    # The dependencies are this environment's own, locked to the same versions (test_requirements).
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "tested.pth").write_text(f"{next(path for path in sys.path if path.endswith('site-packages'))}\n")
    before = sorted(tmp_path.rglob("*"))
    reply = run(venv / "bin" / "pipesegment", "version", cwd=tmp_path, PYTHONDONTWRITEBYTECODE="1", HOME="/nonexistent")

    assert pipesegment.__version__ in reply.stdout
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.tools
def test_the_locked_packages_are_to_be_had_and_match_their_hashes(tmp_path):
    if not os.environ.get("CI"):
        pytest.skip("downloads 40 packages; runs where CI is set")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    for lock in ("operator", "build"):
        path = ROOT / "requirements" / f"{lock}.txt"
        run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:", "-r", path)
    run(python, "-m", "pip", "check")


def test_the_release_refuses_a_base_without_a_digest():
    workflow = yaml.safe_load(WORKFLOWS["release"])
    # YAML 1.1 reads the key `on` as true.
    digest = workflow[True]["workflow_dispatch"]["inputs"]["base-digest"]

    assert digest["required"] is True
    assert "default" not in digest
    assert "^sha256:[0-9a-f]{64}$" in WORKFLOWS["release"]
    assert '--build-arg "BASE=$PINNED"' in WORKFLOWS["release"]
    assert workflow["env"]["BASE"] == re.search(r"^ARG BASE=(.*)$", DOCKERFILE, re.MULTILINE)[1]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_gets_no_more_rights_than_reading_and_runs_no_input_as_shell(name):
    workflow = yaml.safe_load(WORKFLOWS[name])

    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def docker_answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def test_the_image_builds_and_runs_as_the_chart_runs_it(tmp_path):
    if not docker_answers():
        pytest.skip("no container engine answers")
    run("docker", "build", "--quiet", "--iidfile", tmp_path / "id", ".")
    restricted = ("--read-only", "--user", "65532:65532", "--cap-drop", "ALL", "--network", "none")
    image = (tmp_path / "id").read_text()
    reply = run("docker", "run", "--rm", *restricted, "--security-opt", "no-new-privileges", image, "version")

    assert pipesegment.__version__ in reply.stdout
