"""Rights that an exception gives, before a judge of IAM: never more than the class allows, and none from its end on."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.moments import moment
from pipesegment.facts.parse import snapshot
from pipesegment.reach.aws.actions import DENIED
from pipesegment.reach.resolve import resolve
from tests.properties.soak import examples
from tests.unit.emergencies import approval, exception, guards
from tests.unit.iam.authorization import allows
from tests.unit.iam.roles import CLASS, EVERYTHING
from tests.unit.iam.sts import matches

pytestmark = pytest.mark.thorough

BEFORE, END, LATER = "2030-01-01T10:59:59Z", "2030-01-01T11:00:00Z", "2031-01-01T00:00:00Z"
ASKED = ["s3:GetObject", "s3:PutObject", "s3:PutBucketPolicy", "iam:PassRole", "ecr:PutImage", "sqs:SendMessage"]
SPELT = [*ASKED, "*", "s3:*", "s3:Get*", "s3:getobject", "iam:*", "s3:Put?bject", "ecr:*"]
RESOURCES = [
    "*",
    "arn:aws:s3:::releases/*",
    "arn:aws:sqs:eu-west-1:999900001111:theirs",
    "arn:aws:s3:::${aws:username}",
]
OBJECTS = ["arn:aws:s3:::releases/a", "arn:aws:sqs:eu-west-1:999900001111:theirs"]
#: By which an author may try to write another end, or to have his own condition stand for ours.
TIMES = [BEFORE, END, LATER, "2029-01-01T00:00:00Z"]
KEYS = ["aws:CurrentTime", "AWS:currenttime", "aws:TokenIssueTime"]
OPERATORS = [
    "DateLessThan",
    "DateLessThanEquals",
    "DateLessThanIfExists",
    "DateGreaterThan",
    "DateNotEquals",
    "ForAnyValue:DateLessThan",
    "dateLessThan",
]
conditions = st.dictionaries(
    st.sampled_from(OPERATORS),
    st.dictionaries(
        st.sampled_from(KEYS), st.lists(st.sampled_from(TIMES), min_size=1, max_size=2), min_size=1, max_size=2
    ),
    max_size=2,
)
permissions = st.fixed_dictionaries(
    {
        "actions": st.lists(st.sampled_from(SPELT), min_size=1, max_size=3, unique=True),
        "resources": st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=2, unique=True),
    },
    optional={"conditions": conditions, "sid": st.sampled_from(["A", "Own"])},
)
LISTED = ["s3:*", "s3:Get*", "ecr:*", "s3:PutObject", "*"]
lists = st.lists(st.sampled_from(LISTED), max_size=2, unique=True)
#: Everything but what the stage has of its own.
denials = st.lists(st.sampled_from(LISTED[:-1]), max_size=2, unique=True)


def role(given, now, allowed, denied):
    """The role of a stage with a right of its own, at a moment, with what exceptions gave it (`given`)."""
    aws = {**CLASS, "allowedActions": allowed, "deniedActions": denied, "permissionSets": [OWN]}
    cls = {"aws": aws, "breakGlass": {"approverGroups": ["sre"]}}
    stage = {"name": "a", "aws": {"permissionSets": ["Own"], "reachServices": "Declared"}}
    meta = {"name": "shop", "namespace": "ci", "uid": "u-shop"}
    documents = [
        {"apiVersion": names.API_VERSION, "kind": names.CLASS, "metadata": {"name": "default", "uid": "u-default"}, "spec": cls},
        {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "metadata": meta, "spec": {"stages": [stage]}},
        *guards(),
    ]  # fmt: skip
    for number, each in enumerate(given):
        asked = exception(name=f"hotfix-{number}", aws={"permissions": each})
        del asked["spec"]["reaches"]
        documents += [asked, approval(asked)]
    facts = replace(snapshot(documents), now=moment(now))
    reach = resolve(facts.segments["ci"]["shop"], facts)
    assert (reach.refusals, reach.cloud_refusals) == ((), ())
    (found,) = (o["spec"] for o in compile_segment(reach).objects if o["kind"] == names.IAM_ROLE)
    return found


OWN = {"name": "Own", "permissions": [{"sid": "Own", "actions": ["kms:Decrypt"], "resources": ["*"]}]}


def test_they_are_within_the_class_and_over_at_the_end() -> None:
    """Whether anybody takes them away or not: after the end the role of before allows what it allowed without them."""
    met: Counter[str] = Counter()

    @settings(max_examples=examples(300))
    @given(st.lists(st.lists(permissions, min_size=1, max_size=2), min_size=1, max_size=2), lists, denials)
    def hold(given, allowed, denied):
        with_them, without = role(given, BEFORE, allowed, denied), role([], BEFORE, allowed, denied)
        sids = [s["Sid"] for s in with_them["inlinePolicies"]["pipesegment"]["Statement"]]
        assert len(set(sids)) == len(sids)
        assert role(given, END, allowed, denied) == without
        for action in ASKED:
            for resource in OBJECTS:
                for time in (BEFORE, END, LATER):
                    context = {"aws:CurrentTime": time, "aws:TokenIssueTime": "2030-01-01T10:00:00Z"}
                    may = allows(with_them, EVERYTHING, action, resource, context)
                    met[f"{time} {may}"] += 1
                    if not may:
                        continue
                    assert time == BEFORE
                    assert any(matches(action.lower(), each.lower()) for each in allowed)
                    assert not any(matches(action.lower(), each.lower()) for each in (*denied, *DENIED))
                    assert "999900001111" not in resource or "*" in str(given)

    hold()
    assert met[f"{BEFORE} True"] > 20
