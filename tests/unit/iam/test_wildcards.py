"""Wildcards as the words that they mean, against every word of a small language and against AWS's own actions."""

import itertools
import random

import pytest
from policy_sentry.analysis.expand import expand
from policy_sentry.querying.all import get_all_actions

from pipesegment.reach.aws.actions import DENIED, denied
from pipesegment.reach.aws.wildcards import meet, within
from tests.unit.iam.sts import matches

PATTERNS = ["".join(p) for n in range(5) for p in itertools.product("ab*?", repeat=n)]
WORDS = ["".join(p) for n in range(7) for p in itertools.product("abc", repeat=n)]
MEANT = {}
ACTIONS = sorted(get_all_actions())


def meant(pattern):
    if pattern not in MEANT:
        MEANT[pattern] = frozenset(word for word in WORDS if matches(word, pattern))
    return MEANT[pattern]


def pairs(count):
    rng = random.Random(20)
    return [(rng.choice(PATTERNS), rng.choice(PATTERNS)) for _ in range(count)]


def test_patterns_meet_exactly_when_a_word_is_meant_by_both():
    assert [pair for pair in pairs(1500) if meet(*pair) != bool(meant(pair[0]) & meant(pair[1]))] == []


def test_what_is_within_is_meant():
    assert [pair for pair in pairs(1500) if within(*pair) and not meant(pair[0]) <= meant(pair[1])] == []


@pytest.mark.parametrize(
    ("inner", "outer", "holds"),
    [
        ("s3:GetObject", "s3:Get*", True),
        ("s3:getobject", "S3:GET*", True),
        ("s3:Get*", "s3:Get*", True),
        ("s3:Get*Tagging", "s3:Get*", True),
        ("s3:Get?*", "s3:Get*?", True),
        ("s3:Get*", "s3:Get?*", False),
        ("s3:Get*", "s3:GetObject", False),
        ("s3:*", "s3:Get*", False),
        ("s3:Ge?Object", "s3:GetObject", False),
        ("ecr:GetObject", "s3:Get*", False),
        ("*", "*", True),
        ("anything:at*all", "*", True),
    ],
)
def test_what_a_class_allows_holds_the_whole_of_a_pattern(inner, outer, holds):
    assert within(inner, outer) is holds


@pytest.mark.parametrize("pattern", [*DENIED, "s3:Get*", "s3:*Object*", "ecr:Put*", "ec2:*", "kms:*Grant*"])
def test_patterns_mean_what_policy_sentry_makes_of_them(pattern):
    expanded = set(expand(pattern))
    ours = {action for action in ACTIONS if meet(pattern, action)}

    assert expanded - {pattern} <= ours
    # It takes `iam:*` and its like for themselves, and expands the rest.
    assert ours == expanded or ours == {a for a in ACTIONS if matches(a.lower(), pattern.lower())}


def test_every_action_of_aws_is_denied_exactly_when_a_denial_means_it():
    meaning = {action for pattern in DENIED for action in ACTIONS if matches(action.lower(), pattern.lower())}

    assert {action for action in ACTIONS if denied(action)} == meaning
    assert {"iam:PassRole", "sts:AssumeRoleWithWebIdentity", "eks:CreatePodIdentityAssociation"} <= meaning
    assert not {"s3:GetObject", "ecr:PutImage", "sts:GetCallerIdentity", "kms:Decrypt"} & meaning


@pytest.mark.parametrize(
    "spelling",
    ["*", "iam:*", "iam:PassRole", "iam:p*r?le", "iam:????????", "s3:*", "s3:?utBucketPolicy", "S3:PUTBUCKETPOLICY",
     "s3:*Policy", "sts:a*", "sts:*Identity", "sts:*n", "ec2:AssociateIam*", "ec2:*Profile*", "lambda:Add*", "kms:C*t",
     "kms:P*", "ssm:S*", "ssm:Send?ommand", "secretsmanager:*", "eks:C*", "eks:*y", "cloudformation:*", "organizations:x",
     "account:GetRegionOptStatus"],
)  # fmt: skip
def test_no_spelling_leads_round_the_built_in_list(spelling):
    assert denied(spelling)


@pytest.mark.parametrize(
    "spelling",
    [
        "s3:Get*",
        "s3:Put*Object",
        "ecr:*",
        "kms:Decrypt",
        "sts:GetCaller*",
        "ec2:DescribeSubnets",
        "ssm:Get*",
        "eks:DescribeCluster",
    ],
)
def test_what_meets_nothing_of_the_list_passes(spelling):
    assert not denied(spelling)
