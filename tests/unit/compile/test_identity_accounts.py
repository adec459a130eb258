"""ServiceAccounts: one a stage, as declared."""

import pytest

from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.reach.graph import Account
from tests.unit.compile.building import NAMESPACE, UID, names_of, only, reach, stage


def account_of(account: Account):
    return only(compile_segment(reach(stage("build", account=account))), "ServiceAccount")


def test_account_is_rendered_as_declared():
    obj = account_of(
        Account(
            "robot", create=True, automount=True, image_pull_secrets=("b", "a"), annotations=(("x.example/y", "z"),)
        )
    )
    assert obj["apiVersion"] == "v1"
    assert obj["metadata"]["name"] == "robot"
    assert obj["automountServiceAccountToken"] is True
    assert obj["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    assert obj["metadata"]["annotations"]["x.example/y"] == "z"
    assert obj["metadata"]["labels"]["pipesegment.dev/stage"] == "build"


def test_token_is_refused_in_so_many_words_and_secrets_are_left_out():
    obj = account_of(Account("robot", create=True, automount=False))
    assert obj["automountServiceAccountToken"] is False
    assert "imagePullSecrets" not in obj


def test_account_that_must_exist_is_never_written():
    desired = compile_segment(reach(stage("build", account=Account("robot", create=False, automount=True))))
    assert names_of(desired, "ServiceAccount") == []


@pytest.mark.parametrize("create", [True, False])
def test_two_stages_never_share_an_account(create):
    shared = Account("robot", create=create, automount=False)
    with pytest.raises(Refused) as caught:
        compile_segment(reach(stage("build", account=shared), stage("test", 1, account=shared)))
    assert [str(r) for r in caught.value.refusals] == [
        f"spec.stages[{i}].serviceAccount.name: is the account of another stage too 'robot': "
        "give every stage an account of its own"
        for i in (0, 1)
    ]


def test_roles_are_bound_to_the_account_each_by_an_object_of_its_own():
    account = Account("deployer", create=False, automount=False, roles=(("ClusterRole", "view"), ("Role", "a:b")))
    bindings = [
        obj for obj in compile_segment(reach(stage("deploy", account=account))).objects if obj["kind"] == "RoleBinding"
    ]

    assert {(obj["roleRef"]["kind"], obj["roleRef"]["name"]) for obj in bindings} == set(account.roles)
    assert [obj["subjects"] for obj in bindings] == [
        [{"kind": "ServiceAccount", "name": "deployer", "namespace": NAMESPACE}]
    ] * 2
    assert len({obj["metadata"]["name"] for obj in bindings}) == 2
    assert all(obj["metadata"]["ownerReferences"][0]["uid"] == UID for obj in bindings)


def test_a_stage_that_was_refused_has_no_rights():
    account = Account("deployer", create=False, automount=False, roles=(("ClusterRole", "view"),))
    found = compile_segment(reach(stage("deploy", account=account, closed=True))).objects

    assert "RoleBinding" not in {obj["kind"] for obj in found}
