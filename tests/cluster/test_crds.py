"""The CRDs on the real API server: it takes them, and it refuses what the models refuse, in their words or places.

The wrong declarations and the full example are those of tests/unit/spec, where the models are held to the same files.
"""

import json
import secrets
from pathlib import Path
from random import Random

import pytest

from lab import yaml
from lab.api import ApiError
from pipesegment.errors import Refused
from pipesegment.spec.crd import MODELS, crds
from pipesegment.spec.documents import load, validate

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "tests" / "unit" / "spec"
CASES = yaml.safe_load((SPEC / "rejected.yaml").read_text())
EXAMPLES = list(yaml.safe_load_all((SPEC / "full_example.yaml").read_text().replace("2030-01-31", "'2030-01-31'")))
CLASSES = [given for given in EXAMPLES if given["kind"] == "SegmentClass"]
VERSION = "pipesegment.dev/v1alpha1"


@pytest.fixture(scope="module")
def kinds(control_plane):
    """Our kinds are served, from the files that are delivered."""
    control_plane.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
    names = [f"crd/{definition['metadata']['name']}" for definition in crds()]
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


def cases(server):
    chosen = [case for case in CASES if case["server"] == server]
    return pytest.mark.parametrize("case", chosen, ids=[case["case"] for case in chosen])


def document(case):
    kind = case.get("kind", "PipelineSegment")
    namespaced = {} if kind == "SegmentClass" else {"namespace": "default"}
    metadata = {"name": case.get("name", "shop")} | namespaced
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": case["spec"]}


def refusals(case):
    with pytest.raises(Refused) as refused:
        load([document(case)])
    return refused.value.refusals


async def refused_by_the_server(api, case):
    """The HTTP status, the message, and field -> messages of what the API server has against a case."""
    with pytest.raises(ApiError) as error:
        await api.create(document(case), dry_run=True)
    causes = {}
    for cause in error.value.body.get("details", {}).get("causes", ()):
        causes.setdefault(cause.get("field"), []).append(cause["message"])
    return error.value.status, error.value.message, causes


def segment(name, namespace, stages):
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": VERSION, "kind": "PipelineSegment", "metadata": metadata, "spec": {"stages": stages}}


async def test_the_crds_are_accepted_structural_and_established(kinds, api):
    for definition in crds():
        name = definition["metadata"]["name"]
        found = await api.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        conditions = {condition["type"]: condition["status"] for condition in found["status"]["conditions"]}

        assert conditions == {"NamesAccepted": "True", "Established": "True"}


@cases("message")
async def test_cel_refuses_with_the_message_of_the_model(kinds, api, case):
    status, _, causes = await refused_by_the_server(api, case)

    assert status == 422
    told = {text.removeprefix("Invalid value: ") for texts in causes.values() for text in texts}
    assert set(case.get("says", ())) <= told
    for refusal in refusals(case):
        # Where it names who or what it means: tests/unit/spec holds `says` to the model's lines.
        messages = (f"{refusal.problem}: {refusal.fix}", f"{refusal.problem} '{refusal.value}': {refusal.fix}")
        fields = [field for field, texts in causes.items() if any(text.endswith(messages) for text in texts)]
        # CEL can name a field, but not an item of a list below it.
        assert any(refusal.path.startswith(field) or field == "spec.stages" for field in fields), causes


@cases("path")
async def test_plain_bounds_are_refused_at_the_same_places(kinds, api, case):
    status, _, causes = await refused_by_the_server(api, case)

    assert status == 422
    assert {refusal.path for refusal in refusals(case)} - set(causes) == set()


@cases("unknown")
async def test_an_unknown_field_is_refused_by_both(kinds, api, case):
    status, message, _ = await refused_by_the_server(api, case)

    assert status == 400
    assert [f'unknown field "{refusal.path}"' in message for refusal in refusals(case)] == [True]


@cases("refuses")
async def test_what_the_server_refuses_in_its_own_way_is_refused_by_both(kinds, api, case):
    status, _, _ = await refused_by_the_server(api, case)

    assert status in {400, 422}
    assert refusals(case)


@cases("accepts")
async def test_only_the_model_can_tell(kinds, api, case):
    assert (await api.create(document(case), dry_run=True))["spec"]
    assert refusals(case)


@pytest.mark.parametrize("given", EXAMPLES, ids=lambda given: given["metadata"]["name"])
async def test_the_full_example_is_stored_as_it_was_given(kinds, api, namespaces, given):
    """Nothing is defaulted and nothing pruned: Argo CD has nothing to compare."""
    metadata = {**given["metadata"], "name": f"{given['metadata']['name']}-{secrets.token_hex(4)}"}
    if "namespace" in metadata:
        metadata["namespace"] = await namespaces()

    stored = await api.create({**given, "metadata": metadata})

    if "namespace" not in metadata:
        await api.delete(VERSION, given["kind"], metadata["name"])
    assert stored["spec"] == given["spec"]


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param(
            [
                {
                    "name": f"s{number}",
                    "serviceAccount": {"name": f"account-{number}"},
                    "reaches": [{"stage": {"name": "s63"}, "ports": [{"port": 443}]}] * 64,
                    "accepts": [{"stage": {"name": "s63"}, "ports": [{"port": 443}]}] * 64,
                }
                for number in range(64)
            ],
            id="64 stages that each reach and accept 64 times",
        ),
        pytest.param(
            [
                {
                    "name": f"s{number}",
                    "reaches": [
                        {
                            "cidr": {"block": "10.0.0.0/8", "except": [f"10.{part}.0.0/16" for part in range(64)]},
                            "ports": [{"port": 1024, "endPort": 2048}],
                        }
                    ]
                    * 12,
                }
                for number in range(64)
            ],
            id="64 stages with 768 exceptions each",
        ),
        pytest.param(
            [
                {
                    "name": f"s{number}",
                    "reaches": [{"internet": {}, "ports": [{"port": port + 1} for port in range(32)]}] * 24,
                }
                for number in range(64)
            ],
            id="64 stages with 768 ports each",
        ),
    ],
)
async def test_the_largest_segments_stay_within_the_budget_of_cel(kinds, api, stages):
    """The API server counts what the rules cost as they run, too, and gives up at a limit of its own."""
    assert (await api.create(segment("big", "default", stages), dry_run=True))["spec"] == {"stages": stages}


ODD = [
    *(None, "", "a", "A", "a.b", "a b", "x" * 64, "x" * 254, "x" * 1025, "\n", "a\n", "é", "\u202e", "default", "None"),
    *(0, 1, -1, 65535, 65536, 10**12, 1.5, True, False, [], {}, ["a"], ["a", "a"], {"a": "b"}, {"a": None}),
    *("10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "fe80::/10", "::ffff:10.0.0.0/104"),
    *("80", "http", "-a", "a-", "a--b", "8080-tcp", "git.example.com", "*.example.com", "GET", "/", "/a*", "/*a", "4h"),
]
#: What only the model can judge: keys of maps, circles, equality of objects, exceptions of a destination.
ONLY_THE_MODEL = ("is not a label key", "closes a circle", "is given twice", "is not inside any of")


def places(value, place=()):
    if place:
        yield place
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield from places(part, (*place, step))


def at(value, place):
    for step in place:
        value = value[step]
    return value


def edited(random):
    """One of the examples, with one or two values replaced, removed, repeated or carried to another place."""
    given = json.loads(json.dumps(random.choice(EXAMPLES + EXAMPLES[:1] * 4 + CLASSES * 4)))
    spec = given["spec"]
    for _ in range(random.choice((1, 1, 1, 2))):
        known = list(places(spec))
        place, source = random.choice(known), random.choice(known)
        parent, last = at(spec, place[:-1]), place[-1]
        moved = json.loads(json.dumps(at(spec, source)))
        action = random.random()
        if action < 0.6:
            parent[last] = random.choice(ODD)
        elif action < 0.8:
            del parent[last]
        elif isinstance(parent, list):
            parent.append(json.loads(json.dumps(parent[last])))
        elif isinstance(source[-1], str):
            parent[source[-1]] = moved
    return document({"kind": given["kind"], "spec": spec})


@pytest.mark.parametrize("seed", range(4))
async def test_server_and_model_agree_on_examples_with_random_edits(kinds, api, seed):
    random = Random(seed)
    verdicts = []
    for _ in range(150):
        obj = edited(random)
        try:
            await api.create(obj, dry_run=True)
            server = ""
        except ApiError as error:
            server = error.message
        try:
            validate(obj["spec"], MODELS[obj["kind"]].spec)
            model = ""
        except Refused as refused:
            model = str(refused)
        verdicts.append(bool(server))
        if not server and any(words in model for words in ONLY_THE_MODEL):
            continue
        assert bool(server) == bool(model), (obj["spec"], server, model)

    assert min(verdicts.count(True), verdicts.count(False)) > 15


async def test_two_managers_own_a_stage_each(kinds, api, namespaces):
    namespace = await namespaces()

    await api.apply(segment("shop", namespace, [{"name": "build", "mesh": "None"}]), manager="one", force=False)
    await api.apply(segment("shop", namespace, [{"name": "test", "dns": "None"}]), manager="two", force=False)
    await api.apply(segment("shop", namespace, [{"name": "build", "mesh": "Auto"}]), manager="one", force=False)

    found = await api.get(VERSION, "PipelineSegment", "shop", namespace)
    assert found["spec"]["stages"] == [{"name": "build", "mesh": "Auto"}, {"name": "test", "dns": "None"}]


async def test_the_columns_show_the_status(kinds, api, namespaces, kubectl):
    namespace = await namespaces()
    obj = segment("shop", namespace, [{"name": "build"}])
    await api.create(obj)
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2030-01-31T12:00:00Z", "reason": "Gap"}
    status = {
        "class": {"name": "default", "uid": "u"},
        "summary": {"stages": 1, "edges": 14, "open": "12/14", "gaps": 2, "sealed": 0},
        "conditions": [
            ready | {"message": "two edges are closed"},
            ready | {"type": "Conforming", "status": "True", "message": ""},
            ready | {"type": "CloudReady", "message": ""},
        ],
    }
    await api.patch(VERSION, "PipelineSegment", "shop", {"status": status}, namespace, subresource="status")

    wide = kubectl("get", "pseg", "-n", namespace, "-o", "wide")
    heading, row = (line.split("   ") for line in wide.splitlines())

    assert [cell.strip() for cell in heading if cell.strip()] == [
        *("NAME", "READY", "STATUS", "MODE", "STAGES", "OPEN", "SEALED", "GAPS", "AGE"),
        *("CLASS", "ENGINE", "CONFORMING", "CLOUD", "MESSAGE"),
    ]
    cells = [cell.strip() for cell in row if cell.strip()]
    assert cells[:7] == ["shop", "False", "Gap", "1", "12/14", "0", "2"]
    assert cells[-4:] == ["default", "True", "False", "two edges are closed"]
    assert "pipelinesegment.pipesegment.dev/shop" in kubectl("get", "pipesegment", "-n", namespace, "-o", "name")


async def test_a_status_beside_the_model_is_refused(kinds, api, namespaces):
    namespace = await namespaces()
    await api.create(segment("shop", namespace, [{"name": "build"}]))

    with pytest.raises(ApiError) as error:
        await api.patch(
            VERSION, "PipelineSegment", "shop", {"status": {"summary": {"stages": -1}}}, namespace, subresource="status"
        )

    assert error.value.status == 422
    assert "status.summary.stages" in error.value.message


@pytest.mark.parametrize("name", ["hotfix", "seal-test", "hotfix-grace"])
async def test_exceptions_and_approvals_never_change(kinds, api, namespaces, name):
    """Neither by another value nor by a field more or less: what was approved is what is open."""
    (given,) = (each for each in EXAMPLES if each["metadata"]["name"] == name)
    namespace = await namespaces()
    await api.create({**given, "metadata": {"name": name, "namespace": namespace}})
    user = "approvedBy" if given["kind"] == "SegmentApproval" else "requestedBy"

    for spec in (
        {user: {"username": "mallory"}},
        {user: {"uid": "0"}},
        *([] if user == "approvedBy" else [{"ticket": "INC-1"}]),
    ):
        with pytest.raises(ApiError, match="is never changed: what was approved is what is open") as error:
            await api.patch(VERSION, given["kind"], name, {"spec": spec}, namespace)
        assert error.value.status == 422
    await api.patch(VERSION, given["kind"], name, {"metadata": {"labels": {"team": "shop"}}}, namespace)

    assert (await api.get(VERSION, given["kind"], name, namespace))["spec"] == given["spec"]
