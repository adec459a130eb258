"""Which cluster is used: looked up in a fixed order, never the one that the user's own kubectl points at.

KUBECONFIG and ~/.kube/config are not read: nobody's production cluster is a test bed.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lab import external, progress
from lab.controlplane import Binaries, ControlPlane, Options, start
from lab.errors import LabError


class Source(StrEnum):
    """Where a cluster can come from, in the order in which it is looked for."""

    KUBECONFIG = "kubeconfig"
    ASSETS = "assets"
    KIND = "kind"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Choice:
    """The cluster to use, why it was chosen, and the file or folder that it comes from, if any."""

    source: Source
    why: str
    path: Path | None = None


def find(
    *,
    kubeconfig: str | None = None,
    source: str | None = None,
    environ: Mapping[str, str] = os.environ,
    kind_usable: Callable[[], bool] = external.kind_usable,
) -> Choice:
    """Choose: a kubeconfig given for this purpose, KUBEBUILDER_ASSETS, kind where an engine answers, the embedded one.

    `kubeconfig` and `source` are the user's options; without them LAB_KUBECONFIG and LAB_CLUSTER (`auto` or a Source)
    of `environ` count. Raises LabError when what the user named is not there.
    """
    kubeconfig = kubeconfig or environ.get("LAB_KUBECONFIG") or None
    source = source or environ.get("LAB_CLUSTER") or "auto"
    assets = environ.get("KUBEBUILDER_ASSETS") or None
    wanted = _wanted(source)
    if kubeconfig and wanted not in {None, Source.KUBECONFIG}:
        raise LabError(f"both the kubeconfig {kubeconfig} and the cluster '{wanted}' were asked for: name one of them")
    if kubeconfig or wanted is Source.KUBECONFIG:
        return Choice(Source.KUBECONFIG, "a kubeconfig was given for it", _file(kubeconfig))
    if wanted is Source.ASSETS or (wanted is None and assets):
        return Choice(Source.ASSETS, "KUBEBUILDER_ASSETS is set", _folder(assets))
    if wanted is Source.KIND or (wanted is None and kind_usable()):
        return Choice(Source.KIND, "asked for" if wanted else "kind is installed and a container engine answers")
    return Choice(Source.EMBEDDED, "asked for" if wanted else "nothing else was given or found")


def open_cluster(choice: Choice, options: Options | None = None) -> ControlPlane:
    """Start or take the chosen cluster and say on stderr which it is; the caller stops it. Raises LabError.

    `options` apply to what we start ourselves. Where pods cannot be faked, the feature is missing: that is no error.
    """
    options = options or Options()
    progress.say(f"cluster: {choice.source}{f' ({choice.path})' if choice.path else ''}, because {choice.why}")
    match choice.source:
        case Source.KUBECONFIG:
            assert choice.path is not None
            return external.from_kubeconfig(choice.path, f"the cluster of {choice.path}")
        case Source.ASSETS:
            assert choice.path is not None
            binaries = Binaries.of(choice.path)
            can_fake = bool(binaries.kwok and binaries.controller_manager)
            return start(
                replace(options, pods=options.pods and can_fake), binaries, source="the one from KUBEBUILDER_ASSETS"
            )
        case Source.KIND:
            return external.start_kind()
        case Source.EMBEDDED:
            return start(options)


def _wanted(source: str) -> Source | None:
    if source == "auto":
        return None
    try:
        return Source(source)
    except ValueError:
        choices = ", ".join(["auto", *Source])
        raise LabError(f"there is no cluster '{source}': LAB_CLUSTER and --cluster take one of {choices}") from None


def _file(kubeconfig: str | None) -> Path:
    if not kubeconfig:
        raise LabError(
            "the cluster 'kubeconfig' was asked for, but no file: set --cluster-kubeconfig or LAB_KUBECONFIG"
        )
    path = Path(kubeconfig).expanduser()
    if not path.is_file():
        raise LabError(f"the kubeconfig {path} does not exist")
    return path.resolve()


def _folder(assets: str | None) -> Path:
    if not assets:
        raise LabError("the cluster 'assets' was asked for, but KUBEBUILDER_ASSETS is not set")
    path = Path(assets)
    if not path.is_dir():
        raise LabError(f"KUBEBUILDER_ASSETS is {path}, which is no folder")
    return path.resolve()
