"""The API server's audit log, read back: who asked for what, and what came of it."""

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})

#: One line for each request, when it is over: the log's size is what a benchmark pays for it.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True)
class AuditEvent:
    """One finished request.

    `resource` is the plural with its group (`networkpolicies.networking.k8s.io`, `pods`), empty for other paths; `code`
    the HTTP status; `raw` the whole event as the API server wrote it.
    """

    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    raw: dict[str, Any] = field(repr=False, compare=False)

    @property
    def write(self) -> bool:
        """Whether it asked to change something."""
        return self.verb in WRITES

    @property
    def denied(self) -> bool:
        """Whether the authorizer (RBAC) refused it; a refusal by admission is not meant."""
        return bool(self.raw.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid")


@dataclass(frozen=True)
class AuditLog:
    """The audit log at `path`; positions are bytes from its beginning."""

    path: Path

    def position(self) -> int:
        """Return where the log ends now, to be given as `since` later."""
        return self.path.stat().st_size if self.path.exists() else 0

    def events(
        self,
        *,
        since: int = 0,
        user: str | None = None,
        verbs: Collection[str] | None = None,
        resource: str | None = None,
        namespace: str | None = None,
        denied: bool | None = None,
    ) -> list[AuditEvent]:
        """Return the events after `since` that match every filter that is given, in the order of the log."""
        return [
            event
            for event in self._read(since)
            if (user is None or event.user == user)
            and (verbs is None or event.verb in verbs)
            and (resource is None or event.resource == resource)
            and (namespace is None or event.namespace == namespace)
            and (denied is None or event.denied == denied)
        ]

    def await_path(self, uri: str, *, since: int, timeout: float = 10.0) -> None:
        """Wait until a request for `uri` is in the log: then everything answered before it is there as well."""
        deadline = time.monotonic() + timeout
        while not any(event.raw.get("requestURI") == uri for event in self._read(since)):
            if time.monotonic() > deadline:
                raise LabError(f"the API server did not log a request for {uri} within {timeout:.0f} s in {self.path}")
            time.sleep(0.01)  # the log is a plain file: there is nothing to wait on

    def _read(self, since: int) -> Iterator[AuditEvent]:
        if not self.path.exists():
            return
        with self.path.open("rb") as log:
            log.seek(since)
            for line in log:
                # A line that is still being written is read next time.
                if line.endswith(b"\n"):
                    yield _event(json.loads(line))


def _event(raw: dict[str, Any]) -> AuditEvent:
    ref = raw.get("objectRef", {})
    group = ref.get("apiGroup", "")
    return AuditEvent(
        user=raw["user"].get("username", ""),
        verb=raw["verb"],
        resource=f"{ref.get('resource', '')}{'.' if group else ''}{group}",
        subresource=ref.get("subresource", ""),
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        code=raw.get("responseStatus", {}).get("code", 0),
        raw=raw,
    )
