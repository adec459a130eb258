"""The embedded control plane: how its programs are started, known to be ready, restarted and stopped."""

import contextlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.access import Access
from lab.controlplane import commands, fakepods
from lab.controlplane.audit import POLICY, AuditLog
from lab.controlplane.base import ControlPlane, Feature
from lab.controlplane.binaries import Binaries
from lab.controlplane.commands import ADMINISTRATOR, Options, Run
from lab.controlplane.oidc import Issuer
from lab.controlplane.pki import Authority
from lab.errors import LabError, UnsupportedError
from lab.folders import Folder
from lab.kubectl import Kubectl
from lab.process import Service, free_port

_READY_WITHIN = 60.0
#: Seconds that a program gets to end by itself. The API server would wait a minute for its watchers; what it
#: acknowledged is in etcd, and etcd's data is thrown away in the end: nothing is lost by impatience.
_GRACE = 1.0
_POLL = 0.03
_OK, _CREATED = 200, 201
#: Another program may take a free port between our choice and the start.
_ATTEMPTS = 3
_APISERVER = "kube-apiserver"


@dataclass(kw_only=True)
class EmbeddedControlPlane(ControlPlane):
    """The control plane whose programs are our own children; `start` makes one. `issuer` is there with the option `oidc`."""

    run: Run
    held: Folder
    services: dict[str, Service]
    issuer: Issuer | None = None

    def check(self) -> None:
        """Raise LabError with the end of its log when a program is dead."""
        for service in self.services.values():
            service.check()

    @contextlib.contextmanager
    def apiserver_down(self) -> Iterator[None]:
        """Keep the API server down during the block."""
        self.services[_APISERVER].stop(_GRACE)
        try:
            yield
        finally:
            _start_apiserver(self.run, self.services, self.admin)

    def stop(self) -> None:
        """End the programs, the last started first, and remove the folder."""
        _stop(self.services)
        if self.issuer is not None:
            self.issuer.stop()
        self.held.remove()

    def signed_in(self, email: str, *, groups: Sequence[str] = (), amr: Sequence[str] = ()) -> Access:
        """Return the access of a person who signed in at the issuer by the methods `amr`."""
        self.require(Feature.OIDC)
        assert self.issuer is not None
        return self.access(token=self.issuer.token(email, groups=groups, amr=amr))

    def _user_access(self, user: str, groups: Sequence[str]) -> Access:
        file = f"user-{secrets.token_hex(6)}"
        certificate, key = Authority(self.run.folder).issue(file, user, groups=groups)
        return Access(self.server, self.admin.ca, certificate=certificate, key=key)


def start(
    options: Options | None = None, binaries: Binaries | None = None, *, source: str = "the embedded control plane"
) -> EmbeddedControlPlane:
    """Start a control plane on a free loopback port and return when it is ready: in seconds, once the programs are built.

    Without `binaries` the programs of lab/controlplane/go.mod are built or taken from the cache. Raises LabError with
    the end of the failing program's log.
    """
    options = options or Options()
    binaries = binaries or Binaries.built()
    if options.pods and not (binaries.kwok and binaries.controller_manager):
        raise UnsupportedError(f"{source} cannot fake pods: kwok or kube-controller-manager is missing")
    for attempt in range(_ATTEMPTS):
        held = Folder()
        services: dict[str, Service] = {}
        try:
            return _start(options, binaries, source, held, services)
        except BaseException as error:
            _stop(services)
            held.remove()
            if "address already in use" not in str(error) or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _start(
    options: Options, binaries: Binaries, source: str, held: Folder, services: dict[str, Service]
) -> EmbeddedControlPlane:
    run = Run(held.path, free_port(), options, binaries)
    admin = _write_files(run)
    issuer = Issuer(Authority(run.folder)) if options.oidc else None
    try:
        return _start_programs(run, admin, source, held, services, issuer)
    except BaseException:
        if issuer is not None:
            issuer.stop()
        raise


def _start_programs(
    run: Run, admin: Access, source: str, held: Folder, services: dict[str, Service], issuer: Issuer | None
) -> EmbeddedControlPlane:
    options, binaries = run.options, run.binaries
    if issuer is not None:
        run.authentication.write_text(json.dumps(issuer.configuration()))
    _start_service(run, services, "etcd", commands.etcd(run))
    _until(lambda: _listens(run.etcd_socket), services, "etcd")
    _start_apiserver(run, services, admin)
    features = {Feature.AUDIT, Feature.RESTART, Feature.USERS}
    if issuer is not None:
        features.add(Feature.OIDC)
        someone = Access(run.server, admin.ca, token=issuer.token("lab@example.com"))
        # The API server fetches the issuer's keys beside its own start.
        _until(lambda: _answers(someone, "/version"), services, "the people of the OpenID Connect issuer")
    if binaries.controller_manager:
        _start_service(run, services, "kube-controller-manager", commands.controller_manager(run))
        features.add(Feature.CONTROLLERS)
    if options.pods:
        _start_service(run, services, "kwok", commands.kwok(run))
        features.add(Feature.PODS)
        for path, obj in fakepods.objects():
            _create(admin, path, obj)
    if binaries.controller_manager:
        _until(lambda: _admits_pods(admin, assigned=options.pods), services, "the admission of pods")
    return EmbeddedControlPlane(
        source=source,
        server=run.server,
        kubeconfig=run.kubeconfig(ADMINISTRATOR),
        admin=admin,
        folder=held.path,
        kubectl=Kubectl(binaries.kubectl, run.kubeconfig(ADMINISTRATOR), held.path / "kubectl-cache"),
        features=frozenset(features),
        audit=AuditLog(run.audit_log),
        run=run,
        held=held,
        services=services,
        issuer=issuer,
    )


def _write_files(run: Run) -> Access:
    """Write keys, certificates, tokens, kubeconfigs and configurations; return the administrator's access."""
    authority = Authority.create(run.folder)
    authority.issue("apiserver", _APISERVER, names=["DNS:localhost", "IP:127.0.0.1"])
    authority.signing_keys("service-accounts")
    tokens = {user: secrets.token_hex(16) for user in commands.USERS}
    commands.write_tokens(run.folder / "tokens.csv", tokens)
    accesses = {user: Access(run.server, authority.certificate, token) for user, token in tokens.items()}
    for user, access in accesses.items():
        access.write_kubeconfig(run.kubeconfig(user))
    (run.folder / "audit-policy.json").write_text(json.dumps(POLICY))
    (run.folder / "kwok.yaml").write_text(fakepods.stages())
    return accesses[ADMINISTRATOR]


def _start_apiserver(run: Run, services: dict[str, Service], admin: Access) -> None:
    _start_service(run, services, _APISERVER, commands.apiserver(run))
    _until(lambda: _answers(admin, "/readyz"), services, _APISERVER)


def _start_service(run: Run, services: dict[str, Service], name: str, command: Sequence[str]) -> None:
    services[name] = Service(name, command, run.folder / f"{name}.log")


def _stop(services: dict[str, Service]) -> None:
    for service in reversed(services.values()):
        service.stop(_GRACE)


def _until(ready: Callable[[], bool], services: dict[str, Service], what: str) -> None:
    """Wait until `ready`; a start offers no event to wait for. LabError when a program dies or time is over."""
    deadline = time.monotonic() + _READY_WITHIN
    while not ready():
        for service in services.values():
            service.check()
        if time.monotonic() > deadline:
            logs = "\n".join(f"{service.name}:\n{service.tail(5)}" for service in services.values())
            raise LabError(f"{what} was not ready after {_READY_WITHIN:.0f} s. The ends of the logs:\n{logs}")
        time.sleep(_POLL)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _answers(access: Access, path: str) -> bool:
    try:
        status, _ = access.request("GET", path)
    except OSError:
        return False
    return status == _OK


def _create(access: Access, path: str, obj: dict[str, Any]) -> None:
    status, content = access.request("POST", path, obj)
    if status != _CREATED:
        raise LabError(f"the API server refused {obj['kind']} {obj['metadata']['name']}: {content.decode()}")


def _admits_pods(access: Access, *, assigned: bool) -> bool:
    """Tell whether a pod would be admitted: the account controller works, and (`assigned`) the node policy is in force."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "main", "image": "registry.example.com/probe"}]},
    }
    status, content = access.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
    return status == _CREATED and (not assigned or json.loads(content)["spec"].get("nodeName") == fakepods.NODE)
