"""The attempts of the other files once more, with an operator that is up, down and starting: none of it makes a difference.

Here the operator made what is guarded, from segments; elsewhere the command line did.
"""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import crds
from lab.controlplane import EmbeddedControlPlane, Options
from pipesegment import names
from tests.cluster import admission, test_admission_objects, test_admission_pods, test_admission_roles
from tests.cluster.admission import STRAYS, Scene
from tests.cluster.attempts import Answer, Request, create
from tests.cluster.conftest import Operators
from tests.cluster.operator import Operator
from tests.planes import serve, started

#: What the admission policies read.
READ = {
    *(names.MANAGED_BY_LABEL, names.SEGMENT_LABEL, names.STAGE_LABEL, names.PART_LABEL, names.ORIGIN_LABEL),
    *(names.WIRED_LABEL, names.LOCKDOWN_LABEL, names.EXCLUSIVE_LABEL, names.SEALED_LABEL, names.CONTROLLERS_LABEL),
    *(names.ACCOUNT_ANNOTATION, names.CONTROLLERS_ANNOTATION, names.EXEMPT_ANNOTATION, names.MESH_ANNOTATION),
}
#: what is tried -> (who, what, verdict)
ATTEMPTS: dict[str, tuple[str, Request, str]] = {
    f"{room.__name__.rpartition('_')[2]}: {what}": attempt
    for room in (test_admission_pods, test_admission_objects, test_admission_roles)
    for what, attempt in room.ATTEMPTS.items()
    if not any(name in attempt[1].path for name in STRAYS)
}


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[EmbeddedControlPlane]:
    """A control plane of this file's own: the policies are clusterwide."""
    with started(request, Options(oidc=True)) as plane:
        yield plane


@pytest.fixture(scope="module")
def lived(plane: EmbeddedControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Operator]]:
    """The scene of the other files as an operator made it, and that operator."""
    folder = tmp_path_factory.mktemp("compiled")
    serve(plane, [*crds.istio(), *crds.linkerd(), *crds.gateways()])
    scene = admission.settle(plane, folder, live=True)
    operators = Operators(plane, lambda: tmp_path_factory.mktemp("operator"))
    try:
        operator = operators(aws="off").start()
        for pod in admission.running():
            account = f"serviceaccount/{pod['spec'].get('serviceAccountName', 'default')}"
            space = f"--namespace={pod['metadata']['namespace']}"
            plane.kubectl("wait", "--for=create", "--timeout=60s", space, account)
            scene.people["root"].does(create(pod))
        made = [obj for obj in admission.compiled(folder) if obj["kind"] == "NetworkPolicy"]
        await_marks(scene, {key(obj): marks(obj) for obj in made if "ci-own-" not in obj["metadata"]["namespace"]})
        admission.enforce(plane, admission.policies())
        scene.await_policies()
        yield scene, operator
    finally:
        operators.stop()


def key(obj: dict[str, Any]) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def marks(obj: dict[str, Any]) -> dict[str, str]:
    """What a policy says to admission."""
    said = {**obj["metadata"].get("labels", {}), **obj["metadata"].get("annotations", {})}
    return {name: value for name, value in said.items() if name in READ}


def await_marks(scene: Scene, wanted: dict[tuple[str, str], dict[str, str]], within: float = 60.0) -> None:
    """Wait until the operator has made what the command line says, and knows of the pods."""
    deadline = time.monotonic() + within
    while True:
        listed = scene.plane.kubectl("get", "networkpolicies", "-A", "-o", "json")
        found = {key(obj): marks(obj) for obj in json.loads(listed)["items"]}
        wrong = {name: (found.get(name), said) for name, said in wanted.items() if found.get(name) != said}
        if not wrong:
            return
        assert time.monotonic() < deadline, json.dumps([*map(str, wrong.items())], indent=1)
        time.sleep(0.2)


def unexpected(scene: Scene) -> dict[str, Answer]:
    """Try everything; give what came out otherwise than it has to."""
    answers = {what: (scene.tries(who, request), verdict) for what, (who, request, verdict) in ATTEMPTS.items()}
    return {what: answer for what, (answer, verdict) in answers.items() if answer.verdict != verdict}


def test_it_makes_no_difference_whether_the_operator_is_up_down_or_starting(lived: tuple[Scene, Operator]):
    scene, operator = lived
    assert unexpected(scene) == {}, "up"

    operator.kill()
    assert unexpected(scene) == {}, "down"

    operator.start(ready=False)
    ready = threading.Thread(target=operator.wait, args=("/readyz",))
    ready.start()
    tried: dict[str, Answer] = {}
    while ready.is_alive():
        tried |= unexpected(scene)
    ready.join()
    assert tried == {}, "starting"
    assert unexpected(scene) == {}, "up again"


def test_there_are_enough_attempts():
    assert len(ATTEMPTS) >= 170
