"""The demo's story, step by step; `--once` cleans up in the end, otherwise everything is left running until Ctrl-C."""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lab import cluster, progress
from lab.controlplane import Binaries, ControlPlane, Options
from lab.demo import stage
from lab.demo.operator import Operator
from lab.errors import LabError

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "manifests" / "samples"
SHOP = SAMPLES / "shop.yaml"
APPLICATION = SAMPLES / "application.yaml"
SURROUNDINGS = SAMPLES / "facts" / "surroundings.yaml"
PODS = SAMPLES / "facts" / "pipelinerun-pods.yaml"
FACTS = ("--facts", str(SAMPLES))


def main() -> int:
    """Play it; exit code 0 when everything was seen, 1 when the lab failed."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="clean up at the end instead of leaving everything running")
    parser.add_argument(
        "--cluster-kubeconfig", metavar="FILE", help="use this cluster, in which pods become Ready whatever their image"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        choice = _choose(arguments.cluster_kubeconfig)
        build = threading.Thread(target=_build, args=(choice,), daemon=True)
        with progress.silent():
            build.start()
            offline()
            stage.title("5 · A real control plane: CRDs, RBAC, the operator under its own service account")
        if build.is_alive():
            stage.say("Its programs are still being built; nothing so far needed them.")
            build.join()
        with cluster.open_cluster(choice, Options(pods=True)) as plane, Operator(plane, ROOT) as operator:
            live(plane, operator)
            if not arguments.once:
                leave_running(plane, operator)
    except (LabError, subprocess.CalledProcessError) as error:
        stage.fail(error)
        return 1
    except KeyboardInterrupt:
        pass
    stage.say("\nCleaned up.")
    return 0


def offline() -> None:
    """Show what needs no cluster: what the sample would make, who reaches whom, and what a mistake looks like."""
    stage.title("1 · Without a cluster: what the sample declares")
    stage.show(SHOP, "spec:\n  engine", "---\napiVersion: pipesegment.dev/v1alpha1\nkind: SegmentGrant")
    stage.title("2 · What the operator would own for it")
    stage.pipesegment("compile", "-f", str(SHOP), *FACTS, only=stage.names_of_objects, quiet=True)
    stage.title("3 · The segment as a picture (mermaid; -o svg draws it)")
    stage.pipesegment("graph", "-f", str(SHOP), *FACTS, "-o", "mermaid", quiet=True)
    stage.title("4 · What a mistake looks like, before anything is written")
    with _wrong("cash", "stage: {name: cash}") as path:
        stage.pipesegment("compile", "-f", path, *FACTS, expect=1)


def live(plane: ControlPlane, operator: Operator) -> None:
    """Show the same on a real API server, with the operator at work."""
    kubectl = plane.kubectl
    operator.install()
    operator.start()
    stage.say(f"The API server answers at {plane.server}, the operator is ready.")
    kubectl("apply", "--server-side", "--filename", str(APPLICATION), "--filename", str(SURROUNDINGS))
    stage.title("6 · Before: a run of the pipeline, and nothing between its pods and everything else")
    kubectl("apply", "--filename", "-", stdin=stage.without_accounts(PODS.read_text()))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--namespace", "ci-shop", "--timeout=60s")
    stage.kubectl(plane, "get", "pods", "--namespace", "ci-shop", "--output", "wide")
    stage.matrix(plane)
    stage.title("7 · The segment is applied")
    stage.kubectl(plane, "apply", "--server-side", "--filename", str(SHOP))
    kubectl("wait", "--for=condition=NetworkReady", "pipelinesegment/shop", "--namespace", "ci-shop", "--timeout=60s")
    stage.kubectl(plane, "get", "networkpolicies,serviceaccounts", "--namespace", "ci-shop")
    stage.kubectl(plane, "get", "networkpolicies", "--namespace", "shop-prod")
    stage.kubectl(plane, "get", "pipelinesegments", "--namespace", "ci-shop")
    stage.say(
        "Its condition Conforming is still False: the pods of this run do not use the stages' accounts yet.\n"
        "`pipesegment wire` says what to change:"
    )
    stage.pipesegment("wire", "-f", str(SHOP), only=stage.beginning(18), quiet=True)
    stage.title("8 · The next run, wired: every pod under its stage's account")
    kubectl("delete", "pods", "--all", "--namespace", "ci-shop", "--grace-period=0", "--force")
    kubectl("apply", "--filename", str(PODS))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--namespace", "ci-shop", "--timeout=60s")
    kubectl("wait", "--for=condition=Conforming", "pipelinesegment/shop", "--namespace", "ci-shop", "--timeout=60s")
    stage.kubectl(plane, "get", "pipelinesegments", "--namespace", "ci-shop", "--output", "wide")
    stage.title("9 · After: who reaches whom, as declared and as the objects enforce it")
    stage.matrix(plane)
    stage.say(
        "The same port by port, with DNS and the API server, declared and enforced compared\n"
        "(a difference would end with exit code 1):"
    )
    stage.pipesegment("reach", "--kubeconfig", str(plane.kubeconfig), "--cluster", "-f", str(SHOP), quiet=True)
    stage.title("10 · Somebody deletes a policy")
    stage.kubectl(plane, "delete", "networkpolicy", "shop-deploy", "--namespace", "ci-shop")
    begun = time.monotonic()
    kubectl("wait", "--for=create", "networkpolicy/shop-deploy", "--namespace", "ci-shop", "--timeout=30s")
    stage.say(f"It is back after {1000 * (time.monotonic() - begun):.0f} ms (kubectl's own start included).")
    stage.title("11 · Somebody writes a field wrong")
    with _wrong("nmae", "stage: {nmae: cache}") as path:
        stage.kubectl(plane, "apply", "--server-side", "--filename", path, expect=1)


def leave_running(plane: ControlPlane, operator: Operator) -> None:
    """Leave everything to the person who watches."""
    stage.title("Everything is left running; Ctrl-C cleans up")
    stage.say("In another terminal:")
    stage.say(f"  export KUBECONFIG={plane.kubeconfig}")
    stage.say(f"  {Binaries.built().kubectl} get pipelinesegments,networkpolicies --all-namespaces")
    stage.say(f"  tail -f {operator.log}      # what the operator says")
    while True:
        time.sleep(2)
        plane.check()


@contextlib.contextmanager
def _wrong(word: str, line: str) -> Iterator[str]:
    """Show the sample with a line that is wrong, and give the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wrong.yaml"
        path.write_text(SHOP.read_text().replace("stage: {name: cache}", line))
        stage.excerpt(path.read_text(), word)
        yield str(path)


def _choose(kubeconfig: str | None) -> cluster.Choice:
    # Pods of a cluster with kubelets would wait for the samples' images.
    if kubeconfig is None:
        return cluster.Choice(cluster.Source.EMBEDDED, "pods run in it without an image")
    return cluster.find(kubeconfig=kubeconfig)


def _build(choice: cluster.Choice) -> None:
    # What fails is told when the cluster is opened.
    with contextlib.suppress(LabError):
        if choice.source is cluster.Source.EMBEDDED:
            Binaries.built()


if __name__ == "__main__":
    sys.exit(main())
