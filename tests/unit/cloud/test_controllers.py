"""Roles that another controller makes: the whole operator on a twin, and the controller's part played by the test."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment import names
from pipesegment.cli import program
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from pipesegment.world import kinds
from tests.unit.cloud.scenes import LIST, POLICY, READ, TARGET, World, aws_class, role_name, running, segment, stage
from tests.unit.emergencies import seal

BOTH = pytest.mark.parametrize("backend", ["ACK", "Crossplane"])
REVOKED = "pipesegment-revoked"


def crds(backend: str) -> list[dict[str, Any]]:
    version = "apiextensions.k8s.io/v1"
    return [
        {"apiVersion": version, "kind": "CustomResourceDefinition", "metadata": {"name": kind.crd}}
        for kind in kinds.CONTROLLED[backend]
    ]


def scene(backend: str, *more: dict[str, Any], **aws: Any) -> Any:
    return running(aws_class(backend=backend, **aws), *crds(backend), *more, off=True, backends=backend)


def made(world: World, backend: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Give the custom resources that exist, by kind and name."""
    found = [obj for kind in kinds.CONTROLLED[backend] for obj in world.cluster.objects(kind.kind, kind.group)]
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in found}


def role(world: World, backend: str, name: str = "a") -> dict[str, Any]:
    return made(world, backend)["Role", role_name(name)]


def policies(world: World, backend: str, name: str = "a") -> dict[str, Any]:
    """Give what a role may do, policy by policy, and which managed policies it has."""
    if backend == "ACK":
        spec = role(world, backend, name)["spec"]
        inline = {policy: json.loads(text) for policy, text in spec["inlinePolicies"].items()}
        return {**inline, **{arn: {} for arn in spec["policies"]}}
    found: dict[str, Any] = {}
    for (kind, _), obj in made(world, backend).items():
        given = obj["spec"]["forProvider"]
        if given.get("role") == role_name(name):
            external = obj["metadata"]["annotations"].get("crossplane.io/external-name")
            found |= {external: json.loads(given["policy"])} if kind == "RolePolicy" else {given["policyArn"]: {}}
    return found


def allowed(document: dict[str, Any]) -> set[str]:
    return {a for s in document["Statement"] if s["Effect"] == "Allow" for a in s["Action"]}


async def says(world: World, backend: str, *, good: bool = True, message: str = "", arn: str = "") -> None:
    """Let the controller say of everything that it stands, or why it does not."""
    for obj in made(world, backend).values():
        own = arn or obj["metadata"]["annotations"].get(names.ARN_ANNOTATION, "")
        if backend == "ACK":
            condition = {"type": "ACK.ResourceSynced" if good else "ACK.Terminal", "status": "True", "message": message}
            status = {"conditions": [condition], "ackResourceMetadata": {"arn": own}}
        else:
            synced = {"type": "Synced", "status": "True" if good else "False", "message": message}
            status = {"conditions": [synced, {"type": "Ready", "status": "True"}], "atProvider": {"arn": own}}
        world.cluster.edit(ObjectID.of(obj), lambda live, status=status: live.update(status=status), "controller")
    await world.rest()


@BOTH
async def test_a_role_is_written_and_is_there_when_its_controller_says_so(backend: str) -> None:
    async with scene(backend, segment(stage(managedPolicyARNs=[POLICY]))) as world:
        assert world.condition()[:2] == ("False", "Progressing")
        assert "roleARN" not in world.status["stages"][0]
        assert allowed(policies(world, backend)["pipesegment"]) == {"s3:GetObject"}
        assert set(policies(world, backend)) == {"pipesegment", POLICY}
        await says(world, backend)
        assert world.condition()[:2] == ("True", "Applied")
        assert world.status["stages"][0]["roleARN"].endswith(role_name("a"))
        assert world.finalizers == [names.AWS_FINALIZER]
        recorded = {(entry["kind"], entry["name"]) for entry in world.status["inventory"]}
        assert ("Role", role_name("a")) in recorded
        assert not world.cluster.objects(names.IAM_ROLE)


@BOTH
async def test_a_kind_that_is_not_installed_is_told_and_the_network_does_not_wait(backend: str) -> None:
    async with running(aws_class(backend=backend), segment(stage()), off=True, backends=backend) as world:
        assert world.condition()[:2] == ("False", "BackendMissing")
        assert "not installed" in world.condition()[2]
        assert world.condition("NetworkReady")[:2] == ("True", "Applied")
        assert world.condition("Ready")[:2] == ("True", "Enforced")
        world.cluster.seed(*crds(backend))
        await world.rest(40)
        assert allowed(policies(world, backend)["pipesegment"]) == {"s3:GetObject"}


@BOTH
async def test_a_controller_that_this_operator_may_not_write_for_is_told(backend: str) -> None:
    async with running(aws_class(backend=backend), *crds(backend), segment(stage())) as world:
        assert world.condition()[:2] == ("False", "SwitchedOff")
        assert (made(world, backend), world.aws.roles, world.finalizers) == ({}, {}, [])


@BOTH
async def test_rights_that_are_lost_cut_earlier_sessions_and_rights_that_grow_cut_nobody(backend: str) -> None:
    before, wide = segment(stage("a", READ)), segment(stage("a", READ, LIST))
    async with scene(backend, before) as world:
        await world.change(before, wide)
        assert set(policies(world, backend)) == {"pipesegment"}
        await world.change(wide, before)
        cut = policies(world, backend)[REVOKED]["Statement"][0]
        assert (cut["Effect"], cut["Condition"]) == (
            "Deny",
            {"DateLessThan": {"aws:TokenIssueTime": "2026-11-27T12:00:00Z"}},
        )
        assert allowed(policies(world, backend)["pipesegment"]) == {"s3:GetObject"}
        assert world.twin.metrics.revocations._value.get() == 1
        await says(world, backend)
        assert world.condition()[:2] == ("True", "Applied")
        # When no session of before can be alive it goes, with the next look.
        await world.rest(13 * 3600)
        assert set(policies(world, backend)) == {"pipesegment"}


@BOTH
async def test_a_segment_that_goes_takes_its_roles_with_it_or_leaves_them_without_rights(backend: str) -> None:
    async with scene(backend, segment(stage()), deletionPolicy="Delete") as world:
        assert role(world, backend)
        await world.delete()
        assert (made(world, backend), world.cluster.objects(names.SEGMENT)) == ({}, [])
    async with scene(backend, segment(stage(managedPolicyARNs=[POLICY]))) as world:
        field = role(world, backend)
        retained = (
            field["metadata"]["annotations"].get("services.k8s.aws/deletion-policy"),
            field["spec"].get("deletionPolicy"),
        )
        assert retained == (("retain", None) if backend == "ACK" else (None, "Orphan"))
        await world.delete()
        assert set(policies(world, backend)) == {REVOKED}
        assert world.cluster.objects(names.SEGMENT) == []
        # Nobody touches it any more, and nothing waits for it.
        writes = len(world.cluster.writes)
        await world.rest(4000)
        assert len(world.cluster.writes) == writes


@BOTH
async def test_a_stage_that_goes_is_treated_as_a_segment_that_goes(backend: str) -> None:
    both, one = segment(stage("a"), stage("b")), segment(stage("b"))
    async with scene(backend, both) as world:
        await world.change(both, one)
        assert set(policies(world, backend)) == {REVOKED}
        assert set(policies(world, backend, "b")) == {"pipesegment"}
        await says(world, backend)
        assert world.condition()[:2] == ("True", "Applied")


@BOTH
async def test_somebody_elses_object_of_our_name_sees_no_write_and_its_role_gets_nothing(backend: str) -> None:
    kind = kinds.CONTROLLED[backend][0]
    place = {"namespace": "ci"} if kind.namespaced else {}
    foreign = {
        "apiVersion": kind.api_version,
        "kind": "Role",
        "metadata": {"name": role_name("a"), **place},
        "spec": {"forProvider": {}},
    }
    async with scene(backend, foreign, segment(stage(managedPolicyARNs=[POLICY]))) as world:
        assert world.condition()[:2] == ("False", "ForeignRole")
        assert world.condition("Ready")[:2] == ("False", "Conflict")
        assert set(made(world, backend)) == {("Role", role_name("a"))}
        assert role(world, backend)["spec"] == {"forProvider": {}}


@BOTH
async def test_a_suspended_segment_is_given_nothing_and_still_loses_what_it_should_not_have(backend: str) -> None:
    wide = segment(stage("a", READ, LIST))
    async with scene(backend, segment(stage("a"), suspend=True)) as world:
        assert (made(world, backend), world.condition()[:2]) == ({}, ("False", "Suspended"))
    async with scene(backend, wide) as world:
        await world.change(
            wide, segment(stage("a", LIST, {"actions": ["s3:PutObject"], "resources": ["*"]}), suspend=True)
        )
        assert allowed(policies(world, backend)["pipesegment"]) == {"s3:ListBucket"}
        assert REVOKED in policies(world, backend)
        assert world.condition()[:2] == ("False", "Suspended")


@BOTH
async def test_what_a_controller_cannot_do_is_told_in_its_words(backend: str) -> None:
    async with scene(backend, segment(stage())) as world:
        await says(world, backend, good=False, message="EntityAlreadyExists: it was there")
        assert world.condition()[:2] == ("False", "BackendFailed")
        assert "EntityAlreadyExists: it was there" in world.condition()[2]
        assert world.condition("Ready")[:2] == ("True", "Enforced")
        if backend == "ACK":
            return
        await says(world, backend, arn="arn:aws:iam::999999999999:role/pipesegment/x")
        assert world.condition()[:2] == ("False", "BackendFailed")
        assert "999999999999" in world.condition()[2]


async def test_a_policy_that_somebody_adds_to_acks_role_is_taken_out_and_its_sessions_cut() -> None:
    async with scene("ACK", segment(stage())) as world:
        await says(world, "ACK")
        target = ObjectID.of(role(world, "ACK"))

        def add(live: dict[str, Any]) -> None:
            live["spec"]["inlinePolicies"]["more"] = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*"}]})
            live["spec"]["policies"] = ["arn:aws:iam::aws:policy/AdministratorAccess"]

        world.cluster.edit(target, add)
        await world.rest()
        assert set(policies(world, "ACK")) == {"pipesegment", REVOKED}


@BOTH
async def test_a_controller_that_finds_nothing_to_do_is_read_again(backend: str) -> None:
    before = segment(stage("a", READ))
    async with scene(backend, before) as world:
        await says(world, backend)
        await world.change(before, segment(stage("a", LIST)))
        assert world.condition()[:2] == ("False", "Progressing")
        await says(world, backend)
        await world.rest(61)
        assert world.condition()[:2] == ("True", "Applied")


async def test_what_a_controller_says_of_an_earlier_generation_says_nothing() -> None:
    async with scene("Crossplane", segment(stage())) as world:
        await says(world, "Crossplane")
        for obj in made(world, "Crossplane").values():

            def age(live: dict[str, Any]) -> None:
                for condition in live["status"]["conditions"]:
                    condition["observedGeneration"] = live["metadata"]["generation"] - 1

            world.cluster.edit(ObjectID.of(obj), age, "controller")
        await world.rest()
        assert world.condition()[:2] == ("False", "Progressing")


async def test_what_a_controller_fills_in_is_no_drift() -> None:
    async with scene("Crossplane", segment(stage())) as world:
        await says(world, "Crossplane")
        writes = len(world.cluster.writes)

        def fill(live: dict[str, Any]) -> None:
            live["spec"]["providerConfigRef"] = {"name": "default"}
            live["spec"]["forProvider"]["forceDetachPolicies"] = False

        world.cluster.edit(ObjectID.of(role(world, "Crossplane")), fill)
        await world.rest()
        assert [w for w in world.cluster.writes[writes:] if w.target.by_controller] == []
        assert world.condition()[:2] == ("True", "Applied")


@BOTH
async def test_pod_identity_is_bound_by_an_object_too(backend: str) -> None:
    before = segment(stage(identity="PodIdentity"))
    async with scene(backend, before) as world:
        (bound,) = [obj for (kind, _), obj in made(world, backend).items() if kind == "PodIdentityAssociation"]
        given = bound["spec"] if backend == "ACK" else bound["spec"]["forProvider"]
        assert (given["clusterName"], given["namespace"], given["serviceAccount"]) == ("prod", "ci", "shop-a")
        assert given.get("roleARN", given.get("roleArn")).endswith(role_name("a"))
        await world.change(before, segment(stage()))
        assert "PodIdentityAssociation" not in {kind for kind, _ in made(world, backend)}


async def test_a_class_that_turns_to_a_controller_gives_up_what_was_made_here() -> None:
    direct, turned = aws_class(deletionPolicy="Delete"), aws_class(deletionPolicy="Delete", backend="ACK")
    async with running(direct, segment(stage()), *crds("ACK"), backends="ACK") as world:
        assert role_name("a") in world.aws.roles
        await world.change(direct, turned)
        await world.rest(5)
        assert world.aws.roles == {}
        assert allowed(policies(world, "ACK")["pipesegment"]) == {"s3:GetObject"}


async def test_what_was_made_here_stays_on_record_where_aws_is_off_by_now() -> None:
    before = segment(stage())
    entry = {"apiVersion": names.IAM_API_VERSION, "kind": names.IAM_ROLE, "namespace": "ci"}
    before["status"] = {"inventory": [{**entry, "name": role_name("a"), "uid": "AROA1"}]}
    async with scene("ACK", before) as world:
        assert world.condition()[:2] == ("False", "SwitchedOff")
        assert allowed(policies(world, "ACK")["pipesegment"]) == {"s3:GetObject"}
        assert (names.IAM_ROLE, "AROA1") in {(e["kind"], e["uid"]) for e in world.status["inventory"]}


@BOTH
async def test_a_label_that_somebody_takes_off_is_put_back_and_hides_no_rights(backend: str) -> None:
    wide = segment(stage("a", READ, LIST))
    async with scene(backend, wide) as world:
        await says(world, backend)
        for obj in made(world, backend).values():
            target = ObjectID.of(obj)
            world.cluster.edit(target, lambda live: live["metadata"]["labels"].pop(names.MANAGED_BY_LABEL))
        await world.change(wide, segment(stage("a", READ)))
        assert REVOKED in policies(world, backend)
        labels = role(world, backend)["metadata"]["labels"]
        assert labels[names.MANAGED_BY_LABEL] == names.MANAGED_BY


async def test_nothing_is_held_while_a_kind_is_missing() -> None:
    async with running(aws_class(backend="ACK"), segment(stage()), off=True, backends="ACK") as world:
        assert world.finalizers == []
        await world.delete()
        assert world.cluster.objects(names.SEGMENT) == []


@BOTH
async def test_a_stage_whose_objects_are_refused_holds_back_no_other_and_nothing_of_the_network(backend: str) -> None:
    async with scene(backend) as world:
        refused = Rejected(422, "Invalid", "a webhook says no")
        world.cluster.fail(refused, matches=lambda target: target.name == role_name("a"), times=1000)
        await world.change(None, segment(stage("a"), stage("b")))
        assert world.condition()[:2] == ("False", "ApplyFailed")
        assert "a webhook says no" in world.condition()[2]
        assert world.condition("Ready")[:2] == ("True", "Enforced")
        assert set(policies(world, backend, "b")) == {"pipesegment"}
        assert ("Role", role_name("a")) not in made(world, backend)


@BOTH
async def test_a_kind_that_is_missing_holds_back_what_needs_it_and_nobody_elses_revocation(backend: str) -> None:
    without = [crd for crd in crds(backend) if "podidentity" not in crd["metadata"]["name"]]
    wide = segment(stage("a", READ, LIST))
    bound = stage("b", READ, identity="PodIdentity")
    async with running(aws_class(backend=backend), *without, wide, off=True, backends=backend) as world:
        await world.change(wide, segment(stage("a", READ), bound))
        assert world.condition()[:2] == ("False", "BackendMissing")
        assert "podidentityassociations" in world.condition()[2]
        assert allowed(policies(world, backend)["pipesegment"]) == {"s3:GetObject"}
        assert REVOKED in policies(world, backend)
        assert set(policies(world, backend, "b")) == {"pipesegment"}
        await world.change(None, seal())
        assert set(policies(world, backend)) == {REVOKED}
        world.cluster.seed(*crds(backend))
        await world.rest(40)
        assert "PodIdentityAssociation" in {kind for kind, _ in made(world, backend)}


@BOTH
async def test_what_a_stage_loses_does_not_wait_for_the_cut_that_is_refused(backend: str) -> None:
    wide = segment(stage("a", READ, LIST), stage("b", READ, LIST))
    async with scene(backend, wide) as world:
        refused = Rejected(403, "Forbidden", "a webhook says no")
        cut = f"{role_name('a')}-revoked" if backend == "Crossplane" else role_name("a")
        world.cluster.fail(refused, matches=lambda target: target.name == cut, times=1000)
        await world.change(wide, segment(stage("a", READ), stage("b", READ)))
        assert allowed(policies(world, backend, "b")["pipesegment"]) == {"s3:GetObject"}
        assert world.condition()[:2] == ("False", "ApplyFailed")
        if backend == "Crossplane":  # of ACK's it is one object
            assert allowed(policies(world, backend)["pipesegment"]) == {"s3:GetObject"}
            assert f"{role_name('a')}-revoked" in world.condition()[2]
            await world.change(None, seal())
            assert policies(world, backend) == {}
            world.cluster.mend()
            await world.rest(400)
            assert set(policies(world, backend)) == {REVOKED}


async def test_a_role_of_ack_that_cannot_be_deleted_has_no_rights_and_stays_on_record() -> None:
    both, one = segment(stage("a", managedPolicyARNs=[POLICY]), stage("b")), segment(stage("b"))
    async with scene("ACK", both, deletionPolicy="Delete") as world:
        refused = Rejected(403, "Forbidden", "a webhook says no")
        mine = ObjectID.of(role(world, "ACK"))
        world.cluster.fail(refused, verbs=frozenset({"delete"}), matches=lambda target: target == mine, times=1000)
        await world.change(both, one)
        assert set(policies(world, "ACK")) == {REVOKED}
        assert world.condition()[:2] == ("False", "ApplyFailed")
        assert ("Role", role_name("a")) in {(e["kind"], e["name"]) for e in world.status["inventory"]}
        world.cluster.mend()
        await world.rest(400)
        assert set(made(world, "ACK")) == {("Role", role_name("b"))}


async def test_a_cut_that_an_earlier_segment_left_is_told_before_rights_are_given() -> None:
    wide = segment(stage("a", READ, LIST))
    async with scene("Crossplane", wide) as world:
        await world.delete()
        world.cluster.remove(ObjectID.of(role(world, "Crossplane")))
        anew = {**wide, "metadata": {**wide["metadata"], "uid": "u-anew"}}
        await world.change(None, anew)
        assert world.condition()[:2] == ("False", "ForeignRole")
        assert f"{role_name('a')}-revoked" in world.condition()[2]
        assert set(made(world, "Crossplane")) == {("RolePolicy", f"{role_name('a')}-revoked")}
        world.cluster.remove(ObjectID.of(made(world, "Crossplane")["RolePolicy", f"{role_name('a')}-revoked"]))
        await world.rest(2000)
        assert set(policies(world, "Crossplane")) == {"pipesegment"}


@BOTH
async def test_a_stage_with_somebody_elses_object_still_loses_rights_and_gains_none(backend: str) -> None:
    wide, bound = segment(stage("a", READ, LIST)), stage("a", READ, identity="PodIdentity")
    async with scene(backend, wide) as world:
        kind = kinds.CONTROLLED[backend][-1]
        place = {"namespace": "ci"} if kind.namespaced else {}
        meta = {"name": role_name("a"), **place}
        world.cluster.seed(
            {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": {"forProvider": {}}}
        )
        await world.change(wide, segment(bound))
        assert world.condition()[:2] == ("False", "ForeignRole")
        assert allowed(policies(world, backend)["pipesegment"]) == {"s3:GetObject"}
        assert REVOKED in policies(world, backend)
        await world.change(None, seal())
        assert set(policies(world, backend)) == {REVOKED}


async def test_a_class_that_turns_to_what_the_operator_may_not_write_for_freezes_no_rights() -> None:
    direct, turned = aws_class(deletionPolicy="Delete"), aws_class(deletionPolicy="Delete", backend="ACK")
    wide = segment(stage("a", READ, LIST, identity="PodIdentity"))
    async with running(direct, wide, *crds("ACK")) as world:
        await world.change(direct, turned)
        assert world.condition()[:2] == ("False", "SwitchedOff")
        assert len(world.aws.associations) == 1
        await world.change(wide, segment(stage("a", READ, identity="PodIdentity")))
        assert allowed(world.role().inline["pipesegment"]) == {"s3:GetObject"}
        await world.change(None, seal())
        assert set(world.role().inline) == {REVOKED}
        await world.delete()
        assert (world.aws.roles, world.cluster.objects(names.SEGMENT)) == ({}, [])
    async with running(turned, wide, *crds("ACK"), off=True, backends="ACK") as world:
        await world.change(turned, direct)
        await world.change(wide, segment(stage("a", READ, identity="PodIdentity")))
        assert world.condition()[:2] == ("False", "SwitchedOff")
        assert allowed(policies(world, "ACK")["pipesegment"]) == {"s3:GetObject"}
        await world.change(None, seal())
        assert set(policies(world, "ACK")) == {REVOKED}


@pytest.mark.parametrize(("old", "new"), [("ACK", "Direct"), ("Direct", "ACK"), ("ACK", "Crossplane")])
async def test_no_two_look_after_one_role(old: str, new: str) -> None:
    """With Retain the switch is told with its steps; with Delete the new one begins when the old one is gone."""
    before, after = aws_class(backend=old), aws_class(backend=new)
    wide = segment(stage("a", READ, LIST))
    both = [*crds("ACK"), *crds("Crossplane")]
    async with running(before, wide, *both, backends="ACK,Crossplane") as world:
        await world.change(before, after)
        await world.change(wide, segment(stage("a", READ)))
        status, reason, message = world.condition()
        assert (status, reason) == ("False", "Progressing")
        assert f"{old} made roles that {new} cannot take over" in message
        assert (role_name("a") in world.aws.roles) is (old == "Direct")
        rights = world.role().inline if old == "Direct" else policies(world, old)
        assert allowed(rights["pipesegment"]) == {"s3:GetObject"}
        if new != "Direct":
            assert made(world, new) == {}
        await world.change(after, aws_class(backend=new, deletionPolicy="Delete"))
        await world.rest(61)
        assert (role_name("a") in world.aws.roles) is (new == "Direct")
        if old != "Direct":
            assert made(world, old) == {}
        rights = world.role().inline if new == "Direct" else policies(world, new)
        assert allowed(rights["pipesegment"]) == {"s3:GetObject"}


async def test_a_role_of_ours_is_not_deleted_before_the_controllers_kinds_are_there() -> None:
    direct, turned = aws_class(deletionPolicy="Delete"), aws_class(deletionPolicy="Delete", backend="ACK")
    async with running(direct, segment(stage()), backends="ACK") as world:
        await world.change(direct, turned)
        assert world.condition()[:2] == ("False", "BackendMissing")
        assert allowed(world.role().inline["pipesegment"]) == {"s3:GetObject"}
        world.cluster.seed(*crds("ACK"))
        await world.rest(61)
        assert world.aws.roles == {}
        assert allowed(policies(world, "ACK")["pipesegment"]) == {"s3:GetObject"}


@pytest.mark.parametrize(
    ("backend", "mark"),
    [
        ("ACK", {"metadata": {"services.k8s.aws/read-only": "true"}}),
        ("ACK", {"metadata": {"services.k8s.aws/adoption-policy": "adopt"}}),
        ("Crossplane", {"metadata": {"crossplane.io/paused": "true"}}),
        ("Crossplane", {"spec": ["Observe"]}),
    ],
)
async def test_what_tells_a_controller_to_leave_aws_as_it_is_is_told(backend: str, mark: dict[str, Any]) -> None:
    async with scene(backend, segment(stage())) as world:
        await says(world, backend)

        def put(live: dict[str, Any]) -> None:
            live["metadata"]["annotations"].update(mark.get("metadata") or {})
            if "spec" in mark:
                live["spec"]["managementPolicies"] = mark["spec"]

        world.cluster.edit(ObjectID.of(role(world, backend)), put)
        await world.rest()
        assert world.condition()[:2] == ("False", "BackendFailed")
        assert "may leave AWS as it is" in world.condition()[2]


async def test_deletion_policy_of_acks_role_is_put_back() -> None:
    async with scene("ACK", segment(stage())) as world:
        await says(world, "ACK")
        annotation = {"services.k8s.aws/deletion-policy": "delete"}
        world.cluster.edit(
            ObjectID.of(role(world, "ACK")), lambda live: live["metadata"]["annotations"].update(annotation)
        )
        await world.rest()
        assert role(world, "ACK")["metadata"]["annotations"]["services.k8s.aws/deletion-policy"] == "retain"


@pytest.mark.parametrize(("backend", "there"), [("ACK", True), ("Crossplane", True), ("Direct", False)])
def test_compile_prints_custom_resources_and_what_is_made_in_aws_when_asked(
    tmp_path: Path, backend: str, there: bool
) -> None:
    given = [aws_class(backend=backend), segment(stage())]
    for document in given:
        document["metadata"] = {
            key: document["metadata"][key] for key in ("name", "namespace") if key in document["metadata"]
        }
    (tmp_path / "given.yaml").write_text(yaml.safe_dump_all(given))

    def kinds_of(*more: str) -> set[str]:
        done = CliRunner().invoke(program, ["compile", "-f", str(tmp_path / "given.yaml"), *more])
        assert done.exit_code == 0, done.stderr
        return {obj["kind"] for obj in yaml.safe_load_all(done.stdout)}

    assert ("Role" in kinds_of()) is there
    assert (names.IAM_ROLE in kinds_of("--aws")) is not there


async def test_plan_tells_of_a_retained_role_what_the_operator_does(tmp_path: Path) -> None:
    both, one = segment(stage("a"), stage("b")), segment(stage("b"))
    async with scene("ACK", both) as world:
        live = [
            *world.cluster.objects("Namespace"),
            *made(world, "ACK").values(),
            world.cluster.existing(TARGET),
            aws_class(backend="ACK"),
        ]
    (tmp_path / "live.yaml").write_text(yaml.safe_dump_all(json.loads(json.dumps(live))))
    kept = {key: one["metadata"][key] for key in ("name", "namespace")}
    (tmp_path / "given.yaml").write_text(yaml.safe_dump({**one, "metadata": kept}))
    paths = [str(tmp_path / name) for name in ("given.yaml", "live.yaml", "live.yaml")]
    arguments = ["plan", "-f", paths[0], "--facts", paths[1], "--live", paths[2], "-o", "json"]
    done = CliRunner().invoke(program, arguments)
    told = {c["name"]: c["action"] for c in json.loads(done.stdout)["changes"] if c["kind"] == "Role"}
    assert told == {role_name("a"): "configured", role_name("b"): "unchanged"}
