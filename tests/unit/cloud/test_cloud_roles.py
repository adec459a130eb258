"""What becomes of roles as segments come, change and go: the whole operator on two twins."""

from typing import Any

import pytest

from pipesegment import names
from pipesegment.errors import NoCredentials, Rejected, Unreachable
from pipesegment.plan.aws import revocation
from tests.unit.cloud.scenes import (
    BOUNDARY,
    CLUSTER,
    LIST,
    NOW,
    POLICY,
    TARGET,
    aws_class,
    role_name,
    running,
    segment,
    stage,
)

GET = "arn:aws:s3:::bucket/*"


def allowed(document: dict[str, Any]) -> set[str]:
    return {action for s in document["Statement"] if s["Effect"] == "Allow" for action in s["Action"]}


async def test_a_role_is_made_with_its_boundary_and_tags_and_the_status_names_it() -> None:
    async with running(aws_class(), segment(stage())) as world:
        role = world.role()
        assert role.raw["PermissionsBoundary"] == {"PermissionsBoundaryArn": BOUNDARY}
        assert role.tags[names.SEGMENT_UID_TAG] == "u-shop"
        assert role.tags[names.CLUSTER_TAG] == CLUSTER
        assert allowed(role.inline["pipesegment"]) == {"s3:GetObject"}
        assert world.condition()[:2] == ("True", "Applied")
        assert world.status["stages"][0]["roleARN"] == role.raw["Arn"]
        assert (names.IAM_ROLE, role.raw["RoleId"]) in {(e["kind"], e["uid"]) for e in world.status["inventory"]}


async def test_the_finalizer_is_there_before_the_role() -> None:
    async with running(aws_class()) as world:
        seen: list[bool] = []
        make = world.aws.call

        async def call(place: Any, call: Any) -> Any:
            if call.action == "CreateRole":
                seen.append(names.AWS_FINALIZER in world.finalizers)
            return await make(place, call)

        world.aws.call = call  # type: ignore[method-assign]
        await world.change(None, segment(stage()))
        assert seen == [True]


async def test_a_segment_without_roles_never_has_the_finalizer_and_asks_nothing_of_aws() -> None:
    bare = {"name": "a", "podSelector": {"matchLabels": {"app": "a"}}}
    async with running(aws_class(), segment(bare)) as world:
        assert world.finalizers == []
        assert world.aws.calls == []
        assert world.condition() == ("True", "NotDeclared", "nothing of it is declared")


async def test_at_rest_a_look_reads_and_writes_nothing() -> None:
    async with running(aws_class(), segment(stage())) as world:
        written, version = len(world.aws.writes), world.cluster.version
        await world.rest(2000)
        assert len(world.aws.writes) == written
        assert world.cluster.version == version
        assert world.aws.counts["GetRole"] >= 2


async def test_at_rest_a_role_costs_two_reads_a_look_and_three_looks_read_all_of_it() -> None:
    async with running(aws_class(), segment(stage("a"), stage("b", managedPolicyARNs=[POLICY]))) as world:
        await world.rest(1801)  # the first look after writes reads everything
        parts = []
        for _ in range(3):
            before = world.aws.counts
            await world.rest(1801)
            read = world.aws.counts - before
            parts.append({action for action in read if action not in {"GetRole", "ListRoles", "GetCallerIdentity"}})
            assert sum(n for action, n in read.items() if action not in {"ListRoles", "GetCallerIdentity"}) == 4
        assert set().union(*parts) == {"ListAttachedRolePolicies", "ListRolePolicies", "GetRolePolicy"}


@pytest.mark.parametrize("what", ["attached", "added", "changed", "replaced"])
@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_whatever_somebody_gives_a_role_at_rest_is_found_within_three_looks(what: str, looks: int) -> None:
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    async with running(aws_class(), segment(stage())) as world:
        for _ in range(looks):
            await world.rest(1801)
        match what:
            case "attached":
                world.role().attached.add("arn:aws:iam::aws:policy/AdministratorAccess")
            case "added":
                world.role().inline["more"] = wide
            case "changed":
                world.role().inline["pipesegment"] = wide
            case _:
                world.role().raw["RoleId"] = "AROANEW"
                world.role().inline["pipesegment"] = wide
        for _ in range(1 if what == "replaced" else 3):
            await world.rest(1801)
        assert world.role().attached == set()
        assert set(world.role().inline) == {"pipesegment", revocation.POLICY}
        assert allowed(world.role().inline["pipesegment"]) == {"s3:GetObject"}


@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_a_boundary_that_was_changed_has_everything_read_at_once(looks: int) -> None:
    async with running(aws_class(), segment(stage())) as world:
        for _ in range(looks):
            await world.rest(1801)
        admin = "arn:aws:iam::aws:policy/AdministratorAccess"
        world.role().attached.add(admin)
        world.role().raw["PermissionsBoundary"] = {"PermissionsBoundaryArn": admin}
        await world.rest(1801)
        assert world.role().raw["PermissionsBoundary"] == {"PermissionsBoundaryArn": BOUNDARY}
        assert world.role().attached == set()


async def test_a_look_that_somebody_asks_for_reads_everything() -> None:
    async with running(aws_class(), segment(stage())) as world:
        await world.rest(1801)
        for asked in ("1", "2", "3"):
            world.role().attached.add("arn:aws:iam::aws:policy/AdministratorAccess")
            mark = {names.CHECK_ANNOTATION: asked}
            world.cluster.edit(TARGET, lambda obj, mark=mark: obj["metadata"].update(annotations=mark))
            world.twin.operator.put_segment(world.cluster.existing(TARGET))
            await world.rest()
            assert world.role().attached == set()


async def test_the_boundary_that_somebody_removed_is_put_back_and_earlier_sessions_are_cut() -> None:
    async with running(aws_class(), segment(stage())) as world:
        del world.role().raw["PermissionsBoundary"]
        before = len(world.aws.writes)
        await world.rest(2000)
        assert [c.action for c in world.aws.writes[before:]] == ["PutRolePolicy", "PutRolePermissionsBoundary"]
        assert world.role().raw["PermissionsBoundary"] == {"PermissionsBoundaryArn": BOUNDARY}
        found = revocation.read(world.role().inline[revocation.POLICY])
        assert found is not None
        assert found[0] > NOW


async def test_what_somebody_added_to_a_role_is_taken_off_and_other_peoples_tags_are_left() -> None:
    async with running(aws_class(), segment(stage())) as world:
        role = world.role()
        role.inline["more"] = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        role.attached.add("arn:aws:iam::aws:policy/AdministratorAccess")
        role.raw["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = "*"
        role.raw["Tags"].append({"Key": "cost-center", "Value": "42"})
        await world.rest(2000)
        assert set(role.inline) == {"pipesegment", revocation.POLICY}
        assert role.attached == set()
        assert "Federated" in role.raw["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
        assert role.tags["cost-center"] == "42"
        assert world.twin.metrics.drift.labels(names.IAM_ROLE)._value.get() > 0


async def test_an_annotation_asks_for_a_look_now() -> None:
    async with running(aws_class(), segment(stage())) as world:
        del world.role().raw["PermissionsBoundary"]
        world.cluster.edit(TARGET, lambda obj: obj["metadata"].update(annotations={names.CHECK_ANNOTATION: "1"}))
        found = world.cluster.existing(TARGET)
        world.twin.operator.put_segment(found)
        await world.rest()
        assert "PermissionsBoundary" in world.role().raw


@pytest.mark.parametrize("tags", [{}, {names.SEGMENT_UID_TAG: "another"}, {names.CLUSTER_TAG: "another"}])
async def test_a_foreign_role_of_our_name_is_never_written(tags: dict[str, str]) -> None:
    async with running(aws_class()) as world:
        await world.change(None, segment(stage()))
        role = world.role()
        known = {**role.tags, **tags} if tags else {}
        role.raw["Tags"] = [{"Key": key, "Value": value} for key, value in known.items()]
        role.inline["pipesegment"]["Statement"][0]["Action"] = ["s3:*"]
        before = len(world.aws.writes)
        await world.rest(2000)
        assert world.aws.writes[before:] == []
        status, reason, message = world.condition()
        assert (status, reason) == ("False", "ForeignRole")
        assert "spec.stages[0].aws" in message
        assert world.condition("Ready")[:2] == ("False", "Conflict")
        assert world.condition("NetworkReady")[0] == "True"


async def test_tags_are_read_before_every_write() -> None:
    async with running(aws_class(), segment(stage())) as world:
        role, make = world.role(), world.aws.call
        role.attached |= {"arn:aws:iam::aws:policy/One", "arn:aws:iam::aws:policy/Two"}

        async def call(place: Any, call: Any) -> Any:
            answer = await make(place, call)
            if call.action == "DetachRolePolicy":
                # Between two calls of ours the role becomes somebody else's.
                role.raw["Tags"] = []
            return answer

        world.aws.call = call  # type: ignore[method-assign]
        await world.rest(2000)
        assert role.attached == {"arn:aws:iam::aws:policy/Two"}


async def test_rights_that_shrink_cut_the_sessions_before_them_with_the_moment_in_the_audit_trail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wide, narrow = (
        segment(stage("a", {**LIST}, {"actions": ["s3:GetObject"], "resources": [GET]})),
        segment(stage("a", LIST)),
    )
    async with running(aws_class(), wide) as world:
        with caplog.at_level("INFO", "pipesegment.audit"):
            await world.change(wide, narrow)
        found = revocation.read(world.role().inline[revocation.POLICY])
        assert found is not None
        assert found[0] == NOW
        lines = [record.msg for record in caplog.records if record.name == "pipesegment.audit"]
        cut = [line for line in lines if "sessionsBefore" in line]
        assert [(line["action"], line["sessionsBefore"]) for line in cut] == [("PutRolePolicy", "2026-11-27T12:00:00Z")]
        assert allowed(world.role().inline["pipesegment"]) == {"s3:ListBucket"}
        order = [c.parameters["PolicyName"] for c in world.aws.writes if c.action == "PutRolePolicy"]
        assert order == ["pipesegment", revocation.POLICY, "pipesegment"]
        # When no session of before can be alive, the cut goes.
        await world.rest(13 * 3600)
        assert revocation.POLICY not in world.role().inline


async def test_rights_that_only_grow_cut_nobody() -> None:
    old, new = segment(stage("a", LIST)), segment(stage("a", LIST, {"actions": ["s3:GetObject"], "resources": [GET]}))
    async with running(aws_class(), old) as world:
        await world.change(old, new)
        assert set(world.role().inline) == {"pipesegment"}
        assert allowed(world.role().inline["pipesegment"]) == {"s3:ListBucket", "s3:GetObject"}


async def test_a_suspended_segment_loses_rights_and_gains_none() -> None:
    both = {"actions": ["s3:GetObject", "s3:PutObject"], "resources": [GET]}
    old = segment(stage("a", LIST, both))
    new = segment(stage("a", LIST, {"actions": ["s3:DeleteObject"], "resources": [GET]}), stage("b"), suspend=True)
    async with running(aws_class(), old) as world:
        await world.change(old, new)
        assert allowed(world.role().inline["pipesegment"]) == {"s3:ListBucket"}
        assert role_name("b") not in world.aws.roles
        assert world.condition()[:2] == ("False", "Suspended")


async def test_a_stage_that_goes_leaves_a_role_without_rights() -> None:
    old, new = segment(stage("a"), stage("b")), segment(stage("a"))
    async with running(aws_class(), old) as world:
        await world.change(old, new)
        assert set(world.role("b").inline) == {revocation.POLICY}
        assert world.condition()[:2] == ("True", "Applied")
        assert role_name("b") not in str(world.status["inventory"])


async def test_a_stage_that_goes_takes_its_role_with_it_where_the_class_says_delete() -> None:
    old, new = (
        segment(stage("a", managedPolicyARNs=[POLICY]), stage("b", managedPolicyARNs=[POLICY])),
        segment(stage("a")),
    )
    async with running(aws_class(deletionPolicy="Delete"), old) as world:
        before = len(world.aws.writes)
        await world.change(old, new)
        gone = [c.action for c in world.aws.writes[before:] if c.parameters["RoleName"] == role_name("b")]
        assert gone == ["DeleteRolePolicy", "DetachRolePolicy", "DeleteRole"]
        assert set(world.aws.roles) == {role_name("a")}


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_a_segment_that_goes_waits_for_its_roles(policy: str) -> None:
    async with running(aws_class(deletionPolicy=policy), segment(stage())) as world:
        assert world.finalizers == [names.AWS_FINALIZER]
        await world.delete()
        assert world.cluster.peek(TARGET) is None
        if policy == "Delete":
            assert world.aws.roles == {}
        else:
            assert set(world.role().inline) == {revocation.POLICY}


async def test_a_role_with_a_foreign_policy_is_not_deleted() -> None:
    async with running(aws_class(deletionPolicy="Delete"), segment(stage(managedPolicyARNs=[POLICY]))) as world:
        other = "arn:aws:iam::aws:policy/ReadOnlyAccess"
        world.role().attached.add(other)
        await world.delete()
        assert world.role().attached == {other}
        assert set(world.role().inline) == {revocation.POLICY}
        assert world.cluster.peek(TARGET) is None


async def test_deleting_a_segment_while_aws_is_out_of_reach_keeps_nothing_in_the_cluster() -> None:
    async with running(aws_class(), segment(stage())) as world:
        world.aws.fail(Unreachable("no answer"))
        await world.delete()
        assert world.cluster.existing(TARGET)["metadata"]["deletionTimestamp"]
        ours = [o for o in world.cluster.objects("NetworkPolicy") if o["metadata"]["name"] == "shop-a"]
        assert ours == []
        world.aws.mend()
        await world.rest(600)
        assert world.cluster.peek(TARGET) is None
        assert set(world.role().inline) == {revocation.POLICY}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoCredentials("Unable to locate credentials"), "NoCredentials"),
        (Unreachable("connection refused"), "Unreachable"),
        (Rejected(429, "Throttling", "Rate exceeded"), "Throttled"),
        (Rejected(403, "AccessDenied", "not authorized to perform iam:GetRole"), "ApplyFailed"),
    ],
)
async def test_aws_that_does_not_help_is_told_and_delays_nothing_else(error: Exception, reason: str) -> None:
    async with running(aws_class()) as world:
        world.aws.fail(error)
        await world.change(None, segment(stage()))
        assert world.condition()[:2] == ("False", reason)
        assert world.condition("NetworkReady")[:2] == ("True", "Applied")
        assert world.condition("IdentityReady")[:2] == ("True", "Applied")
        assert world.condition("Ready")[:2] == ("True", "Enforced")
        assert world.finalizers == []
        world.aws.mend()
        await world.rest(400)
        assert world.condition()[:2] == ("True", "Applied")


async def test_what_is_denied_is_told_for_its_stage_and_the_others_go_on() -> None:
    async with running(aws_class()) as world:
        denied = Rejected(403, "AccessDenied", "not authorized to perform iam:CreateRole")
        world.aws.fail(
            denied, matches=lambda c: c.action == "CreateRole" and c.parameters["RoleName"] == role_name("a")
        )
        await world.change(None, segment(stage("a"), stage("b")))
        assert role_name("b") in world.aws.roles
        status, reason, message = world.condition()
        assert (status, reason) == ("False", "ApplyFailed")
        assert "CreateRole" in message
        assert [s.get("roleARN") is not None for s in world.status["stages"]] == [False, True]


async def test_credentials_of_another_account_write_nothing() -> None:
    async with running(aws_class(), segment(stage())) as world:
        assert world.condition()[0] == "True"
    async with running(
        aws_class(accountID="444455556666", permissionsBoundaryARN=BOUNDARY.replace("111122223333", "444455556666")),
        segment(stage()),
    ) as world:
        assert world.aws.writes == []
        assert world.condition()[:2] == ("False", "WrongAccount")


async def test_switched_off_nothing_is_asked_of_aws() -> None:
    async with running(aws_class(), segment(stage()), off=True) as world:
        assert world.condition()[:2] == ("False", "SwitchedOff")
        assert world.condition("Ready")[0] == "True"


async def test_pod_identity_is_bound_after_the_role_and_unbound_after_its_rights() -> None:
    asked = stage(identity="PodIdentity")
    async with running(aws_class(deletionPolicy="Delete"), segment(asked)) as world:
        order = [call.action for call in world.aws.writes]
        assert order == ["CreateRole", "PutRolePolicy", "CreatePodIdentityAssociation"]
        bound = next(iter(world.aws.associations.values()))
        assert (bound["serviceAccount"], bound["roleArn"]) == ("shop-a", world.role().raw["Arn"])
        bound["roleArn"] = "arn:aws:iam::111122223333:role/other"
        await world.rest(2000)
        assert bound["roleArn"] == world.role().raw["Arn"]
        before = len(world.aws.writes)
        await world.delete()
        assert [c.action for c in world.aws.writes[before:]] == [
            "DeleteRolePolicy",
            "DeletePodIdentityAssociation",
            "DeleteRole",
        ]
        assert world.cluster.peek(TARGET) is None


async def test_an_association_of_somebody_else_is_left_alone() -> None:
    async with running(aws_class()) as world:
        foreign = {"clusterName": "prod", "namespace": "ci", "serviceAccount": "shop-a", "roleArn": "arn:x", "tags": {}}
        foreign |= {"associationId": "a-1", "associationArn": "arn:a-1"}
        world.aws.associations["a-1"] = dict(foreign)
        await world.change(None, segment(stage(identity="PodIdentity")))
        assert world.aws.associations["a-1"] == foreign
        assert world.condition()[:2] == ("False", "ForeignRole")


async def test_a_role_that_nothing_recorded_is_found_and_stripped() -> None:
    old = segment(stage("a"), stage("b"))
    async with running(aws_class(), old) as world:
        left = world.role("b")
    async with running(aws_class(), segment(stage("a"))) as world:
        # Somebody died between making the role and recording it, and the stage was removed meanwhile.
        world.aws.roles[role_name("b")] = left
        await world.rest(2000)
        assert set(left.inline) == {revocation.POLICY}
