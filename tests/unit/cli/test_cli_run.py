"""`run` where it cannot even begin."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pipesegment

NOWHERE = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
"""


def started(tmp_path: Path, *flags: str, kubeconfig: str = "kubeconfig") -> subprocess.CompletedProcess[str]:
    """Run the operator as a process of its own: it takes over logging, signals and the collector."""
    (tmp_path / "kubeconfig").write_text(NOWHERE)
    named = ["--kubeconfig", kubeconfig] if kubeconfig else []
    around = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "pipesegment", "run", *named, *flags],
        cwd=tmp_path,
        env={**around, "HOME": str(tmp_path), "PYTHONPATH": str(Path(pipesegment.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_admin_port_that_is_in_use_is_bad_usage(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = started(tmp_path, "--admin-host", "127.0.0.1", "--admin-port", str(port))

    assert result.returncode == 2
    assert f"--admin-port: port {port} is in use: give a free one, or 0 for any" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_admin_host_that_is_elsewhere_is_bad_usage(tmp_path: Path) -> None:
    result = started(tmp_path, "--admin-host", "192.0.2.1", "--admin-port", "0")

    assert result.returncode == 2
    assert "--admin-host" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_kubeconfig_it_is_3_unless_one_was_named(tmp_path: Path) -> None:
    for kubeconfig, code in (("", 3), ("gone", 2)):
        result = started(tmp_path, "--admin-host", "127.0.0.1", "--admin-port", "0", kubeconfig=kubeconfig)

        assert result.returncode == code
        assert "there is no such kubeconfig" in result.stderr
        assert "Traceback" not in result.stderr
