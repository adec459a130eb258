"""The programs of a control plane: built from the Go module of this folder, or found in a folder of the user's."""

from dataclasses import dataclass
from pathlib import Path

from lab import gotools
from lab.errors import LabError

MODULE = Path(__file__).parent
#: What the API server reports itself as; it must be the version of `k8s.io/kubernetes` in go.mod.
VERSION = "v1.37.2"
#: name of the program -> Go package
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "helm": "helm.sh/helm/v4/cmd/helm",
}


@dataclass(frozen=True)
class Binaries:
    """Where the programs are; the last three are None when the user's folder lacks them."""

    etcd: Path
    apiserver: Path
    kubectl: Path
    controller_manager: Path | None
    kwok: Path | None
    helm: Path | None

    @classmethod
    def built(cls) -> "Binaries":
        """Build the programs, or take what was built before. The first time takes 10 to 20 minutes on 2 cores."""
        paths = gotools.build(
            MODULE,
            list(PACKAGES.values()),
            list(PACKAGES),
            ldflags=f"-s -w -X k8s.io/component-base/version.gitVersion={VERSION}",
            note="this takes 10 to 20 minutes on 2 cores, later starts take seconds",
        )
        return cls(
            etcd=paths["etcd"],
            apiserver=paths["kube-apiserver"],
            kubectl=paths["kubectl"],
            controller_manager=paths["kube-controller-manager"],
            kwok=paths["kwok"],
            helm=paths["helm"],
        )

    @classmethod
    def of(cls, folder: Path) -> "Binaries":
        """Take the programs that lie in `folder` (KUBEBUILDER_ASSETS); LabError when a needed one is missing."""

        def needed(name: str) -> Path:
            path = folder / name
            if not path.is_file():
                raise LabError(
                    f"KUBEBUILDER_ASSETS is {folder}, but there is no {name} in it: it must hold etcd, kube-apiserver and "
                    "kubectl; unset the variable to use the embedded control plane"
                )
            return path

        def optional(name: str) -> Path | None:
            path = folder / name
            return path if path.is_file() else None

        return cls(
            etcd=needed("etcd"),
            apiserver=needed("kube-apiserver"),
            kubectl=needed("kubectl"),
            controller_manager=optional("kube-controller-manager"),
            kwok=optional("kwok"),
            helm=optional("helm"),
        )
