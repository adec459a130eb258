"""Faults in who becomes a role in AWS, and in what it may do."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    Mutant(
        "the trust compares by pattern",
        "compile.iam.trust",
        "_web_identity",
        '"Condition": {"StringEquals"',
        '"Condition": {"StringLike"',
    ),
    Mutant(
        "any account of the namespace is trusted",
        "compile.iam.trust",
        "trust",
        "{stage.key.namespace}:{stage.account.name}",
        "{stage.key.namespace}:*",
    ),
    Mutant(
        "Pod Identity is trusted for every account",
        "compile.iam.trust",
        "_pod_identity",
        '"aws:RequestTag/kubernetes-service-account": stage.account.name,',
        "",
    ),
    Mutant(
        "every partition is AWS's first",
        "compile.iam.trust",
        "_web_identity",
        "arn:{identity.home.partition}:iam",
        "arn:aws:iam",
    ),
    Mutant("the boundary is left out", "compile.iam.identity", "_role", "boundary=rights.boundary", 'boundary=""'),
    Mutant(
        "a stage that is refused keeps its rights",
        "compile.iam.identity",
        "_role",
        "inline={} if identity.withdrawn else inline(rights)",
        "inline=inline(rights)",
    ),
    Mutant("a role that IAM would not take is made", "compile.iam.identity", "_add", "if gaps:", "if False:"),
    Mutant(
        "a stage that is refused keeps its way to a role that it only uses",
        "compile.iam.identity",
        "_add",
        "elif identity.withdrawn:",
        "elif False:",
    ),
    Mutant(
        "groups that the class does not list are given",
        "reach.aws.groups",
        "_judge",
        "if group not in allowed:",
        "if False:",
    ),
    Mutant(
        "groups are given to every account of the segment",
        "compile.groups",
        "_policy",
        'dict(made["metadata"]["labels"])',
        "{names.SEGMENT_LABEL: stage.key.segment}",
    ),
    Mutant(
        "a stage that observes is given groups",
        "reach.aws.groups",
        "groups",
        "view.mode is Mode.OBSERVE or ",
        "",
    ),
    Mutant(
        "what the class denies is given",
        "reach.aws.actions",
        "judge_action",
        "_first(judge.aws.denied_actions, action)",
        '""',
    ),
    Mutant(
        "what touches the allowed actions is allowed",
        "reach.aws.actions",
        "judge_action",
        "within(action, allowed)",
        "meet(action, allowed)",
    ),
    Mutant(
        "actions are compared letter by letter",
        "reach.aws.actions",
        "_first",
        "meet(action, pattern)",
        "action == pattern",
    ),
    Mutant(
        "resources of every account are given",
        "reach.aws.words",
        "judge_resource",
        "parts[4] not in accounts",
        "False",
    ),
    Mutant(
        "without endpoints calls come from anywhere",
        "reach.aws.resolve",
        "_rights",
        "if aws.require_vpc_endpoint and not allowed",
        "if False",
    ),
)
