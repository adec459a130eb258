"""How to reach the API server and as whom: kubeconfig or the pod's own account, by the official client's configuration.

Tokens rotate, exec plugins hand out short-lived ones, certificates are replaced: whoever gets a 401 calls `renew`.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from pipesegment.errors import NoKubeconfig, Unreachable, Usage
from pipesegment.world.clock import Clock, LoopClock
from pipesegment.world.impersonation import Headers, impersonation

IN_CLUSTER_TOKEN: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
DEFAULT_KUBECONFIG: Final = "~/.kube/config"
#: A token that stays wrong must not start an exec plugin for every call.
RENEW_PAUSE: Final = 5.0


class Access:
    """The address of one API server and valid credentials for it.

    `kubeconfig` and `context` as kubectl takes them; without them the pod's own account, or outside of a pod the user's
    default kubeconfig.
    """

    def __init__(self, kubeconfig: str = "", context: str = "", *, clock: Clock | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._clock = clock or LoopClock()
        self._lock = asyncio.Lock()
        self._configuration = Configuration()
        self._loaded_at: float | None = None
        self.tls: ssl.SSLContext | bool = True
        #: Headers that say as whom we act, where the kubeconfig says `as`.
        self.impersonation: Headers = ()

    async def load(self) -> None:
        """Read the configuration; Usage when it makes no sense."""
        configuration = Configuration()
        try:
            if not self._kubeconfig and not self._context and IN_CLUSTER_TOKEN.is_file():
                load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # the client has no types here
            else:
                await self._load_kubeconfig(configuration)
            self.tls = _tls(configuration) if configuration.host.startswith("https") else True
        except (ConfigException, OSError, TypeError, ValueError, yaml.YAMLError) as error:
            fix = "correct it, or give another one or another context"
            raise Usage(
                f"{self._kubeconfig or DEFAULT_KUBECONFIG}: the kubeconfig is unusable: {error}: {fix}"
            ) from error
        self._configuration = configuration
        self._loaded_at = self._clock.now()

    async def _load_kubeconfig(self, configuration: Configuration) -> None:
        paths = self._kubeconfig or DEFAULT_KUBECONFIG
        if not _any_exists(paths):
            raise NoKubeconfig(f"{paths}: there is no such kubeconfig: give one with --kubeconfig or KUBECONFIG")
        loader = await load_kube_config(  # type: ignore[no-untyped-call]  # the client has no types here
            config_file=paths,
            context=self._context or None,
            client_configuration=configuration,
            persist_config=False,
        )
        self.impersonation = impersonation(paths, loader.current_context["context"].get("user", ""))

    @property
    def host(self) -> str:
        """The API server's address, without a slash at the end."""
        return str(self._configuration.host).rstrip("/")

    @property
    def proxy(self) -> str | None:
        """The proxy that the kubeconfig asks for."""
        return self._configuration.proxy or None

    @property
    def server_name(self) -> str | None:
        """The name in the server's certificate, where it is not the host."""
        return self._configuration.tls_server_name or None

    async def authorization(self) -> str:
        """Give the Authorization header's value, empty with client certificates. A rotated token is read again."""
        return (await self._configuration.get_api_key_with_prefix("BearerToken") or "").strip()

    async def renew(self, refused: str) -> None:
        """Get new credentials, after those with the Authorization `refused` were turned down."""
        async with self._lock:
            renewed_meanwhile = await self.authorization() != refused
            recently = self._loaded_at is not None and self._clock.now() - self._loaded_at < RENEW_PAUSE
            if not renewed_meanwhile and not recently:
                try:
                    await self.load()
                except Usage as error:
                    # It was fine when we started: somebody is just writing it.
                    raise Unreachable(str(error)) from error


def _any_exists(paths: str) -> bool:
    return any(Path(path).expanduser().is_file() for path in paths.split(":") if path)


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    # Python 3.13 demands key identifiers that many clusters' own authorities lack; Go's clients do not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
