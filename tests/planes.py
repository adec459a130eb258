"""Control planes of a file's own: for what is clusterwide, or must not find what others made on the shared one."""

import json
import secrets
from collections.abc import Sequence
from typing import NoReturn

import pytest

from lab.api import Api, Object
from lab.controlplane import ControlPlane, EmbeddedControlPlane, Options, start
from lab.errors import LabError

#: How the reason begins why tests of a control plane did not run.
NO_PLANE = "no control plane: "


def started(request: pytest.FixtureRequest, options: Options | None = None) -> EmbeddedControlPlane:
    """Start one, for a `with`. Skips where none can be had, or fails if one is required."""
    try:
        return start(options)
    except LabError as error:
        give_up(request.config, f"{NO_PLANE}{error}")


def give_up(config: pytest.Config, reason: str) -> NoReturn:
    """Skip what cannot run here, saying why; fail if somebody relies on it (`--cluster-required`)."""
    if config.getoption("--cluster-required"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def serve(plane: ControlPlane, definitions: Sequence[Object]) -> None:
    """Bring kinds to a control plane by their CustomResourceDefinitions, and wait until it serves them."""
    listed = {"apiVersion": "v1", "kind": "List", "items": [*definitions]}
    plane.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))
    names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


class Namespaces:
    """Makes namespaces that no other test has."""

    def __init__(self, api: Api, control_plane: ControlPlane) -> None:
        self._api = api
        self._plane = control_plane
        self.made: list[str] = []

    async def __call__(self, prefix: str = "test", *, labels: dict[str, str] | None = None) -> str:
        """Make a namespace whose name begins with `prefix` and return its name, once pods can be created in it."""
        # A dead part of the cluster is said here, and not as a timeout of whatever comes next.
        self._plane.check()
        name = f"{prefix}-{secrets.token_hex(4)}"
        metadata = {"name": name, "labels": labels or {}}
        await self._api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.made.append(name)
        if "controllers" in self._plane.features:
            await self._api.wait("v1", "ServiceAccount", "default", name)
        return name


async def new_room(plane: ControlPlane, labels: dict[str, str] | None = None) -> str:
    """Make a namespace on a control plane of a file's own; it goes with it."""
    async with plane.api() as api:
        return await Namespaces(api, plane)("ci", labels=labels)
