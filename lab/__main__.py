"""`python -m lab`: the lab by hand."""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import Any

from lab import cluster, crds, oldest, progress
from lab.controlplane import Binaries, ControlPlane, Options
from lab.errors import LabError
from lab.mesh import binaries as mesh
from lab.network import binaries as network
from lab.network import proxy, show
from lab.oracle.judges import PROGRAMS

_CHECK_EVERY = 2.0


def main() -> int:
    """Run one command and return the exit code: 0 done, 1 failed or not as expected, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="The lab's control plane by hand.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "build", help="build the programs (the first time: from half an hour on 2 cores) and print where they are"
    )
    up = commands.add_parser("up", help="start a control plane, print its kubeconfig and run until Ctrl-C")
    up.add_argument("--kwok", action="store_true", help="let pods become Running although nothing runs in them")
    up.add_argument("--with-istio-crds", action="store_true", help="install Istio's CRDs")
    up.add_argument("--cluster", help="auto, kubeconfig, assets, kind or embedded (default: LAB_CLUSTER, else auto)")
    up.add_argument("--cluster-kubeconfig", metavar="FILE", help="use this cluster (default: LAB_KUBECONFIG)")
    net = commands.add_parser("network", help="play scenarios in the network lab and show who reaches whom")
    net.add_argument("files", nargs="+", type=Path, metavar="SCENARIO", help="a file as in tests/enforcement/scenarios")
    net.add_argument("--nodes", type=int, default=1, help="how many nodes the lab has (default: 1)")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "build":
                _build()
            case "network":
                return 0 if show.show(arguments.files, nodes=arguments.nodes) else 1
            case _:
                _up(arguments)
    except LabError as error:
        progress.say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _build() -> None:
    print(Binaries.built().etcd.parent)
    for judge in PROGRAMS:
        print(judge.built().parent)
    print(oldest.program().parent)
    if sys.platform == "linux":
        print(network.felix().parent)
        print(mesh.Binaries.built().istiod.parent)
        print(proxy.program().parent)


def _up(arguments: argparse.Namespace) -> None:
    # Asked to end in either way, everything unwinds and is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    choice = cluster.find(kubeconfig=arguments.cluster_kubeconfig, source=arguments.cluster)
    with cluster.open_cluster(choice, Options(pods=arguments.kwok)) as plane:
        if arguments.with_istio_crds:
            asyncio.run(_install(plane, crds.istio()))
        progress.say(f"{plane.source} is ready at {plane.server}; Ctrl-C ends it. Its kubeconfig:")
        print(plane.kubeconfig, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(_CHECK_EVERY)
                plane.check()
        progress.say("stopping")


async def _install(plane: ControlPlane, definitions: list[dict[str, Any]]) -> None:
    async with plane.api() as api:
        await api.install_crds(definitions)


if __name__ == "__main__":
    sys.exit(main())
