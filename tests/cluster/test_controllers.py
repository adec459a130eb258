"""Roles by custom resources on a real API server: they are taken as they are, kept, told of, and stripped or deleted."""

import asyncio
import json

import pytest

from lab import crds
from pipesegment import names
from pipesegment.world import kinds
from tests.cluster.operator import ACCOUNT, NAMESPACE, condition, segment, segment_class, stage

BOTH = pytest.mark.parametrize("backend", ["ACK", "Crossplane"])
AWS = {
    "accountID": "111122223333",
    "region": "eu-west-1",
    "clusterName": "prod",
    "oidcIssuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    "permissionsBoundaryARN": "arn:aws:iam::111122223333:policy/boundary",
    "allowedActions": ["s3:Get*", "s3:List*"],
    "allowedManagedPolicyARNs": ["arn:aws:iam::111122223333:policy/scan"],
}
READ = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::bucket/*"]}
LIST = {"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::bucket"]}
REVOKED = "pipesegment-revoked"


@pytest.fixture(scope="module")
def controllers_kinds(installed):
    """The controllers' kinds are served for this module, and the operator may write them, as the chart would let it."""
    theirs = [crd for crd in crds.aws() if crd["spec"]["group"] != "vpcresources.k8s.aws"]

    async def install():
        async with installed.api() as api:
            await api.install_crds(theirs)

    asyncio.run(install())
    every = [kind for found in kinds.CONTROLLED.values() for kind in found]
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    rules = [{"apiGroups": [kind.group], "resources": [kind.plural], "verbs": verbs} for kind in every]
    rules.append({"apiGroups": [names.GROUP], "resources": ["pipelinesegments"], "verbs": ["patch"]})
    rights, who = "rbac.authorization.k8s.io", {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    role = {
        "apiVersion": f"{rights}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "lab-controllers"},
        "rules": rules,
    }
    binding = {
        "apiVersion": f"{rights}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "lab-controllers"},
        "roleRef": {"apiGroup": rights, "kind": "ClusterRole", "name": "lab-controllers"},
        "subjects": [who],
    }
    for obj in (role, binding):
        installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(obj))
    yield
    installed.kubectl("delete", "clusterrole,clusterrolebinding", "lab-controllers")
    installed.kubectl("delete", "crd", *(crd["metadata"]["name"] for crd in theirs), "--wait")


@pytest.fixture
def operator(controllers_kinds, operators):
    """An operator that may write for both controllers, and has no AWS of its own."""
    return operators(aws="off", aws_backends="ACK,Crossplane").start()


@pytest.fixture
def of_class(installed, backend):
    """A class whose roles a controller makes, and are deleted with their segment."""

    def put(**aws):
        made = segment_class(
            "lab-controllers", "lab-controllers", mesh={"provider": "None"}, aws={**AWS, "backend": backend, **aws}
        )
        installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(made))
        return {"lab-controllers": "yes"}

    yield put
    installed.kubectl("delete", "segmentclass", "lab-controllers")


class Theirs:
    """The custom resources of one namespace's segment, and the controller's part."""

    def __init__(self, api, backend, namespace):
        self.api, self.backend, self.namespace = api, backend, namespace
        self.labels = f"{names.ORIGIN_LABEL}={namespace}"

    async def objects(self):
        return [obj for kind in kinds.CONTROLLED[self.backend] for obj in await self._of(kind)]

    async def _of(self, kind):
        place = self.namespace if kind.namespaced else None
        found = await self.api.objects(kind.api_version, kind.kind, place, labels=self.labels)
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **obj} for obj in found]

    async def until(self, holds, within=30.0):
        """Wait until the inline policies are so; the kinds are several, so they are asked again and again."""
        deadline = asyncio.get_running_loop().time() + within
        while not holds(found := await self.policies()):
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(0.2)
        return found

    async def policies(self):
        found = {}
        for obj in await self.objects():
            if obj["kind"] == "Role" and self.backend == "ACK":
                found |= obj["spec"].get("inlinePolicies", {})
            elif obj["kind"] == "RolePolicy":
                external = obj["metadata"]["annotations"]["crossplane.io/external-name"]
                found[external] = obj["spec"]["forProvider"]["policy"]
        return found

    async def generations(self):
        return {obj["metadata"]["uid"]: obj["metadata"]["generation"] for obj in await self.objects()}

    async def say_yes(self):
        for obj in await self.objects():
            kinds_of = ("ACK.ResourceSynced",) if self.backend == "ACK" else ("Synced", "Ready")
            now = str(obj["metadata"]["generation"])
            conditions = [{"type": kind, "status": "True", "message": f"seen at {now}"} for kind in kinds_of]
            meta = {key: obj["metadata"][key] for key in ("name", "namespace") if key in obj["metadata"]}
            said = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": meta}
            await self.api.apply(
                {**said, "status": {"conditions": conditions}}, manager="controller", subresource="status"
            )


def shop(namespace, *permissions, **aws):
    asked = {"permissions": list(permissions), "reachServices": "Declared", **aws}
    return segment("shop", namespace, stage("build", aws=asked))


async def told(api, namespace, reason):
    return await api.wait(
        names.API_VERSION,
        names.SEGMENT,
        "shop",
        namespace,
        until=lambda obj: condition(obj, "CloudReady").get("reason") == reason,
        within=60,
    )


@BOTH
async def test_roles_are_written_kept_cut_and_stripped(operator, of_class, namespaces, api, backend):
    namespace = await namespaces("ci", labels=of_class())
    theirs = Theirs(api, backend, namespace)
    wide = shop(namespace, READ, LIST, managedPolicyARNs=AWS["allowedManagedPolicyARNs"], identity="PodIdentity")
    await api.apply(wide)

    made = await told(api, namespace, "Progressing")
    assert condition(made, "NetworkReady")["status"] == "True"
    await theirs.until(lambda found: "pipesegment" in found)
    expected = ["PodIdentityAssociation", "Role", "RolePolicy", "RolePolicyAttachment"]
    assert sorted(obj["kind"] for obj in await theirs.objects()) == (expected[:2] if backend == "ACK" else expected)
    before = await theirs.generations()
    await theirs.say_yes()
    applied = await told(api, namespace, "Applied")
    assert applied["metadata"]["finalizers"] == [names.AWS_FINALIZER]
    assert "roleARN" in applied["status"]["stages"][0]

    # What the API server has filled in since is no drift: the look that brought `Applied` wrote nothing.
    assert await theirs.generations() == before

    await api.apply(shop(namespace, READ))
    await theirs.until(lambda found: REVOKED in found and "s3:ListBucket" not in found["pipesegment"])
    await theirs.say_yes()
    await told(api, namespace, "Applied")
    kinds_left = {obj["kind"] for obj in await theirs.objects()}
    assert not kinds_left & {"PodIdentityAssociation", "RolePolicyAttachment"}

    await api.delete(names.API_VERSION, names.SEGMENT, "shop", namespace)
    await api.wait_gone(names.API_VERSION, names.SEGMENT, "shop", namespace, within=60)
    assert set(await theirs.policies()) == {REVOKED}
    for obj in await theirs.objects():
        await api.delete(obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace"))


@BOTH
async def test_roles_go_with_their_segment(operator, of_class, namespaces, api, backend):
    namespace = await namespaces("ci", labels=of_class(deletionPolicy="Delete"))
    theirs = Theirs(api, backend, namespace)
    await api.apply(shop(namespace, READ))
    await theirs.until(lambda found: "pipesegment" in found)

    await api.delete(names.API_VERSION, names.SEGMENT, "shop", namespace)
    await api.wait_gone(names.API_VERSION, names.SEGMENT, "shop", namespace, within=60)
    assert await theirs.objects() == []


@pytest.mark.parametrize("backend", ["ACK"])
async def test_what_somebody_adds_to_a_role_is_taken_out(operator, of_class, namespaces, api, backend):
    namespace = await namespaces("ci", labels=of_class(deletionPolicy="Delete"))
    theirs = Theirs(api, backend, namespace)
    await api.apply(shop(namespace, READ))
    await theirs.until(lambda found: "pipesegment" in found)
    (role,) = await theirs.objects()
    everything = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    meta = {"name": role["metadata"]["name"], "namespace": namespace}
    mine = {"apiVersion": role["apiVersion"], "kind": "Role", "metadata": meta}
    added = {"inlinePolicies": {"more": everything}, "policies": ["arn:aws:iam::aws:policy/AdministratorAccess"]}
    await api.apply({**mine, "spec": added}, manager="somebody")

    await theirs.until(lambda found: set(found) == {"pipesegment", REVOKED})
    (role,) = await theirs.objects()
    assert role["spec"]["policies"] == []
    await api.delete(names.API_VERSION, names.SEGMENT, "shop", namespace)
    await api.wait_gone(names.API_VERSION, names.SEGMENT, "shop", namespace, within=60)
