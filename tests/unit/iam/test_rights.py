"""What a role may do: what was declared, through the boundary, from where it was declared; and nothing beside it."""

import pytest

from pipesegment.compile.iam.values import Role
from pipesegment.facts.vpc import VPCEndpoint
from pipesegment.plan.aws.rights import Rights
from tests.unit.iam.authorization import allows
from tests.unit.iam.roles import EVERYTHING, READ, compiled, reached, refused

OBJECT = "arn:aws:s3:::your-bucket/a"
BUCKET = "arn:aws:s3:::your-bucket"
ARTICLE = {
    "permissions": [
        {"actions": ["s3:ListBucket"], "resources": [BUCKET]},
        {"actions": ["s3:GetObject"], "resources": [f"{BUCKET}/*"]},
    ]
}
ENDPOINTS = (
    VPCEndpoint("vpc-0123", "s3", "vpce-1"),
    VPCEndpoint("vpc-0123", "sts", "vpce-2"),
    VPCEndpoint("vpc-9", "s3", "vpce-9"),
)


def spec(aws, **rest):
    return compiled(aws, **rest)["IAMRole"]["spec"]


def test_the_articles_rights_are_given_letter_by_letter():
    (document,) = spec(ARTICLE)["inlinePolicies"].values()

    assert document == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::your-bucket"]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::your-bucket/*"]},
        ],
    }


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("s3:ListBucket", BUCKET, True),
        ("s3:GetObject", OBJECT, True),
        ("s3:GETOBJECT", OBJECT, True),
        ("s3:GetObject", BUCKET, False),
        ("s3:ListBucket", OBJECT, False),
        ("s3:PutObject", OBJECT, False),
        ("s3:DeleteObject", OBJECT, False),
        ("s3:GetObjectVersion", OBJECT, False),
        ("s3:GetObject", "arn:aws:s3:::your-bucket-2/a", False),
        ("s3:GetObject", "arn:aws:s3:::Your-Bucket/a", False),
        ("s3:ListAllMyBuckets", "*", False),
        ("iam:CreateRole", "*", False),
    ],
)
def test_the_article_gives_two_rights(action, resource, allowed):
    assert allows(spec(ARTICLE), EVERYTHING, action, resource) is allowed


def test_the_boundary_holds_whatever_is_declared():
    boundary = {"Statement": [{"Effect": "Allow", "Action": "s3:List*", "Resource": "*"}]}

    assert allows(spec(ARTICLE), boundary, "s3:ListBucket", BUCKET)
    assert not allows(spec(ARTICLE), boundary, "s3:GetObject", OBJECT)


@pytest.mark.parametrize(
    ("context", "allowed"),
    [
        ({"aws:SourceVpce": "vpce-1"}, True),
        ({"aws:SourceVpce": "vpce-2"}, True),
        ({"aws:SourceVpce": "vpce-9"}, False),
        ({"aws:SourceVpce": "VPCE-1"}, False),
        ({}, False),
        ({"aws:ViaAWSService": "true"}, True),
        ({"aws:ViaAWSService": "true", "aws:SourceVpce": "vpce-9"}, True),
    ],
)
def test_calls_come_through_the_endpoints_of_the_classs_vpc(context, allowed):
    found = spec({**ARTICLE, "requireVPCEndpoint": True}, endpoints=ENDPOINTS)

    assert allows(found, EVERYTHING, "s3:GetObject", OBJECT, context) is allowed


@pytest.mark.parametrize("endpoints", [None, (), ENDPOINTS[2:]])
def test_without_endpoints_there_is_neither_a_role_nor_an_annotation(endpoints):
    found = compiled({**ARTICLE, "requireVPCEndpoint": True, "reachServices": "Declared"}, endpoints=endpoints)
    reach = reached({**ARTICLE, "requireVPCEndpoint": True, "reachServices": "Declared"}, endpoints=endpoints)

    assert found.keys() == {"NetworkPolicy", "ServiceAccount"}
    assert found["ServiceAccount"]["metadata"]["annotations"].keys() == {"pipesegment.dev/hash"}
    assert "EndpointUnknown" in {finding.reason for finding in reach.findings}


def test_without_a_vpc_nothing_can_be_held_to_its_endpoints():
    asked = {**ARTICLE, "requireVPCEndpoint": True}

    (line,) = refused(asked, of_class={"vpcID": None}, endpoints=ENDPOINTS)
    assert line.startswith("spec.stages[0].aws.requireVPCEndpoint: cannot become a role, since SegmentClass aws has no")


@pytest.mark.parametrize("identity", ["IRSA", "PodIdentity"])
def test_variables_stand_for_the_stages_own_namespace_and_account(identity):
    tag = "${aws:PrincipalTag/kubernetes-namespace}/${aws:PrincipalTag/kubernetes-service-account}"
    read = {"actions": ["s3:GetObject"], "resources": [f"{BUCKET}/{tag}/*"]}
    found = spec({"identity": identity, "permissions": [read]})

    assert allows(found, EVERYTHING, "s3:GetObject", f"{BUCKET}/ci/shop-deploy/x")
    assert not allows(found, EVERYTHING, "s3:GetObject", f"{BUCKET}/prod/shop-deploy/x")
    assert not allows(found, EVERYTHING, "s3:GetObject", f"{BUCKET}/{tag}/x")


def test_a_forge_has_no_session_to_speak_of():
    tag = "${aws:PrincipalTag/kubernetes-namespace}"
    aws = {
        "identity": "ForgeOIDC",
        "forge": {"issuer": "https://gitlab.com", "subjects": ["project_path:a/b:ref_type:branch:ref:main"]},
        "permissions": [{"actions": ["s3:GetObject"], "resources": [f"{BUCKET}/{tag}/*"]}],
    }

    assert [line.partition(": ")[0] for line in refused(aws, of_class={"forgeIssuers": ["https://gitlab.com"]})] == [
        "spec.stages[0].aws.permissions[0].resources[0]"
    ]


@pytest.mark.parametrize(("length", "made"), [(417, True), (430, False), (445, False)])
def test_what_iam_would_not_take_is_not_made(length, made):
    resources = [f"{BUCKET}/{n:03}".ljust(length, "x") for n in range(23)]
    found = compiled({"permissions": [{"actions": ["s3:GetObject"], "resources": resources}]})

    assert ("IAMRole" in found) is made
    assert ("eks.amazonaws.com/role-arn" in found["ServiceAccount"]["metadata"]["annotations"]) is made


def test_two_statements_of_one_sid_are_refused():
    sets = [{"name": "Read", "permissions": [{**READ, "sid": "Read"}]}]
    aws = {"permissions": [{**READ, "sid": "Read"}], "permissionSets": ["Read"]}

    (line,) = refused(aws, of_class={"permissionSets": sets})
    assert line.startswith(
        "spec.stages[0].aws.permissionSets[0]: has a statement whose sid another one has too: 'Read'"
    )


def test_an_author_cannot_fill_the_names_of_permission_sets_in():
    read = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::${namespace}/*"]}

    assert len(refused({"permissions": [read]})) == 1


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({"Null": {"aws:TokenIssueTime": ["false"]}}, ""),
        ({"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": ["a"]}}, ""),
        ({"NullIfExists": {"aws:TokenIssueTime": ["false"]}}, "an operator that IAM does not know"),
        ({"ForAllValues:Null": {"aws:TagKeys": ["false"]}}, "an operator that IAM does not know"),
        ({"StringEquals": {"aws:SourceVpc": ["a"], "AWS:sourcevpc": ["b"]}}, "a key twice"),
        ({"StringEquals": {"aws:SourceVpc": ["a"]}, "StringLike": {"AWS:sourcevpc": ["b"]}}, ""),
    ],
)
def test_conditions_that_iam_would_not_take_are_refused(conditions, told):
    found = refused({"permissions": [{**READ, "conditions": conditions}]})

    assert [told in line for line in found] == ([True] * len(found) if told else [])
    assert bool(found) is bool(told)


def test_the_order_in_which_rights_are_written_is_no_change():
    first = {
        "actions": ["s3:GetObject", "s3:GetObjectTagging"],
        "resources": ["arn:aws:s3:::a/*", "arn:aws:s3:::b/*"],
        "conditions": {"StringEquals": {"s3:prefix": ["x", "y"]}},
    }
    other = {
        "actions": first["actions"][::-1],
        "resources": first["resources"][::-1],
        "conditions": {"StringEquals": {"s3:prefix": ["y", "x"]}},
    }

    assert compiled({"permissions": [first]})["IAMRole"] == compiled({"permissions": [other]})["IAMRole"]


def test_one_endpoint_more_takes_nothing_away_and_one_less_does():
    def rights(*endpoints):
        known = tuple(VPCEndpoint("vpc-0123", "s3", each, "eu-west-1") for each in endpoints)
        role = compiled({"permissions": [READ], "requireVPCEndpoint": True}, endpoints=known)["IAMRole"]
        return Rights.of(Role.of(role))

    one, two = rights("vpce-1"), rights("vpce-1", "vpce-2")
    without = Rights.of(Role.of(compiled({"permissions": [READ]})["IAMRole"]))

    assert not one.loses(two)
    assert two.loses(one)
    assert without.loses(one)
    assert not one.loses(without)
    assert one.loses(rights("vpce-3"))
