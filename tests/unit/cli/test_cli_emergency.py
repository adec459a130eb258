"""exception and seal: what they write, whom they take the user for, and what they refuse."""

import json
from contextlib import asynccontextmanager

import pytest

from lab import yaml
from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from pipesegment.spec.exception import spec_hash
from pipesegment.world.memory import MemoryCluster

SHOP = {
    "apiVersion": names.API_VERSION,
    "kind": names.SEGMENT,
    "metadata": {"name": "shop", "namespace": "ci"},
    "spec": {"stages": [{"name": "build"}, {"name": "deploy"}]},
}
REQUEST = ["exception", "request", "ci/shop/deploy", "--reason", "the mirror is down", "--ticket", "INC-1"]
PUT = {"permissions": [{"actions": ["s3:PutObject"], "resources": ["arn:aws:s3:::releases/*"]}]}
ASKED = [*REQUEST, "--duration", "1h", "--cidr", "203.0.113.7/32", "--port", "443"]
REFUSAL = (
    "segmentapprovals.pipesegment.dev \"hotfix\" is forbidden: ValidatingAdmissionPolicy 'pipesegment-segmentapprovals' "
    "with binding 'pipesegment-segmentapprovals' denied request: SegmentClass default demands a second factor"
)


class Signed(MemoryCluster):
    """A cluster that knows who asks, names what has only the beginning of a name, and refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.user = {"username": "ada", "uid": "u-1"}
        self.refusal: Rejected | None = None
        self.made: list[dict] = []
        #: What the operator tells of an exception that is made; None while none runs.
        self.word: dict | None = {"phase": "Pending", "reason": "AwaitingApproval"}

    async def create(self, obj):
        if obj["kind"] == "SelfSubjectReview":
            return {**obj, "status": {"userInfo": self.user}}
        if self.refusal is not None:
            raise self.refusal
        meta = dict(obj["metadata"])
        beginning = meta.pop("generateName", "")
        meta.setdefault("name", f"{beginning}x7k2p")
        self.made.append({**obj, "metadata": meta})
        made = await super().create({**obj, "metadata": meta})
        if self.word is not None and obj["kind"] == names.EXCEPTION:
            await self.patch_status({**obj, "metadata": meta, "status": self.word})
        return made


@pytest.fixture
def cluster(monkeypatch):
    found = Signed()
    found.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ci"}})
    found.seed(SHOP)

    @asynccontextmanager
    async def connected(_):
        yield found

    monkeypatch.setattr("pipesegment.cli.emergency.connected", connected)
    monkeypatch.setattr("pipesegment.cli.emergency.PAUSE", 0.0)
    return found


def hotfix(cluster, by="ada", aws=None, **status):
    """An exception that stands there, as the operator has told of it."""
    spec = {
        "segment": "shop",
        "stage": "deploy",
        "effect": "Open",
        "reaches": [{"cidr": {"block": "203.0.113.7/32"}, "ports": [{"port": 443}]}],
        "reason": "the mirror is down",
        "ticket": "INC-1",
        "duration": "1h",
        "requestedBy": {"username": by},
        **({"aws": aws} if aws else {}),
    }
    told = {
        "phase": "Pending",
        "specHash": spec_hash(spec),
        "class": {"name": "default", "uid": "u-default"},
        "approvalsNeeded": 1,
        **status,
    }
    obj = {
        "apiVersion": names.API_VERSION,
        "kind": names.EXCEPTION,
        "metadata": {"name": "hotfix", "namespace": "ci", "uid": "u-hotfix"},
        "spec": spec,
        "status": {key: value for key, value in told.items() if value is not None},
    }
    cluster.seed(obj)
    return obj


def sealed(cluster, name="incident"):
    spec = {
        "segment": "shop",
        "stage": "deploy",
        "effect": "Seal",
        "reason": "stolen",
        "requestedBy": {"username": "ada"},
    }
    meta = {"name": name, "namespace": "ci", "uid": f"u-{name}"}
    cluster.seed({"apiVersion": names.API_VERSION, "kind": names.EXCEPTION, "metadata": meta, "spec": spec})


def there(cluster, name):
    return cluster.peek(ObjectID(names.API_VERSION, names.EXCEPTION, "ci", name)) is not None


class TestRequest:
    def test_it_says_who_asks_what_for_and_how_to_go_on(self, run, cluster):
        result = run(*ASKED)

        assert result.exit_code == 0, result.stderr
        assert result.stdout == (
            "SegmentException ci/shop-deploy-x7k2p: stage ci/shop/deploy waits for approval: "
            "pipesegment exception approve ci/shop-deploy-x7k2p\n"
        )
        assert cluster.made[0]["spec"] == {
            "segment": "shop",
            "stage": "deploy",
            "effect": "Open",
            "reaches": [{"cidr": {"block": "203.0.113.7/32"}, "ports": [{"port": 443}]}],
            "reason": "the mirror is down",
            "ticket": "INC-1",
            "duration": "1h",
            "requestedBy": {"username": "ada", "uid": "u-1"},
        }

    @pytest.mark.parametrize(
        ("word", "code", "said"),
        [
            (
                {
                    "phase": "Refused",
                    "reason": "NotAllowed",
                    "conditions": [
                        {"type": "Ready", "message": "it is to last 9h, and SegmentClass default allows 4h"}
                    ],
                },
                1,
                (
                    "is not opened (Refused): it is to last 9h, and SegmentClass default allows 4h: "
                    "take it back with `pipesegment exception revoke ci/shop-deploy-x7k2p`"
                ),
            ),
            (
                {
                    "phase": "Pending",
                    "reason": "Unguarded",
                    "conditions": [{"type": "Ready", "message": "no approval is believed"}],
                },
                0,
                "waits, and not for approval alone (Unguarded): no approval is believed",
            ),
            (
                None,
                0,
                "waits for the operator to look at it, then for approval: pipesegment exception approve ci/shop-deploy-x7k2p",
            ),
        ],
        ids=["refused", "pending", "no word"],
    )
    def test_what_the_operator_says_of_it_is_told(self, run, cluster, word, code, said):
        cluster.word = word

        result = run(*ASKED)

        assert (result.exit_code, result.stdout) == (
            code,
            f"SegmentException ci/shop-deploy-x7k2p: stage ci/shop/deploy {said}\n",
        )

    def test_who_may_not_read_it_is_told_what_was_made(self, run, cluster):
        cluster.fail(
            Rejected(403, "Forbidden", "no"), verbs=frozenset({"get"}), matches=lambda t: t.kind == names.EXCEPTION
        )

        result = run(*ASKED, "-o", "json")

        assert (result.exit_code, json.loads(result.stdout)["metadata"]["name"]) == (0, "shop-deploy-x7k2p")

    def test_without_a_uid_none_is_said(self, run, cluster):
        cluster.user = {"username": "ada", "uid": ""}

        assert run(*ASKED).exit_code == 0
        assert cluster.made[0]["spec"]["requestedBy"] == {"username": "ada"}

    @pytest.mark.parametrize("style", ["json", "yaml"])
    def test_what_was_made_is_printed_as_it_is(self, run, cluster, style):
        result = run(*ASKED, "--name", "hotfix", "-o", style)

        found = json.loads(result.stdout) if style == "json" else yaml.safe_load(result.stdout)
        assert found["metadata"]["name"] == "hotfix"
        assert found["spec"]["requestedBy"]["username"] == "ada"

    @pytest.mark.parametrize(
        "text", ["- imds: {}\n", "reaches: [{imds: {}}]", '[{"imds": {}}]'], ids=["list", "mapping", "json"]
    )
    def test_what_to_reach_comes_from_a_file_too(self, run, cluster, text):
        result = run(*REQUEST, "--duration", "1h", "-f", "-", stdin=text)

        assert result.exit_code == 0, result.stderr
        assert cluster.made[0]["spec"]["reaches"] == [{"imds": {}}]

    def test_rights_in_aws_come_from_a_file_with_or_without_ways(self, run, cluster):
        assert run(*REQUEST, "--duration", "1h", "-f", "-", stdin=json.dumps({"aws": PUT})).exit_code == 0
        more = ["--name", "both", "--fqdn", "a.example.com"]
        assert run(*REQUEST, "--duration", "1h", "-f", "-", *more, stdin=json.dumps({"aws": PUT})).exit_code == 0
        alone, both = (made["spec"] for made in cluster.made)
        assert (alone["aws"], "reaches" in alone) == (PUT, False)
        assert (both["aws"], both["reaches"]) == (PUT, [{"fqdn": {"names": ["a.example.com"]}}])

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                "a: b",
                "stdin: is no list of what to reach 'dict': write it as in reaches, or as a mapping with reaches, aws",
            ),
            ("- imds: {}\n---\n- imds: {}", "stdin: holds more than one document: '2'"),
            ("a: [", "is not YAML"),
            ("aws: {permissions: []}", "spec.aws.permissions: is empty '[]': give at least 1 item"),
            ("aws: {roleARN: x}", "spec.aws.roleARN: unknown field 'roleARN'"),
        ],
    )
    def test_a_file_that_says_something_else_is_told(self, run, cluster, text, said):
        result = run(*REQUEST, "--duration", "1h", "-f", "-", stdin=text)

        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert cluster.made == []

    def test_every_flag_is_an_entry(self, run, cluster):
        flags = ["--fqdn", "a.example.com", "--fqdn", "b.example.com", "--service", "api.prod", "--port", "53/udp"]

        assert run(*REQUEST, "--duration", "1h", *flags).exit_code == 0
        assert cluster.made[0]["spec"]["reaches"] == [
            {"fqdn": {"names": ["a.example.com", "b.example.com"]}, "ports": [{"port": 53, "protocol": "UDP"}]},
            {"service": {"name": "api", "namespace": "prod"}, "ports": [{"port": 53, "protocol": "UDP"}]},
        ]

    @pytest.mark.parametrize(
        ("more", "code", "said"),
        [
            (["--cidr", "10.0.0.0/33", "--port", "1"], 1, "spec.reaches[0].cidr.block: "),
            (["--cidr", "10.0.0.0/8"], 2, "--cidr: needs --port"),
            (["--fqdn", "a.example.com", "--port", "1/ICMP"], 2, "--port: is no port: '1/ICMP'"),
            ([], 2, "what shall be reached: give -f, --cidr, --fqdn or --service"),
            (["--port", "1"], 2, "--port: goes with --cidr, --fqdn or --service"),
        ],
    )
    def test_wrong_input_is_told_before_anything_is_asked(self, run, cluster, more, code, said):
        result = run(*REQUEST, "--duration", "1h", *more)

        assert (result.exit_code, result.stdout) == (code, "")
        assert said in result.stderr
        assert cluster.made == []

    @pytest.mark.parametrize(
        ("stage", "code", "said"),
        [
            ("ci/shop/dploy", 1, "PipelineSegment ci/shop: has no such stage 'dploy': it has build, deploy"),
            ("ci/shp/deploy", 1, "PipelineSegment ci/shp: does not exist 'shp': correct the name"),
            ("deploy", 2, "Error: SEGMENT/STAGE: is no stage: 'deploy': write it as NAMESPACE/SEGMENT/STAGE"),
            ("ci/Shop/deploy", 2, "SEGMENT/STAGE: is no stage: 'ci/Shop/deploy'"),
        ],
    )
    def test_a_stage_that_is_not_there_is_told(self, run, cluster, stage, code, said):
        result = run(*(stage if arg == "ci/shop/deploy" else arg for arg in ASKED))

        assert (result.exit_code, result.stdout) == (code, "")
        assert said in result.stderr
        assert cluster.made == []

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("approve", "a/b/c"), "NAME: is no exception: 'a/b/c': write it as NAMESPACE/NAME"),
            (
                ("revoke", "ci/hotfix", "-n", "prod"),
                "-n: is not the namespace of ci/hotfix: 'prod': give one of the two",
            ),
            (("list", "-n", "A_B"), "-n: is not the name of a namespace: 'A_B': write it in a-z, 0-9 and -"),
        ],
    )
    def test_what_names_no_exception_is_bad_usage(self, run, cluster, args, said):
        result = run("exception", *args)

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.endswith(f"Error: {said}\n")

    def test_a_refusal_of_admission_is_told_in_its_own_words(self, run, cluster):
        cluster.refusal = Rejected(403, "Forbidden", REFUSAL)

        result = run(*ASKED, "--name", "hotfix")

        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            "SegmentException ci/hotfix: SegmentClass default demands a second factor "
            "(refused by pipesegment-segmentapprovals)\n"
        )

    def test_a_cluster_that_is_in_trouble_is_3(self, run, cluster):
        cluster.refusal = Rejected(500, "InternalError", "sorry")

        assert run(*ASKED).exit_code == 3


class TestApprove:
    def test_it_names_exactly_what_was_shown(self, run, cluster):
        made = hotfix(cluster)
        cluster.user = {"username": "grace", "uid": "u-2"}

        result = run("exception", "approve", "ci/hotfix", "--yes")

        assert result.exit_code == 0, result.stderr
        assert result.stdout.endswith("SegmentException ci/hotfix is approved by grace\n")
        assert '{"cidr":{"block":"203.0.113.7/32"},"ports":[{"port":443}]}' in result.stderr
        assert "asked for by ada (INC-1): the mirror is down" in result.stderr
        assert cluster.made[0]["spec"] == {
            "exception": {
                "name": "hotfix",
                "uid": "u-hotfix",
                "specHash": spec_hash(made["spec"]),
                "requestedBy": {"username": "ada"},
            },
            "class": {"name": "default", "uid": "u-default"},
            "approvedBy": {"username": "grace", "uid": "u-2"},
        }

    def test_every_word_of_rights_in_aws_is_shown(self, run, cluster):
        hotfix(cluster, aws=PUT)
        cluster.user = {"username": "grace"}

        result = run("exception", "approve", "ci/hotfix", "--yes")

        assert (
            "stage shop/deploy of namespace ci shall be allowed in AWS: "
            '{"actions":["s3:PutObject"],"resources":["arn:aws:s3:::releases/*"]}'
        ) in result.stderr.splitlines()

    def test_nobody_approves_blindly(self, run, cluster):
        hotfix(cluster)
        result = run("exception", "approve", "ci/hotfix")

        assert result.exit_code == 2
        assert "--yes: is missing, and nobody is there to be asked" in result.stderr
        assert cluster.made == []

    @pytest.mark.parametrize(
        ("status", "said"),
        [
            ({"specHash": None}, "was not looked at yet"),
            ({"specHash": "0" * 64}, "has a status of another spec"),
            ({"phase": "Expired"}, "cannot be approved any more 'Expired': ask anew"),
            ({"class": None, "reason": "AmbiguousClass"}, "has nobody who may approve 'AmbiguousClass'"),
        ],
    )
    def test_what_cannot_be_approved_is_told(self, run, cluster, status, said):
        hotfix(cluster, **status)

        result = run("exception", "approve", "ci/hotfix", "--yes")

        assert (result.exit_code, result.stdout) == (1, "")
        assert f"SegmentException ci/hotfix: {said}" in result.stderr
        assert cluster.made == []

    def test_nobody_approves_what_he_asked_for(self, run, cluster):
        hotfix(cluster, by="ada")

        result = run("exception", "approve", "ci/hotfix", "--yes")

        assert result.exit_code == 1
        assert "was asked for by yourself 'ada': have somebody else approve it" in result.stderr

    def test_a_seal_needs_no_approval(self, run, cluster):
        sealed(cluster)

        result = run("exception", "approve", "ci/incident", "--yes")

        assert result.exit_code == 1
        assert "needs no approval, for it is a 'Seal'" in result.stderr

    def test_an_exception_that_is_not_there_is_1(self, run, cluster):
        result = run("exception", "approve", "nowhere", "-n", "ci", "--yes")

        assert result.exit_code == 1
        assert "SegmentException ci/nowhere: does not exist" in result.stderr


class TestListAndRevoke:
    def test_every_exception_is_a_row(self, run, cluster):
        hotfix(cluster, aws=PUT, phase="Open", approvals=1, gives=["s3:PutObject"], expiresAt="2030-01-01T11:00:00Z")
        sealed(cluster)

        lines = run("exception", "list").stdout.splitlines()

        assert lines[0].split() == [
            "EXCEPTION",
            "EFFECT",
            "STAGE",
            "AWS",
            "PHASE",
            "APPROVALS",
            "UNTIL",
            "ASKED",
            "BY",
            "WHY",
        ]
        assert lines[1].split()[:7] == [
            "ci/hotfix",
            "Open",
            "shop/deploy",
            "s3:PutObject",
            "Open",
            "1/1",
            "2030-01-01T11:00:00Z",
        ]
        assert lines[2].split()[:7] == ["ci/incident", "Seal", "shop/deploy", "-", "Pending", "-", "-"]

    @pytest.mark.parametrize(
        ("phase", "shown"), [("Pending", ["asks", "s3:PutObject", "Pending"]), ("Expired", ["-", "Expired"])]
    )
    def test_rights_that_are_not_given_are_shown_as_asked_for_while_they_may_be(self, run, cluster, phase, shown):
        hotfix(cluster, aws=PUT, phase=phase)

        (_, row) = run("exception", "list").stdout.splitlines()

        assert row.split()[3 : 3 + len(shown)] == shown

    def test_json_has_what_programs_ask_for(self, run, cluster):
        hotfix(cluster)

        (found,) = json.loads(run("exception", "list", "-n", "ci", "-o", "json").stdout)["exceptions"]

        assert (found["requestedBy"], found["rights"]) == ("ada", [])
        assert (found["phase"], found["approvals"], found["approvalsNeeded"]) == ("Pending", 0, 1)
        assert json.loads(run("exception", "list", "-n", "other", "-o", "json").stdout) == {"exceptions": []}

    def test_revoke_deletes(self, run, cluster):
        hotfix(cluster)

        result = run("exception", "revoke", "ci/hotfix")

        assert (result.exit_code, result.stdout) == (0, "SegmentException ci/hotfix is taken back\n")
        assert not there(cluster, "hotfix")

    def test_what_was_taken_back_is_told_though_the_next_is_refused(self, run, cluster, monkeypatch):
        hotfix(cluster)
        sealed(cluster)
        deleted = cluster.delete

        async def delete(target, **given):
            if target.name == "incident":
                raise Rejected(403, "Forbidden", "the seal is lifted by members of security")
            await deleted(target, **given)

        monkeypatch.setattr(cluster, "delete", delete)
        result = run("exception", "revoke", "ci/hotfix", "ci/hotfix", "ci/incident")

        assert (result.exit_code, result.stdout) == (1, "SegmentException ci/hotfix is taken back\n")
        assert "the seal is lifted by members of security" in result.stderr
        assert not there(cluster, "hotfix")

        sealed(cluster, "another")
        result = run("seal", "ci/shop/deploy", "--lift")
        assert (result.exit_code, result.stdout) == (
            1,
            "SegmentException ci/another is lifted from stage ci/shop/deploy\n",
        )

    def test_of_several_none_is_deleted_when_one_is_not_there(self, run, cluster):
        hotfix(cluster)

        assert run("exception", "revoke", "ci/hotfix", "ci/nowhere").exit_code == 1
        assert there(cluster, "hotfix")


class TestSeal:
    def test_it_cuts_off(self, run, cluster):
        result = run("seal", "ci/shop/deploy", "--reason", "its image is compromised")

        assert result.exit_code == 0, result.stderr
        assert result.stdout == (
            "SegmentException ci/seal-shop-deploy-x7k2p is made; stage ci/shop/deploy is cut off once its phase is Sealed: "
            "kubectl wait psexc seal-shop-deploy-x7k2p -n ci --for=condition=Ready\n"
        )
        assert cluster.made[0]["spec"] == {
            "segment": "shop",
            "stage": "deploy",
            "effect": "Seal",
            "reason": "its image is compromised",
            "requestedBy": {"username": "ada", "uid": "u-1"},
        }

    def test_a_segment_that_is_going_is_sealed_and_told_and_nothing_of_it_opens(self, run, cluster):
        going = {"deletionTimestamp": "2030-01-01T00:00:00Z", "finalizers": ["example.com/stay"]}
        cluster.edit(ObjectID.of(SHOP), lambda obj: obj["metadata"].update(going))

        result = run("seal", "ci/shop/deploy", "--reason", "its image is compromised")
        assert result.exit_code == 0, result.stderr
        assert "segment ci/shop is being deleted, and a seal ends with its policies" in result.stderr

        result = run(*ASKED)
        assert (result.exit_code, result.stdout, len(cluster.made)) == (1, "", 1)
        assert "PipelineSegment ci/shop: is being deleted, so nothing of it opens any more" in result.stderr

    def test_why_is_required(self, run, cluster):
        result = run("seal", "ci/shop/deploy")

        assert result.exit_code == 2
        assert "--reason: is missing: say why" in result.stderr

    def test_a_stage_that_is_not_there_is_not_sealed(self, run, cluster):
        assert run("seal", "ci/shop/dploy", "--reason", "x").exit_code == 1
        assert cluster.made == []

    def test_lifting_deletes_every_seal_of_the_stage(self, run, cluster):
        hotfix(cluster)
        sealed(cluster)
        sealed(cluster, "another")

        result = run("seal", "ci/shop/deploy", "--lift")

        assert result.exit_code == 0, result.stderr
        assert not there(cluster, "incident")
        assert not there(cluster, "another")
        assert there(cluster, "hotfix")

    def test_lifting_what_is_not_sealed_is_1(self, run, cluster):
        result = run("seal", "shop/deploy", "-n", "ci", "--lift")

        assert result.exit_code == 1
        assert "PipelineSegment ci/shop: is not sealed 'deploy'" in result.stderr

    def test_a_reason_to_lift_is_bad_usage(self, run, cluster):
        assert run("seal", "ci/shop/deploy", "--lift", "--reason", "x").exit_code == 2

    def test_another_namespace_than_n_is_bad_usage(self, run, cluster):
        assert run("seal", "ci/shop/deploy", "-n", "prod", "--reason", "x").exit_code == 2


def test_without_a_cluster_it_is_3(run):
    assert run("exception", "list").exit_code == 3
