"""What every cluster of the lab offers, whatever is behind it."""

import contextlib
import hashlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.access import Access
from lab.api import Api
from lab.controlplane.audit import AuditEvent, AuditLog
from lab.errors import LabError, UnsupportedError
from lab.kubectl import Kubectl


class Feature(StrEnum):
    """What not every cluster can do; tests name what they need."""

    CONTROLLERS = "controllers"
    """Namespaces and owned objects are really deleted, service accounts and endpoint slices appear."""
    PODS = "pods"
    """Pods become Running with an address although nothing runs in them."""
    AUDIT = "audit"
    """Every request can be read back."""
    RESTART = "restart"
    """The API server can be taken down and brought back."""
    USERS = "users"
    """A credential for any user name and groups can be had."""
    OIDC = "oidc"
    """People can sign in at an OpenID Connect issuer, with or without a second factor."""


@dataclass(kw_only=True)
class ControlPlane(ABC):
    """A cluster with an administrator's access to it.

    `source` says in words where it comes from, `server` is its URL, `kubeconfig` an administrator's file, `admin` the
    same for our own client and `kubectl` for kubectl; `folder` is a private folder that `stop` removes. Use it as a context manager.
    """

    source: str
    server: str
    kubeconfig: Path
    admin: Access
    folder: Path
    kubectl: Kubectl
    features: frozenset[Feature]
    audit: AuditLog | None = None

    @abstractmethod
    def stop(self) -> None:
        """End everything that was started and remove what was written; safe to call again."""

    @abstractmethod
    def check(self) -> None:
        """Raise LabError when a part of the cluster that we run is dead."""

    @contextlib.contextmanager
    def apiserver_down(self) -> Iterator[None]:
        """Keep the API server down during the block; its data, address and credentials stay as they are."""
        self.require(Feature.RESTART)
        yield

    def restart_apiserver(self) -> None:
        """Take the API server down and wait until it is ready again at the same address with the same data."""
        with self.apiserver_down():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def require(self, *features: Feature | str) -> None:
        """Raise UnsupportedError that names the missing features."""
        missing = [str(feature) for feature in features if Feature(feature) not in self.features]
        if missing:
            raise UnsupportedError(
                f"{self.source} does not offer: {', '.join(missing)}; the embedded control plane does (--cluster=embedded)"
            )

    def api(self, access: Access | None = None) -> Api:
        """Return a client (an async context manager), as the administrator unless told otherwise."""
        return Api(access or self.admin)

    def access(
        self,
        *,
        user: str | None = None,
        groups: Sequence[str] = (),
        service_account: tuple[str, str] | None = None,
        token: str | None = None,
    ) -> Access:
        """Return the access of a user with groups, of a service account (namespace, name), or of a bearer token.

        A service account's token is valid for an hour; the account must exist.
        """
        if user is not None:
            return self._user_access(user, groups)
        if service_account is not None:
            namespace, name = service_account
            token = self.kubectl("create", "token", name, "--namespace", namespace, "--duration", "1h").strip()
        if not token:
            raise LabError("whose access? name a user, a service_account (namespace, name) or a token")
        return Access(self.server, self._ca(), token=token)

    def kubeconfig_for(
        self,
        *,
        user: str | None = None,
        groups: Sequence[str] = (),
        service_account: tuple[str, str] | None = None,
        token: str | None = None,
    ) -> Path:
        """Write the kubeconfig of the same `access`, and return its path inside `folder`."""
        access = self.access(user=user, groups=groups, service_account=service_account, token=token)
        identity = repr((user, tuple(groups), service_account, token))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return access.write_kubeconfig(self.folder / f"kubeconfig-{digest}")

    def audit_position(self) -> int:
        """Return the place in the audit log after everything that was answered until now."""
        return self._settled_audit().position()

    def audit_events(self, **filters: Any) -> list[AuditEvent]:
        """Return the audited requests that match, everything answered until now included; filters: `AuditLog.events`."""
        return self._settled_audit().events(**filters)

    def _settled_audit(self) -> AuditLog:
        self.require(Feature.AUDIT)
        assert self.audit is not None
        before = self.audit.position()
        marker = f"/version?settle={uuid.uuid4()}"
        self.admin.request("GET", marker)
        self.audit.await_path(marker, since=before)
        return self.audit

    def _user_access(self, user: str, groups: Sequence[str]) -> Access:  # noqa: ARG002 - those that can, override it
        self.require(Feature.USERS)
        raise NotImplementedError

    def _ca(self) -> Path | None:
        return self.admin.ca
