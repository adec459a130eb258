"""The program itself: its help, its names, its exit codes, and how fast it starts."""

import subprocess
import sys
from pathlib import Path

import pytest

import pipesegment
from pipesegment.cli import main, program
from pipesegment.errors import Rejected, Unreachable, Usage

VERBS = [
    "compile",
    "lint",
    "plan",
    "reach",
    "verify",
    "exception",
    "seal",
    "graph",
    "aws",
    "wire",
    "crd",
    "run",
    "version",
    "completion",
]


def test_help_names_every_verb(run) -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert [
        line.split()[0] for line in result.stdout.partition("Verbs:\n")[2].splitlines() if line[2:3].strip()
    ] == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(run, verb: str) -> None:
    result = run(verb, "-h")

    assert result.exit_code == 0
    assert f"pipesegment {verb}" in result.stdout


def test_version_says_program_and_api(run) -> None:
    assert run("version").stdout == f"pipesegment {pipesegment.__version__} (pipesegment.dev/v1alpha1)\n"
    assert run("version", "-o", "json").stdout.startswith('{\n  "version"')


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(run, shell: str) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert f"_PIPESEGMENT_COMPLETE={shell}_complete" in result.stdout


def test_completion_completes_verbs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pipesegment"])
    monkeypatch.setenv("_PIPESEGMENT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "pipesegment co")
    monkeypatch.setenv("COMP_CWORD", "1")

    with pytest.raises(SystemExit):
        main()

    assert capsys.readouterr().out.split() == ["plain,compile", "plain,completion"]


@pytest.mark.parametrize(
    "args",
    [
        ["nope"],
        ["compile"],
        ["compile", "-f", "missing.yaml"],
        ["compile", "-x"],
        ["graph", "-o", "png"],
        ["completion", "csh"],
    ],
)
def test_bad_usage_is_2_and_says_nothing_on_stdout(run, args: list[str]) -> None:
    result = run(*args)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(Usage("no such thing"), 2), (Unreachable("silence"), 3), (Rejected(500, "Internal", "sorry"), 3)],
)
def test_errors_become_exit_codes(run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("pipesegment.cli.output.write", fail)

    result = run("version")

    assert result.exit_code == code
    assert str(error) in result.stderr


def test_as_a_plugin_it_calls_itself_by_kubectls_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-pipesegment", "version", "--help"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    assert "Usage: kubectl pipesegment version" in capsys.readouterr().out


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "main", interrupt)

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 130


@pytest.mark.parametrize("verb", [["version"], ["--help"], ["completion", "bash"]])
def test_small_verbs_load_no_client(verb: list[str]) -> None:
    script = (
        "import sys; from pipesegment.cli import program\n"
        f"program.main({verb!r}, standalone_mode=False)\n"
        "heavy = {'kopf', 'kubernetes', 'aiohttp', 'pydantic', 'yaml', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_offline_verbs_load_no_client(segment: str, run, tmp_path: Path) -> None:
    script = (
        "import sys; from pipesegment.cli import program\n"
        f"program.main(['compile', '-f', {segment!r}], standalone_mode=False)\n"
        "heavy = {'kopf', 'kubernetes', 'aiohttp', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stderr


def test_python_m_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "pipesegment", "version"], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("pipesegment ")
