"""The admission policies themselves: each is needed, understood by the API server, and within what CEL may cost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import admission
from tests.cluster.admission import Scene
from tests.cluster.attempts import Person, Request, change, create, labels, path, pod

ROOM = "ci-mesh"
#: As much as the schema lets a stage's selector ask for.
MOST_EXPRESSIONS, MOST_VALUES, MOST_LABELS = 16, 64, 64
MANY_STAGES = 320

BINDINGS = [obj for obj in admission.policies() if obj["kind"] == "ValidatingAdmissionPolicyBinding"]


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda b: b["metadata"]["name"].removeprefix("pipesegment-"))
def test_each_binding_is_what_refuses(guarded: Scene, binding: dict[str, Any]):
    """Without it the same attempt passes: no other policy stands in for it, and no right that somebody lacks."""
    name = binding["metadata"]["name"]
    request, verdict = guarded.proofs()[name]
    guarded.plane.kubectl("delete", "validatingadmissionpolicybinding", name)
    try:
        guarded.await_verdict("alice", request, "Allow")
    finally:
        admission.enforce(guarded.plane, [binding])
    guarded.await_verdict("alice", request, verdict)


async def test_the_api_server_finds_no_expression_doubtful(guarded: Scene):
    """It checks the types of every expression against the kinds that a policy matches, and warns in the status."""
    async with guarded.plane.api() as api:
        found = await api.wait_list(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            labels="app.kubernetes.io/name=pipesegment",
            until=lambda objects: all("typeChecking" in obj.get("status", {}) for obj in objects.values()),
        )

    assert {obj["metadata"]["name"]: obj["status"]["typeChecking"] for obj in found} == {
        obj["metadata"]["name"]: {} for obj in found
    }


@pytest.fixture
def crowded(guarded: Scene) -> Iterator[Scene]:
    """A namespace with as many stages as five segments may have, one of which asks for all that a selector may ask."""
    template = json.loads(
        guarded.plane.kubectl("get", "networkpolicy", "shop-build", f"--namespace={ROOM}", "--output=json")
    )
    marks = template["metadata"]["labels"] | {"lab.example.com/crowd": "yes"}
    operator = guarded.people["operator"]
    spec = template["spec"] | {"podSelector": {"matchLabels": labels("crowd", "one")}}
    heavy = template["spec"] | {"podSelector": most()}
    for number in range(MANY_STAGES):
        name = f"crowd-{number}"
        own = spec if number else heavy
        made = template | {"metadata": {"name": name, "namespace": ROOM, "labels": marks}, "spec": own}
        operator.does(create({key: made[key] for key in ("apiVersion", "kind", "metadata", "spec")}))
    yield guarded
    everything = path("NetworkPolicy", ROOM) + "?labelSelector=lab.example.com%2Fcrowd%3Dyes"
    operator.does(Request("DELETE", everything))


def most() -> dict[str, Any]:
    """The largest selector that the schema lets pass."""
    values = [f"{'v' * 58}{number:03}" for number in range(MOST_VALUES)]
    expressions = [
        {"key": f"{'k' * 40}.example.com/{'n' * 50}{n:02}", "operator": "NotIn", "values": values}
        for n in range(MOST_EXPRESSIONS)
    ]
    wanted = {f"example.com/{'m' * 50}{n:02}": "v" * 63 for n in range(MOST_LABELS)}
    return {"matchLabels": wanted, "matchExpressions": expressions}


def test_the_largest_pod_beside_the_most_stages_is_within_the_budget(crowded: Scene):
    """Nothing fails for its cost: an expression that fails would refuse every pod of the namespace."""
    heavy = most()
    carried = heavy["matchLabels"] | {e["key"]: "other" for e in heavy["matchExpressions"]}
    container = {"securityContext": {"capabilities": {"add": ["CHOWN", "SETUID"]}}, "image": "registry.example.com/w"}
    more = [{"name": f"c{n}", **container} for n in range(100)]
    volumes = [{"name": f"v{n}", "emptyDir": {}} for n in range(100)]
    alice: Person = crowded.people["alice"]

    answer = alice.tries(create(pod(ROOM, "", {"app": "web"}, more=more, volumes=volumes)))
    assert answer.verdict == "Allow", answer
    answer = alice.tries(create(pod(ROOM, "", carried, more=more, volumes=volumes)))
    assert answer.verdict == "Deny stage-pods", answer
    assert "stage shop/build" in answer.message
    answer = alice.tries(change("Pod", ROOM, "build-1", {"metadata": {"labels": {"run": "9"}}}))
    assert answer.verdict == "Allow", answer
