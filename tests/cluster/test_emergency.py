"""An emergency as people live through it: signed in with and without a second factor, by the command line, behind the
chart's admission policies and roles, with the operator up, down and starting.
"""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from lab.controlplane import EmbeddedControlPlane, Options
from pipesegment.cli import program
from tests.cluster import admission
from tests.cluster.attempts import Person, change, create, delete, opening
from tests.cluster.conftest import Operators, operating
from tests.cluster.operator import POLICY, VERSION, condition, install, segment, settled, stage, to_cidr
from tests.cluster.test_exceptions import NOTICE
from tests.planes import new_room, started

OWN, VENDOR = "192.0.2.0/24", "198.51.100.7/32"
LABEL = "lab.example.com/emergency"
#: Who signs in at the issuer: the groups that the chart's roles are bound to, and how.
PEOPLE = {
    "ann": (["oncall"], ["pwd", "mfa"]),
    "bea": (["oncall"], ["pwd"]),
    "cal": (["staff"], ["pwd", "mfa"]),
    "dan": (["staff", "oncall"], ["mfa"]),
    "sue": (["staff", "security"], ["pwd"]),
}
ROLES = {"staff": "author", "oncall": "approver", "security": "author"}
GOVERNING = {
    "apiVersion": VERSION,
    "kind": "SegmentClass",
    "metadata": {"name": "emergency"},
    "spec": {
        "namespaceSelector": {"matchLabels": {LABEL: "yes"}},
        "priority": 10,
        "mesh": {"provider": "None"},
        "guardrails": {"exclusive": True},
        "breakGlass": {"approverGroups": ["oidc:oncall"], "sealerGroups": ["oidc:security"]},
    },
}


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[EmbeddedControlPlane]:
    """A control plane of this file's own: the policies are clusterwide, and people have to be able to sign in."""
    with started(request, Options(oidc=True)) as plane:
        install(plane)
        admission.enforce(plane, [*admission.policies(), GOVERNING, *bindings()])
        time.sleep(NOTICE)
        yield plane


def bindings():
    """Give people the roles of the chart, and nothing else."""
    for group, role in ROLES.items():
        api = "rbac.authorization.k8s.io"
        yield {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"lab-{group}"},
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": f"pipesegment-{role}"},
            "subjects": [{"kind": "Group", "name": f"oidc:{group}", "apiGroup": api}],
        }


@pytest.fixture
def own_operators(plane: EmbeddedControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    yield from operating(plane, tmp_path_factory)


@pytest.fixture
async def room(plane: EmbeddedControlPlane) -> str:
    """A new namespace that the class governs."""
    return await new_room(plane, {LABEL: "yes"})


@pytest.fixture(scope="module")
def says(plane: EmbeddedControlPlane, tmp_path_factory: pytest.TempPathFactory):
    """Await `says("ann", "exception", "list")` for what the command line comes to, when ann says that."""
    folder = tmp_path_factory.mktemp("people")
    kubeconfigs = {
        who: plane.signed_in(f"{who}@example.com", groups=groups, amr=amr).write_kubeconfig(folder / who)
        for who, (groups, amr) in PEOPLE.items()
    }

    async def say(who: str, *arguments: str) -> Result:
        environment = {"KUBECONFIG": str(kubeconfigs[who])}
        # In a thread: the program has a loop of its own.
        return await asyncio.to_thread(CliRunner().invoke, program, arguments, env=environment)

    return say


ASKING = ("--reason", "the mirror is down", "--ticket", "INC-1", "--duration", "10m", "--cidr", VENDOR, "--port", "443")


async def phase(api, room, name, wanted, **more):
    return await api.wait(
        VERSION,
        "SegmentException",
        name,
        room,
        until=lambda o: (
            o.get("status", {}).get("phase") == wanted
            and all(o["status"].get(key) == value for key, value in more.items())
        ),
    )


async def blocks(api, room, wanted):
    """Wait until the stage's policy lets out to these blocks."""
    await api.wait(
        *POLICY,
        "shop-deploy",
        room,
        until=lambda policy: (
            {peer["ipBlock"]["cidr"] for rule in policy["spec"].get("egress", []) for peer in rule["to"]} == wanted
        ),
    )


async def test_two_people_and_a_second_factor_open_and_anybody_closes(plane, own_operators, room, says):
    own_operators().start()
    async with plane.api() as api:
        await api.apply(segment("shop", room, stage("deploy", to_cidr(OWN, 443))))
        await settled(api, "shop", room)
        stage_of = f"{room}/shop/deploy"

        asked = await says("cal", "exception", "request", stage_of, *ASKING, "--name", "hotfix", "-o", "json")
        assert asked.exit_code == 0, asked.stderr
        assert json.loads(asked.stdout)["spec"]["requestedBy"] == {
            "username": "oidc:cal@example.com",
            "uid": "sub-cal@example.com",
        }
        await hashed(api, room)

        approve = ("exception", "approve", f"{room}/hotfix", "--yes")
        for who, why in (
            ("bea", "demands a second factor of who approves"),
            ("cal", "was asked for by yourself"),
            ("sue", "segmentapprovals.pipesegment.dev is forbidden"),
        ):
            refused = await says(who, *approve)
            assert refused.exit_code == 1, refused.output
            assert why in refused.stderr
        await blocks(api, room, {OWN})

        approved = await says("ann", *approve)
        assert approved.exit_code == 0, approved.stderr
        assert f"SegmentException {room}/hotfix is approved by oidc:ann@example.com" in approved.stdout
        await phase(api, room, "hotfix", "Open", approvers=["oidc:ann@example.com"])
        await blocks(api, room, {OWN, VENDOR})
        shown = await says("cal", "exception", "list", "-n", room)
        assert shown.stdout.splitlines()[1].split()[:6] == [f"{room}/hotfix", "Open", "shop/deploy", "-", "Open", "1/1"]

        revoked = await says("cal", "exception", "revoke", f"{room}/hotfix")
        assert revoked.exit_code == 0, revoked.stderr
        await blocks(api, room, {OWN})


async def hashed(api, room, name="hotfix"):
    """Wait until the operator has said what an approval has to name."""
    found = await api.wait(VERSION, "SegmentException", name, room, until=lambda o: o.get("status", {}).get("specHash"))
    return found["status"]["specHash"]


async def test_a_seal_cuts_at_once_and_only_sealers_lift_it(plane, own_operators, room, says):
    operator = own_operators().start()
    async with plane.api() as api:
        await api.apply(segment("shop", room, stage("deploy", to_cidr(OWN, 443))))
        await settled(api, "shop", room)

        sealed = await says("cal", "seal", f"{room}/shop/deploy", "--reason", "its image is compromised")
        assert sealed.exit_code == 0, sealed.stderr
        await blocks(api, room, set())
        name = sealed.stdout.split()[1].partition("/")[2].rstrip(":")
        await phase(api, room, name, "Sealed", sealers=["oidc:security"])

        for state in ("up", "down"):
            if state == "down":
                operator.kill()
            for who, by in (("cal", ("seal", f"{room}/shop/deploy", "--lift")), ("ann", ("exception", "revoke"))):
                arguments = (*by, f"{room}/{name}") if by[0] == "exception" else by
                refused = await says(who, *arguments)
                assert refused.exit_code == 1, (state, refused.output)
            assert (
                "the seal is lifted by members of oidc:security"
                in (await says("cal", "seal", f"{room}/shop/deploy", "--lift")).stderr
            )

        lifted = await says("sue", "seal", f"{room}/shop/deploy", "--lift")
        assert lifted.exit_code == 0, lifted.stderr
        await blocks(api, room, set())
        operator.start()
        await blocks(api, room, {OWN})


async def test_nobody_leaves_a_seal_by_another_stage_or_without_the_segment(plane, own_operators, room, says):
    """Its author may mend what its stages reach; which pods they are stays as it is, with the operator down too."""
    operator = own_operators().start()
    author = Person(plane.signed_in("cal@example.com", groups=["staff"], amr=["pwd"]))
    deploy, build = stage("deploy", to_cidr(OWN, 443)), stage("build", to_cidr(OWN, 443))
    async with plane.api() as api:
        await api.apply(segment("shop", room, deploy, build))
        await settled(api, "shop", room)
        assert (await says("cal", "seal", f"{room}/shop/deploy", "--reason", "its image leaks")).exit_code == 0
        await blocks(api, room, set())
        sealed = await api.get(*POLICY, "shop-deploy", room)
        pods = sealed["spec"]["podSelector"]
        other = {"name": "other", "podSelector": pods, "reaches": build["reaches"]}
        for state in ("up", "down"):
            if state == "down":
                operator.kill()
            for stages in (
                [build, other],
                [deploy, build, other],
                [build],
                [{**deploy, "podSelector": {"matchLabels": {"a": "b"}}}, build],
            ):
                answer = author.tries(changed(room, stages))
                assert (answer.status, "is sealed by a SegmentException" in answer.message) == (403, True), (
                    state,
                    answer,
                )
            answer = author.tries(delete("PipelineSegment", room, "shop"))
            assert (answer.status, "lift the seal first" in answer.message) == (403, True), (state, answer)
            opening_it = {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "open", "namespace": room},
                "spec": {"podSelector": pods, "policyTypes": ["Egress"], "egress": [{}]},
            }
            answer = Person(plane.admin).tries(create(opening_it))
            assert (answer.status, "lets nobody but pipesegment open" in answer.message) == (403, True), (state, answer)
            assert author.tries(changed(room, [stage("deploy", to_cidr(VENDOR, 443)), build])).status == 200
        await api.delete("v1", "Namespace", room)


def changed(room, stages):
    """Give the segment other stages."""
    return change("PipelineSegment", room, "shop", {"spec": {"stages": stages}})


async def test_with_the_operator_down_nobody_gets_in_who_would_not_otherwise(plane, own_operators, room, says):
    """What waits is approved while nobody runs, and opens at the start; whoever forges meanwhile gains nothing."""
    operator = own_operators().start()
    async with plane.api() as api:
        await api.apply(segment("shop", room, stage("deploy", to_cidr(OWN, 443))))
        await settled(api, "shop", room)
        request = ("exception", "request", f"{room}/shop/deploy", *ASKING)
        for name in ("hotfix", "other"):
            assert (await says("cal", *request, "--name", name)).exit_code == 0
            await hashed(api, room, name)
        operator.kill()

        assert (await says("cal", *request, "--name", "late")).exit_code == 0
        late = await says("ann", "exception", "approve", f"{room}/late", "--yes")
        assert late.exit_code == 1
        assert "was not looked at yet" in late.stderr
        assert (await says("bea", "exception", "approve", f"{room}/other", "--yes")).exit_code == 1
        assert (await says("ann", "exception", "approve", f"{room}/hotfix", "--yes")).exit_code == 0
        await forge(plane, api, room, "other")
        await blocks(api, room, {OWN})

        operator.start(ready=False)
        assert (await says("bea", "exception", "approve", f"{room}/other", "--yes")).exit_code == 1
        await phase(api, room, "hotfix", "Open")
        await blocks(api, room, {OWN, VENDOR})
        await phase(api, room, "other", "Pending", reason="AwaitingApproval")
        forged = await api.wait(
            VERSION, "SegmentApproval", "forged", room, until=lambda o: o.get("status", {}).get("conditions")
        )
        (ready,) = forged["status"]["conditions"]
        assert ready["message"] == (
            "does not count, for it is by the word of SegmentClass lenient, which is not the one that governs"
        )


async def forge(plane, api, room, name):
    """Approve by the word of a class that does not govern and does not exist: admission has no say in that."""
    found = await api.get(VERSION, "SegmentException", name, room)
    person = Person(plane.signed_in("dan@example.com", groups=["oncall"]))
    person.does(
        create(
            {
                "apiVersion": VERSION,
                "kind": "SegmentApproval",
                "metadata": {"name": "forged", "namespace": room},
                "spec": {
                    "exception": {
                        "name": name,
                        "uid": found["metadata"]["uid"],
                        "specHash": found["status"]["specHash"],
                        "requestedBy": found["spec"]["requestedBy"],
                    },
                    "class": {"name": "lenient", "uid": "00000000-0000-4000-8000-000000000000"},
                    "approvedBy": {"username": "oidc:dan@example.com", "uid": "sub-dan@example.com"},
                },
            }
        )
    )


async def test_a_policy_of_before_is_told_at_once_and_a_new_one_refused(plane, own_operators, room):
    """`exclusive`: one watch event, a condition, an Event and a metric; and nobody adds another."""
    operator = own_operators().start()
    root = Person(plane.admin)
    before = create(opening(room, {"team": "web"}, name="from-before"))
    async with plane.api() as api:
        root.does(before)
        await api.apply(segment("shop", room, stage("deploy", to_cidr(OWN, 443))))
        await settled(api, "shop", room)
        await asyncio.to_thread(
            admission.Scene(plane, {"root": root}).await_verdict, "root", create(opening(room)), "Deny exclusive"
        )
        await api.wait(VERSION, "PipelineSegment", "shop", room, until=lambda o: reason_of(o) != "Widened")

        # Whoever may take the policy away opens; the operator tells, by the one event that it gets.
        binding = "pipesegment-exclusive"
        await asyncio.to_thread(plane.kubectl, "delete", "validatingadmissionpolicybinding", binding)
        opened = create(opening(room, name="theirs"))
        await asyncio.to_thread(admission.Scene(plane, {"root": root}).await_verdict, "root", opened, "Allow")
        root.does(opened)
        found = await api.wait(
            VERSION, "PipelineSegment", "shop", room, until=lambda o: reason_of(o) == "Widened", within=10
        )
        assert f"NetworkPolicy {room}/theirs" in condition(found, "Conforming")["message"]
        assert operator.metric("not_conforming", reason="Widened") == 1
        await api.wait_list(
            "events.k8s.io/v1",
            "Event",
            room,
            until=lambda events: any(
                e["reason"] == "Widened" and f"{room}/theirs" in e["note"] for e in events.values()
            ),
        )
        await api.delete(*POLICY, "theirs", room)
        await api.wait(VERSION, "PipelineSegment", "shop", room, until=lambda o: reason_of(o) != "Widened")
        await asyncio.to_thread(admission.enforce, plane, admission.policies())


def reason_of(found):
    told = {c["type"]: c["reason"] for c in found.get("status", {}).get("conditions", ())}
    return told.get("Conforming", "")
