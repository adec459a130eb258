"""Names of roles never meet, and no action that is refused passes under another spelling."""

import itertools
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.reach.aws.actions import DENIED, denied
from pipesegment.reach.aws.wildcards import meet, within
from tests.unit.iam.roles import refused
from tests.unit.iam.sts import matches

pytestmark = pytest.mark.thorough
ROLE = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
ACTIONS = st.from_regex(r"(s3|iam|sts|ec2|kms|ssm|eks):[A-Za-z0-9]{1,12}", fullmatch=True)
FORBIDDEN = ["iam:PassRole", "s3:PutBucketPolicy", "sts:AssumeRole", "ec2:ReplaceIamInstanceProfileAssociation",
             "kms:CreateGrant", "ssm:StartSession", "eks:CreateAccessEntry", "cloudformation:CreateStack"]  # fmt: skip


def test_a_hundred_thousand_names_never_meet():
    # Separators inside the parts, parts that run into each other, and parts longer than any name.
    spaces = ["a", "a-a", "a-a-a", "b", "aa", "x" * 63, "x" * 62 + "y"]
    stages = [f"{stem}{n}" for stem in ("a-", "a", "b-", "x" * 55, "s-a-") for n in range(36)]
    accounts, clusters = ["111122223333", "444455556666"], ["arn:aws:eks:eu-west-1:1:cluster/a", "https://a", "a"]
    tuples = list(
        itertools.product(
            accounts,
            clusters,
            spaces,
            spaces,
            stages,
        )
    )
    tuples += list(itertools.product(accounts, clusters[:1], spaces, [f"s{n}" for n in range(190)], stages[:20]))
    made = {names.role_name(*each).lower() for each in tuples}

    assert len(set(tuples)) > 100_000
    assert len(made) == len(set(tuples))
    assert all(ROLE.fullmatch(name) for name in made)


@given(LABELS, LABELS, LABELS)
def test_every_name_is_one_that_iam_takes(namespace, segment, stage):
    name = names.role_name("111122223333", "arn:aws:eks:eu-west-1:111122223333:cluster/prod", namespace, segment, stage)

    assert ROLE.fullmatch(name)


@st.composite
def spellings(draw, words):
    """Another spelling of an action: letters in any case, one by one as `?`, or several of them as `*`."""
    service, _, name = draw(words).partition(":")
    ways = draw(st.lists(st.sampled_from("aaaA?*+"), min_size=len(name), max_size=len(name)))
    spelt = {"a": str.lower, "A": str.upper, "?": lambda _: "?", "*": lambda _: "*", "+": lambda letter: f"*{letter}"}
    return f"{service}:{''.join(spelt[way](letter) for way, letter in zip(ways, name, strict=True))}"


@settings(max_examples=400)
@given(st.sampled_from(FORBIDDEN).flatmap(lambda action: spellings(st.just(action)).map(lambda found: (action, found))))
def test_no_spelling_of_a_forbidden_action_is_free(case):
    action, spelling = case

    assert matches(action.lower(), spelling.lower())
    assert denied(spelling)


@settings(max_examples=30, deadline=None)
@given(spellings(st.sampled_from(FORBIDDEN)))
def test_no_spelling_of_a_forbidden_action_becomes_a_right(spelling):
    statement = {"actions": [spelling[:128]], "resources": ["*"]}

    assert refused({"permissions": [statement]}, of_class={"allowedActions": ["*"]})


@settings(max_examples=400)
@given(ACTIONS, spellings(ACTIONS))
def test_what_is_free_means_no_forbidden_action(action, spelling):
    assume(not denied(spelling))

    assert not (matches(action.lower(), spelling.lower()) and any(matches(action.lower(), d.lower()) for d in DENIED))


@settings(max_examples=400)
@given(ACTIONS.flatmap(lambda a: st.tuples(st.just(a), spellings(st.just(a)), spellings(st.just(a)))))
def test_what_is_allowed_means_nothing_that_is_not(case):
    action, inner, outer = case
    assume(within(inner, outer))

    assert matches(action.lower(), outer.lower())
    assert meet(inner, outer)
