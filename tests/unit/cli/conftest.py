"""The program as people start it, on real files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipesegment.cli import program

SEGMENT = """\
apiVersion: pipesegment.dev/v1alpha1
kind: PipelineSegment
metadata: {name: shop, namespace: ci}
spec:
  stages:
    - name: build
      reaches: [{stage: {name: cache}, ports: [{port: 8080}]}]
    - name: cache
"""

FACTS = """\
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Namespace, metadata: {name: ci, uid: u-ci}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: prod, uid: u-prod}}
  - apiVersion: v1
    kind: Service
    metadata: {name: kube-dns, namespace: kube-system}
    spec:
      clusterIP: 10.96.0.10
      selector: {k8s-app: kube-dns}
      ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
  - apiVersion: v1
    kind: Service
    metadata: {name: api, namespace: prod}
    spec: {clusterIP: 10.96.0.20, selector: {app: api}, ports: [{port: 80, targetPort: 8080}]}
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program in an empty folder, far from any kubeconfig."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def started(*args: str, stdin: str | bytes = "") -> Result:
        return CliRunner().invoke(program, args, input=stdin, prog_name="pipesegment")

    return started


@pytest.fixture
def segment(tmp_path: Path) -> str:
    """A file with one segment of two stages."""
    (tmp_path / "shop.yaml").write_text(SEGMENT)
    return "shop.yaml"


@pytest.fixture
def facts(tmp_path: Path) -> str:
    """A file with two namespaces, DNS, and a Service."""
    (tmp_path / "facts.yaml").write_text(FACTS)
    return "facts.yaml"
