"""Without a control plane its tests are skipped so that nobody overlooks it, or fail where one is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CASE = "tests/cluster/test_lab.py::test_unknown_fields_are_refused_by_name"


def run(*options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", CASE, *options]
    command += ["--cluster-kubeconfig=/nowhere/config"]
    # The choice of the run that this test is part of has no say here.
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("LAB_", "PYTEST_", "KUBEBUILDER_"))
    }
    reply = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return reply.returncode, reply.stdout


@pytest.mark.thorough
@pytest.mark.parametrize("processes", [(), ("-n1",)], ids=("in-one-process", "in-several"))
def test_a_run_that_needs_no_cluster_test_says_loudly_that_they_did_not_run(processes):
    code, said = run(*processes)

    assert code == 0
    assert "the cluster tests did NOT run" in said
    assert "No control plane could be had: the kubeconfig /nowhere/config does not exist" in said
    assert "1 skipped" in said


@pytest.mark.thorough
def test_a_run_that_requires_them_fails():
    code, said = run("--cluster-required")

    assert code == 1
    assert "no control plane: the kubeconfig /nowhere/config does not exist" in said


@pytest.mark.thorough
def test_they_can_be_left_out():
    code, said = run("-m", "not cluster")

    assert code == 5
    assert "1 deselected" in said
