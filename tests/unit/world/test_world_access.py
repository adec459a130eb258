"""Credentials: rotated tokens, exec plugins, certificates, the pod's own account, and kubeconfigs that make no sense."""

import asyncio
import ssl
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web
from kubernetes.aio.config import incluster_config

from lab.controlplane.pki import Authority
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable, Usage
from pipesegment.settings import Settings
from pipesegment.world import access, kinds
from pipesegment.world.access import Access
from pipesegment.world.api import Api
from pipesegment.world.clock import ManualClock
from tests.unit.world.apiserver import kubeconfig, no, ok, serving

POD = ObjectID("v1", "Pod", "shop", "p")


def reached(script, clock):
    return Api(Access(script.kubeconfig, clock=clock))


def only(*tokens):
    """Answer like a server that knows these tokens."""

    async def answer(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("bearer ")
        return ok({"kind": "Pod", "token": given}) if given in tokens else no(401, "Unauthorized")

    return answer


async def test_a_rotated_token_file_is_read_again_after_a_401(tmp_path):
    clock, token = ManualClock(), tmp_path / "token"
    token.write_text("first\n")
    async with (
        serving(tmp_path, only("second"), user={"tokenFile": str(token)}) as script,
        reached(script, clock) as api,
    ):
        token.write_text("second\n")
        await clock.advance(access.RENEW_PAUSE)
        assert (await api.get(POD))["token"] == "second"
        assert len(script.calls) == 2
        await api.get(POD)
        assert len(script.calls) == 3


async def test_credentials_that_stay_wrong_are_renewed_once_in_a_while(tmp_path):
    clock = ManualClock()
    async with serving(tmp_path, only(), user=exec_plugin(tmp_path)) as script, reached(script, clock) as api:
        for _ in range(3):
            with pytest.raises(Rejected) as caught:
                await api.get(POD)
        assert caught.value.status == 401
        assert runs(tmp_path) == 1
        await clock.advance(access.RENEW_PAUSE)
        with pytest.raises(Rejected):
            await api.get(POD)
        assert runs(tmp_path) == 2


async def test_an_exec_plugin_is_run_again_once_for_many_calls_that_were_turned_down(tmp_path):
    clock = ManualClock()
    async with serving(tmp_path, only("token-2"), user=exec_plugin(tmp_path)) as script, reached(script, clock) as api:
        await clock.advance(access.RENEW_PAUSE)
        found = await asyncio.gather(*(api.get(POD) for _ in range(10)))
    assert {pod["token"] for pod in found} == {"token-2"}
    assert runs(tmp_path) == 2


def exec_plugin(tmp_path):
    """A plugin whose n-th run gives the token `token-n`."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(f"""
import json, pathlib
runs = pathlib.Path({str(tmp_path / "runs")!r})
number = len(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text("x" * number)
kind = {{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}}
print(json.dumps({{**kind, "status": {{"token": f"token-{{number}}"}}}}))
""")
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": [str(plugin)]}}


def runs(tmp_path):
    return len((tmp_path / "runs").read_text())


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """Two certificate authorities that know nothing of one another."""
    folders = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    return [Authority.create(folder) for folder in folders]


async def serve_tls(authority, handler, clients=None):
    certificate, key = authority.issue("server", "server", names=["IP:127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.load_verify_locations(clients.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner, f"https://127.0.0.1:{runner.addresses[0][1]}"


def with_authority(path, server, certificate, user):
    return kubeconfig(path, server, user, **{"certificate-authority": str(certificate)})


async def test_client_certificates_are_shown_and_the_servers_is_verified(tmp_path, authorities):
    ours, theirs = authorities

    async def who(request: web.Request) -> web.StreamResponse:
        subject = request.transport.get_extra_info("peercert")["subject"]
        return ok({"kind": "Pod", "user": subject[-1][0][1]})

    certificate, key = ours.issue("alice", "alice")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    runner, url = await serve_tls(ours, who, clients=ours)
    try:
        async with Api(Access(with_authority(tmp_path, url, ours.certificate, user))) as api:
            assert (await api.get(POD))["user"] == "alice"
        async with Api(Access(with_authority(tmp_path, url, theirs.certificate, user))) as api:
            with pytest.raises(Unreachable, match="Certificate"):
                await api.get(POD)
    finally:
        await runner.cleanup()


async def test_a_replaced_authority_is_read_again(tmp_path, authorities):
    ours, theirs = authorities
    clock, trusted = ManualClock(), tmp_path / "ca.crt"
    trusted.write_bytes(theirs.certificate.read_bytes())
    runner, url = await serve_tls(ours, only("first"))
    try:
        async with Api(Access(with_authority(tmp_path, url, trusted, {"token": "first"}), clock=clock)) as api:
            await clock.advance(access.RENEW_PAUSE)
            trusted.write_bytes(ours.certificate.read_bytes())
            assert (await api.get(POD))["token"] == "first"
    finally:
        await runner.cleanup()


async def test_in_a_pod_its_own_account_is_used_and_its_rotated_token_read_again(tmp_path, authorities, monkeypatch):
    ours, _ = authorities
    clock, token = ManualClock(), tmp_path / "token"
    token.write_text("first")
    runner, url = await serve_tls(ours, only("second"))
    monkeypatch.setattr(access, "IN_CLUSTER_TOKEN", token)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(ours.certificate))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", url.rpartition(":")[2])
    try:
        async with Api(Access(clock=clock), Settings()) as api:
            token.write_text("second")
            await clock.advance(access.RENEW_PAUSE)
            assert (await api.get(POD))["token"] == "second"
    finally:
        await runner.cleanup()


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Usage, match="nowhere: there is no such kubeconfig: give one with --kubeconfig or KUBECONFIG"):
        await Access(str(tmp_path / "nowhere")).load()


@pytest.mark.parametrize("text", ["", "[]", "{", "clusters: []", "apiVersion: v1\ncurrent-context: x\ncontexts: []"])
async def test_a_kubeconfig_without_sense_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(Usage, match="broken: the kubeconfig is unusable"):
        await Access(str(path)).load()


async def test_an_unknown_context_is_refused(tmp_path):
    with pytest.raises(Usage, match="nosuch"):
        await Access(kubeconfig(tmp_path, "http://127.0.0.1:1"), "nosuch").load()


async def test_a_kubeconfig_that_breaks_while_we_run_is_no_reason_to_end(tmp_path):
    clock = ManualClock()
    async with serving(tmp_path, only("second")) as script, reached(script, clock) as api:
        (tmp_path / "kubeconfig").write_text("{")
        await clock.advance(access.RENEW_PAUSE)
        with pytest.raises(Unreachable, match="unusable"):
            await api.get(POD)


AS = {
    "token": "first",
    "as": "jane@example.com",
    "as-uid": "42",
    "as-groups": ["developers", "on-call"],
    "as-user-extra": {"example.com/amr": ["mfa", "hwk"]},
}


async def test_who_acts_as_somebody_else_says_so_in_every_call(tmp_path):
    seen = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append([pair for pair in request.headers.items() if pair[0].startswith(("Impersonate-", "Authorization"))])
        return ok({"kind": "Pod"}) if len(seen) != 1 else no(401, "Unauthorized")

    async with serving(tmp_path, answer, user=AS) as script, Api(Access(script.kubeconfig)) as api:
        await api.get(POD)
        async with aclosing(api.watch(kinds.POD, "1")) as events:
            assert (await anext(events)).type == "OPENED"
    assert len(seen) == 3
    assert {tuple(headers) for headers in seen} == {
        (
            ("Authorization", "Bearer first"),
            ("Impersonate-User", "jane@example.com"),
            ("Impersonate-Uid", "42"),
            ("Impersonate-Group", "developers"),
            ("Impersonate-Group", "on-call"),
            ("Impersonate-Extra-example.com%2Famr", "mfa"),
            ("Impersonate-Extra-example.com%2Famr", "hwk"),
        )
    }


def renamed(path):
    """Give what a kubeconfig names another name."""
    Path(path).write_text(Path(path).read_text().replace('"test"', '"other"'))
    return path


async def test_the_user_of_the_context_that_is_asked_for_counts_among_merged_kubeconfigs(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    for folder in (first, second):
        folder.mkdir()
    one = kubeconfig(first, "http://127.0.0.1:1", {"token": "t", "as": "jane"})
    other = renamed(kubeconfig(second, "http://127.0.0.1:2", {"token": "t", "as": "joe"}))

    for context, user in (("test", "jane"), ("other", "joe")):
        access = Access(f"{one}:{tmp_path}/none:{other}", context)
        await access.load()
        assert access.impersonation == (("Impersonate-User", user),)


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ({"as-groups": ["developers"]}, "as-groups is given without `as`"),
        ({"as": ["jane"]}, "as is not text on one line"),
        ({"as": "jane\r\nX-Remote-User: root"}, "as is not text on one line"),
        ({"as": "jane", "as-groups": [7]}, "as-groups is not text on one line"),
        ({"as": "jane", "as-user-extra": ["amr"]}, "as-user-extra is no object"),
        ({"as": "jane", "as-user-extra": {"amr": [True]}}, "as-user-extra.amr is not text on one line"),
    ],
    ids=["no user", "a list", "two lines", "a number", "no object", "no text"],
)
async def test_acting_as_somebody_who_is_not_said_well_is_bad_usage(tmp_path, user, told):
    path = kubeconfig(tmp_path, "http://127.0.0.1:1", {"token": "t", **user})

    with pytest.raises(Usage, match=f"the kubeconfig is unusable: {told}"):
        await Access(path).load()
