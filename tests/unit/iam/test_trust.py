"""Whose token becomes the role: exactly one account's, or exactly these jobs'."""

from dataclasses import replace

import pytest

from tests.unit.iam.roles import ACCOUNT, CLUSTER, ISSUER, READ, compiled, refused
from tests.unit.iam.sts import ServiceCall, Token, accepts

SUBJECT = "system:serviceaccount:ci:shop-deploy"
GOOD = Token(ISSUER, SUBJECT, "sts.amazonaws.com")
TAGS = {
    "eks-cluster-arn": CLUSTER,
    "eks-cluster-name": "prod",
    "kubernetes-namespace": "ci",
    "kubernetes-service-account": "shop-deploy",
    "kubernetes-pod-name": "deploy-1",
    "kubernetes-pod-uid": "u",
}
POD = ServiceCall(tags=TAGS)
GITHUB = "https://token.actions.githubusercontent.com"
JOB = Token(GITHUB, "repo:org/shop:environment:prod", "sts.amazonaws.com")


def trust(aws, **rest):
    return compiled({"permissions": [READ], **aws}, **rest)["IAMRole"]["spec"]["assumeRolePolicyDocument"]


def test_irsa_takes_the_stages_own_account():
    assert accepts(trust({}), GOOD)


@pytest.mark.parametrize(
    "hostile",
    [
        replace(GOOD, sub="system:serviceaccount:prod:shop-deploy"),
        replace(GOOD, sub="system:serviceaccount:ci:shop-build"),
        replace(GOOD, sub="system:serviceaccount:ci:default"),
        replace(GOOD, sub="system:serviceaccount:ci:shop-deploy-2"),
        replace(GOOD, sub="system:serviceaccount:ci-2:shop-deploy"),
        replace(GOOD, sub="system:serviceaccount:ci:shop-deplo"),
        replace(GOOD, sub="system:serviceaccount:ci:Shop-Deploy"),
        replace(GOOD, sub="SYSTEM:serviceaccount:ci:shop-deploy"),
        replace(GOOD, sub="system:serviceaccount:*:*"),
        replace(GOOD, sub="system:serviceaccount:ci:*"),
        replace(GOOD, sub="*"),
        replace(GOOD, sub=""),
        replace(GOOD, sub=f"x{SUBJECT}"),
        replace(GOOD, sub=f"{SUBJECT}\n"),
        replace(GOOD, sub="system:node:ci:shop-deploy"),
        replace(GOOD, aud="sts.amazonaws.com.evil.example.com"),
        replace(GOOD, aud="kubernetes"),
        replace(GOOD, aud=""),
        replace(GOOD, aud="STS.amazonaws.com"),
        replace(GOOD, issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/OTHER"),
        replace(GOOD, issuer="https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"),
        replace(GOOD, issuer=f"{ISSUER}2"),
        replace(GOOD, issuer="https://evil.example.com/id/EXAMPLE"),
        replace(GOOD, account="444455556666"),
        replace(GOOD, partition="aws-cn"),
        replace(GOOD, action="sts:AssumeRole"),
        replace(GOOD, action="sts:AssumeRoleWithSAML"),
        replace(JOB, sub=SUBJECT),
        POD,
    ],
    ids=str,
)
def test_irsa_takes_nobody_else(hostile):
    assert not accepts(trust({}), hostile)


def test_pod_identity_takes_the_stages_own_account_and_its_tags():
    found = trust({"identity": "PodIdentity"})

    assert accepts(found, POD)
    assert accepts(found, replace(POD, action="sts:TagSession"))


@pytest.mark.parametrize(
    "hostile",
    [
        *(replace(POD, tags={**TAGS, key: value}) for key, value in {
            "kubernetes-namespace": "prod",
            "kubernetes-service-account": "shop-build",
            "eks-cluster-arn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/test",
        }.items()),
        replace(POD, tags={**TAGS, "eks-cluster-arn": f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/prod"}),
        replace(POD, tags={**TAGS, "kubernetes-namespace": "CI"}),
        replace(POD, tags={**TAGS, "kubernetes-service-account": "*"}),
        *(replace(POD, tags={k: v for k, v in TAGS.items() if k != key}) for key in (
            "eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account",
        )),
        replace(POD, tags={}),
        replace(POD, source_account="444455556666"),
        replace(POD, service="ec2.amazonaws.com"),
        replace(POD, service="*"),
        replace(POD, action="sts:AssumeRoleWithWebIdentity"),
        GOOD,
    ],
    ids=str,
)  # fmt: skip
def test_pod_identity_takes_nobody_else(hostile):
    assert not accepts(trust({"identity": "PodIdentity"}), hostile)


FORGE = {
    "identity": "ForgeOIDC",
    "forge": {"issuer": GITHUB, "subjects": [JOB.sub, "repo:org/shop:ref:refs/heads/main"]},
}
FORGES = {"forgeIssuers": [GITHUB, "https://gitlab.example.com"]}


def test_a_forge_is_taken_at_each_of_its_subjects():
    found = trust(FORGE, of_class=FORGES)

    assert accepts(found, JOB)
    assert accepts(found, replace(JOB, sub="repo:org/shop:ref:refs/heads/main"))


@pytest.mark.parametrize(
    "hostile",
    [
        replace(JOB, sub="repo:org/shop:pull_request"),
        replace(JOB, sub="repo:org/shop:environment:production"),
        replace(JOB, sub="repo:org/shop:environment:pro"),
        replace(JOB, sub="repo:org/shop:environment:PROD"),
        replace(JOB, sub="repo:evil/shop:environment:prod"),
        replace(JOB, sub="repo:org/shop-2:environment:prod"),
        replace(JOB, sub="repo:org/shop:ref:refs/heads/main-2"),
        replace(JOB, sub="repo:org/shop:ref:refs/tags/main"),
        replace(JOB, sub="repo:org/*"),
        replace(JOB, aud="https://github.com/org"),
        replace(JOB, issuer="https://token.actions.githubusercontent.com/evil"),
        replace(JOB, issuer="https://gitlab.example.com"),
        replace(JOB, account="444455556666"),
        GOOD,
        POD,
    ],
    ids=str,
)
def test_a_forge_is_taken_at_nothing_else(hostile):
    assert not accepts(trust(FORGE, of_class=FORGES), hostile)


def test_gitlab_jobs_are_taken_at_their_branch():
    subject = "project_path:org/shop:ref_type:branch:ref:main"
    forge = {"issuer": "https://gitlab.example.com", "audience": "https://gitlab.example.com", "subjects": [subject]}
    found = trust({"identity": "ForgeOIDC", "forge": forge}, of_class=FORGES)
    job = Token("https://gitlab.example.com", subject, "https://gitlab.example.com")

    assert accepts(found, job)
    assert not accepts(found, replace(job, sub="project_path:org/shop:ref_type:branch:ref:main2"))
    assert not accepts(found, replace(job, sub="project_path:org/shop:ref_type:tag:ref:main"))
    assert not accepts(found, replace(job, aud="sts.amazonaws.com"))


def test_a_clusters_partition_is_the_principals():
    china = {
        "partition": "aws-cn",
        "region": "cn-north-1",
        "permissionsBoundaryARN": f"arn:aws-cn:iam::{ACCOUNT}:policy/boundary",
    }
    read = {"actions": ["s3:GetObject"], "resources": ["arn:aws-cn:s3:::your-bucket/*"]}
    found = trust({"permissions": [read]}, of_class=china)

    assert accepts(found, replace(GOOD, partition="aws-cn"))
    assert not accepts(found, GOOD)


WEAK = [
    ("StringLike", {f"{ISSUER[8:]}:sub": "system:serviceaccount:*:*"}, replace(GOOD, sub="system:serviceaccount:a:b")),
    ("StringEqualsIgnoreCase", {f"{ISSUER[8:]}:sub": SUBJECT}, replace(GOOD, sub=SUBJECT.upper())),
    ("StringEqualsIfExists", {"elsewhere:sub": SUBJECT}, replace(GOOD, sub="anybody")),
    ("StringNotEquals", {f"{ISSUER[8:]}:sub": "nobody"}, replace(GOOD, sub="anybody")),
]


@pytest.mark.parametrize(("operator", "keys", "token"), WEAK, ids=[case[0] for case in WEAK])
def test_the_judge_sees_holes(operator, keys, token):
    found = trust({})
    (statement,) = found["Statement"]

    assert not accepts(found, token)
    assert accepts({"Statement": [{**statement, "Condition": {operator: keys}}]}, token)


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("repo:org/shop:environment:prod", ""),
        ("repo:org/shop:ref:refs/heads/main", ""),
        ("repository_owner:org:environment:prod", ""),
        ("environment:prod:repository_owner_id:4711", ""),
        ("repository_id:17:ref:refs/heads/main", ""),
        ("repo:org/shop:job_workflow_ref:org/ci/.github/workflows/deploy.yaml@refs/heads/main", ""),
        ("repo:org/shop", "means every job there is"),
        ("repository_owner:org", "means every job there is"),
        ("repository_owner:org:repository_id:17", "means every job there is"),
        ("environment:prod", "does not say whose jobs are meant"),
        ("job_workflow_ref:org/ci/.github/workflows/deploy.yaml@refs/heads/main", "does not say whose jobs are meant"),
        ("repo:org:environment:prod", "does not say whose jobs are meant"),
        ("xrepo:org/shop:environment:prod", "does not say whose jobs are meant"),
        ("repo:", "does not say whose jobs are meant"),
    ],
)
def test_a_subject_of_github_says_whose_jobs_are_meant_and_which(subject, told):
    aws = {"identity": "ForgeOIDC", "forge": {"issuer": GITHUB, "subjects": [subject]}, "permissions": [READ]}
    found = refused(aws, of_class={"forgeIssuers": [GITHUB]})

    assert [told in line for line in found] == ([True] if told else [])
