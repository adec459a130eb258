"""A DENY in another namespace holds a stage behind the tunnel's one port: it is never missing while that port is open."""

from typing import Any

import pytest

from pipesegment import names
from pipesegment.compile.canonical import stamped
from pipesegment.evaluate.endpoints import PodEnd, Port
from pipesegment.evaluate.world import World
from pipesegment.plan.live import Live, is_denial
from pipesegment.plan.sequence import Restraint
from tests.unit.plan.scenes import UID, Scene, allow_policy, policy, to

BUILD = PodEnd("ci", "build", {"app": "build"}, ips=("10.0.0.1",), service_account="build", ambient=True)
API = PodEnd("prod", "api", {"app": "api"}, ips=("10.0.1.1",), ambient=True)


def deny(*ports: int, name: str = "") -> dict[str, Any]:
    """As the compiler writes it: another content is another name, and the namespace is its owner."""
    made = allow_policy(name or f"ci-shop-build-{'-'.join(map(str, ports))}", {"app": "api"}, namespace="prod")
    rule = {
        "from": [{"source": {"principals": ["cluster.local/ns/ci/sa/build"]}}],
        "to": [{"operation": {"notPorts": [str(port) for port in ports]}}],
    }
    meta = made["metadata"]
    labels = {**meta["labels"], names.PART_LABEL: names.DENIAL}
    owners = [{"apiVersion": "v1", "kind": "Namespace", "name": "prod", "uid": "uid-prod"}]
    spec = {**made["spec"], "action": "DENY", "rules": [rule]}
    return stamped({**made, "metadata": {**meta, "labels": labels, "ownerReferences": owners}, "spec": spec})


def reaching(*ports: int) -> dict[str, Any]:
    return policy("shop-build", {"app": "build"}, [to({"app": "api"}, *ports, 15008, namespace="prod")])


SHUT = [policy("shop-build", {"app": "build"})]
ONE = [reaching(8080), deny(8080)]
TWO = [reaching(8080, 9090), deny(8080, 9090)]
OTHER = [reaching(9090), deny(9090)]


def flows(objects: Any) -> frozenset[int]:
    world = World(objects, (), ())
    return frozenset(p for p in (80, 8080, 9090) if world.judge(BUILD, API, Port("TCP", p)).enforced)


def test_the_worlds_differ() -> None:
    assert [flows(objects) for objects in (SHUT, ONE, TWO, OTHER)] == [set(), {8080}, {8080, 9090}, {9090}]
    assert flows([reaching(8080)]) == {80, 8080, 9090}


@pytest.mark.parametrize("old", [SHUT, ONE, TWO, OTHER])
@pytest.mark.parametrize("new", [SHUT, ONE, TWO, OTHER])
def test_after_every_write_what_is_open_was_open_before_or_is_after(old: Any, new: Any) -> None:
    scene = Scene(list(old), list(new))
    states = list(scene.states(scene.sequence().steps))
    assert [flows(state) - (flows(old) | flows(new)) for state in states] == [frozenset()] * len(states)
    assert [(flows(old) & flows(new)) - flows(state) for state in states] == [frozenset()] * len(states)
    assert flows(([*old], *states)[-1]) == flows(new)


def test_where_a_deny_cannot_be_written_nothing_is_widened() -> None:
    """Somebody has an object of its name."""
    theirs = {**deny(8080), "metadata": {"name": deny(8080)["metadata"]["name"], "namespace": "prod"}}
    scene = Scene(list(SHUT), list(ONE), foreign=[theirs])
    assert scene.sequence().steps == ()


@pytest.mark.parametrize("restraint", [Restraint.SUSPENDED, Restraint.HELD, Restraint.NO_WIDENING])
def test_what_is_held_back_keeps_its_deny(restraint: Restraint) -> None:
    scene = Scene(list(ONE), list(SHUT))
    assert not [step for step in scene.sequence(restraint).steps if step.verb == "delete"]


def test_a_deny_is_known_as_ours_by_its_namespace_and_the_segment() -> None:
    live = Live.of(deny(8080))
    assert is_denial(live.labels)
    assert live.names_owner(UID)
    borrowed = deny(8080)
    borrowed["metadata"]["labels"].pop(names.PART_LABEL)
    assert not Live.of(borrowed).names_owner(UID)
