"""What is written for the ambient mesh and for Linkerd on a real API server: it takes everything as it is.

Linkerd's kinds are on the cluster for this module alone. They are written from its reference (`lab/crds/linkerd.yaml`), so
they tell that nothing beside what is written there is said, and no more.
"""

import asyncio
from pathlib import Path

import pytest

from lab import crds, yaml

CASES = Path(__file__).parents[1] / "golden" / "cases"
GROUPS = ("policy.linkerd.io/", "security.istio.io/")


def _policies(group):
    for case in sorted(CASES.glob("*.out.yaml")):
        for obj in yaml.safe_load(case.read_text())["objects"]:
            waypoint = "targetRefs" in obj.get("spec", {})
            if obj["apiVersion"].startswith(group) and (waypoint or group == GROUPS[0] or "ambient" in case.name):
                yield case.name.removesuffix(".out.yaml"), obj


@pytest.fixture(scope="module")
def linkerd_crds(control_plane):
    """Linkerd's kinds are served, for this module."""

    async def install():
        async with control_plane.api() as api:
            await api.install_crds(crds.linkerd())

    asyncio.run(install())
    yield
    for definition in crds.linkerd():
        control_plane.kubectl("delete", f"crd/{definition['metadata']['name']}", "--wait")


@pytest.mark.parametrize("group", GROUPS)
async def test_what_we_compile_is_taken_as_it_is(linkerd_crds, istio_crds, namespaces, api, group):
    """Every field is known, and none is defaulted or left out: nothing would ever look drifted."""
    found = list(_policies(group))
    assert len(found) > 10
    made = set()
    for case, policy in found:
        namespace = await namespaces()
        metadata = {"name": policy["metadata"]["name"], "namespace": namespace}
        stored = await api.create({**policy, "metadata": metadata})
        assert stored["spec"] == policy["spec"], case
        made.add(policy["kind"])
    linkerd = {"Server", "HTTPRoute", "MeshTLSAuthentication", "NetworkAuthentication"}
    expected = {"AuthorizationPolicy", *(linkerd if group == GROUPS[0] else ())}
    assert expected <= made


async def test_what_linkerd_does_not_know_is_refused(linkerd_crds, namespaces, api):
    """The control: these kinds do look at what they are given."""
    namespace = await namespaces()
    both = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}
    for spec in (
        {"podSelector": both, "port": 80},
        {"podSelector": {"matchLabels": {}}, "port": 80, "accesPolicy": "deny"},
    ):
        meta = {"name": "odd", "namespace": namespace}
        with pytest.raises(Exception, match=r"podSelector|accesPolicy"):
            await api.create(
                {"apiVersion": "policy.linkerd.io/v1beta3", "kind": "Server", "metadata": meta, "spec": spec}
            )
