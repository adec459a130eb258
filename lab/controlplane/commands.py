"""The command lines of the control plane's programs, and the files and users that they share."""

from dataclasses import dataclass, field
from pathlib import Path

from lab.controlplane import fakepods
from lab.controlplane.binaries import Binaries

ADMINISTRATOR = "lab-admin"
_CONTROLLER_MANAGER = "system:kube-controller-manager"
_KWOK = "lab-kwok"
#: Everybody with a token from the start; all may do everything. Other users come by certificate or service account.
USERS = (ADMINISTRATOR, _CONTROLLER_MANAGER, _KWOK)

ISSUER = "https://kubernetes.default.svc.cluster.local"

_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "validatingadmissionpolicy-status-controller",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may differ between control planes.

    `pods`: pods become Running by kwok. `advertise_address` is what the `kubernetes` Service's EndpointSlice says: an
    address that is the same on every machine and reaches nobody. `audiences`: for whom service account tokens may be
    meant besides the API server. `apiserver_args` are added to the API server's command line. `oidc`: people of an OpenID
    Connect issuer (lab.controlplane.oidc) are users as well.
    """

    pods: bool = False
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/16"
    advertise_address: str = "192.0.2.1"
    audiences: tuple[str, ...] = ("istio-ca",)
    apiserver_args: tuple[str, ...] = ()
    oidc: bool = False


@dataclass(frozen=True)
class Run:
    """One run: its folder, the API server's port, the options and the programs."""

    folder: Path
    port: int
    options: Options = field(repr=False)
    binaries: Binaries = field(repr=False)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def etcd_socket(self) -> Path:
        """The unix socket of etcd: private to the user, and no port that somebody else could take."""
        return self.folder / "etcd.sock"

    @property
    def audit_log(self) -> Path:
        """Where the API server writes one JSON line for each request."""
        return self.folder / "audit.log"

    @property
    def authentication(self) -> Path:
        """The API server's AuthenticationConfiguration."""
        return self.folder / "authentication.json"

    def kubeconfig(self, user: str) -> Path:
        """Return the kubeconfig of one of USERS."""
        return self.folder / ("kubeconfig" if user == ADMINISTRATOR else f"kubeconfig-{user.removeprefix('system:')}")


def write_tokens(path: Path, tokens: dict[str, str]) -> None:
    """Write the static token file: token, user, uid, groups."""
    path.touch(mode=0o600)
    path.write_text("".join(f'{token},{user},{user},"system:masters"\n' for user, token in tokens.items()))


def etcd(run: Run) -> list[str]:
    """Return etcd's command line."""
    client, peer = f"unix://{run.etcd_socket}", f"unix://{run.folder}/peer.sock"
    return [
        str(run.binaries.etcd),
        "--name=lab",
        f"--data-dir={run.folder}/etcd",
        # The data is thrown away in the end: waiting for the disk would only cost time.
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
    ]


def apiserver(run: Run) -> list[str]:
    """Return the API server's command line."""
    options, folder = run.options, run.folder
    return [
        str(run.binaries.apiserver),
        f"--etcd-servers=unix://{run.etcd_socket}",
        "--bind-address=127.0.0.1",
        f"--secure-port={run.port}",
        f"--advertise-address={options.advertise_address}",
        f"--service-cluster-ip-range={options.service_cidr}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={folder}/apiserver.crt",
        f"--tls-private-key-file={folder}/apiserver.key",
        f"--client-ca-file={folder}/ca.crt",
        f"--token-auth-file={folder}/tokens.csv",
        *([f"--authentication-config={run.authentication}"] if options.oidc else []),
        "--authorization-mode=RBAC",
        # Without the controller manager there are no default service accounts, and every pod would be refused.
        *([] if run.binaries.controller_manager else ["--disable-admission-plugins=ServiceAccount"]),
        "--allow-privileged=true",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-signing-key-file={folder}/service-accounts.key",
        f"--service-account-key-file={folder}/service-accounts.pub",
        f"--api-audiences={','.join((ISSUER, *options.audiences))}",
        f"--audit-policy-file={folder}/audit-policy.json",
        f"--audit-log-path={run.audit_log}",
        # Never rotated: readers count bytes from its beginning.
        "--audit-log-maxsize=1000000",
        "--profiling=false",
        *options.apiserver_args,
    ]


def controller_manager(run: Run) -> list[str]:
    """Return the controller manager's command line: the controllers that a test bed without nodes needs."""
    return [
        str(run.binaries.controller_manager),
        f"--kubeconfig={run.kubeconfig(_CONTROLLER_MANAGER)}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--leader-elect=false",
        # It serves nothing: what it does is seen in the API.
        "--secure-port=0",
        f"--service-account-private-key-file={run.folder}/service-accounts.key",
        f"--root-ca-file={run.folder}/ca.crt",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def kwok(run: Run) -> list[str]:
    """Return kwok's command line: it manages the nodes that are marked as fake."""
    return [
        str(run.binaries.kwok),
        f"--kubeconfig={run.kubeconfig(_KWOK)}",
        f"--config={run.folder}/kwok.yaml",
        f"--manage-nodes-with-annotation-selector={fakepods.ANNOTATION}=fake",
        f"--cidr={run.options.pod_cidr}",
        f"--node-ip={fakepods.NODE_IP}",
        "--node-lease-duration-seconds=0",
    ]
