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


def started(tmp_path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the operator as a process of its own: it takes over logging, signals and the collector."""
    (tmp_path / "kubeconfig").write_text(NOWHERE)
    return subprocess.run(
        [sys.executable, "-m", "pipesegment", "run", "--kubeconfig", "kubeconfig", *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(pipesegment.__file__).parents[1])},
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
