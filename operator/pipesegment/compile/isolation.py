"""The class's isolation: `pipesegment-default-deny` in every namespace that an isolating class selects.

`exceptPods` must be said in one podSelector, so that a change of it is one write and never a moment without the policy.
A selector that asks one thing of a pod (`app=metrics`, `tier in (a, b)`, `!managed`) has an exact opposite; one that asks
several together has none. It then excepts nobody and is a Gap: closed is the safe side.

Beside the class the Namespace owns it: the garbage collector deletes what has lost all of its owners, and a class that is
deleted must open nothing (docs/adr/0013).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipesegment import names
from pipesegment.compile.canonical import sort_key, stamped
from pipesegment.compile.desired import Desired
from pipesegment.compile.objects import owners, reference
from pipesegment.compile.selecting import negation
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Requirement, Selector, canonical
from pipesegment.findings import Finding
from pipesegment.reach.isolation import is_spared
from pipesegment.spec.segmentclass import SegmentClassSpec

_EVERY_POD = Selector()


def isolation(class_name: str, class_uid: str, spec: SegmentClassSpec, namespaces: Mapping[str, str]) -> Desired:
    """Compile what a SegmentClass owns in the namespaces that it governs; nothing unless its isolation says Namespace.

    `namespaces` are names with their uids, '' offline; those of the cluster's own are left out, unless the class names
    them (`reach.isolation`). The Desired's `segment` is the class: an empty namespace and its name.
    """
    wanted = spec.network.isolation
    if wanted.mode != "Namespace":
        return Desired(Key("", class_name), class_uid, ())
    requirements: list[Requirement] = []
    gaps = []
    for index, excepted in enumerate(wanted.except_pods):
        selector = canonical(excepted)
        requirement = negation(selector, _EVERY_POD)
        if requirement is None:
            gaps.append(_gap(class_name, index, selector))
        else:
            requirements.append(requirement)
    pods = Selector.of({}, *requirements)
    closed = {namespace: uid for namespace, uid in namespaces.items() if not is_spared(spec, namespace)}
    objects = (stamped(_default_deny(class_name, class_uid, *namespace, pods)) for namespace in closed.items())
    notes = tuple(_spared(class_name, sorted(namespaces.keys() - closed.keys())))
    return Desired(Key("", class_name), class_uid, tuple(sorted(objects, key=sort_key)), tuple(gaps), notes=notes)


def _default_deny(
    class_name: str, class_uid: str, namespace: str, namespace_uid: str, pods: Selector
) -> dict[str, Any]:
    owned = owners(names.CLASS, class_name, class_uid, controller=True)
    if owned and namespace_uid:
        owned["ownerReferences"].append(reference("v1", "Namespace", namespace, namespace_uid, controller=False))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": names.DEFAULT_DENY,
            "namespace": namespace,
            "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.CLASS_LABEL: names.label_value(class_name)},
            **owned,
        },
        "spec": {"podSelector": pods.render(), "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
    }


def _gap(class_name: str, index: int, selector: Selector) -> Finding:
    return Finding(
        f"spec.network.isolation.exceptPods[{index}]",
        "InexactSelector",
        str(selector),
        "a NetworkPolicy can leave out pods by one requirement only, so these pods stay closed",
        "name these pods by one label of their own",
        class_name,
    )


def _spared(class_name: str, namespaces: list[str]) -> Iterator[Finding]:
    if namespaces:
        yield Finding(
            "spec.network.isolation.mode",
            "ClusterNamespace",
            ", ".join(namespaces),
            f"the pods of {', '.join(namespaces)} stay open, because they serve the whole cluster",
            f"to close a namespace like that, name it in spec.namespaceSelector by {names.NAMESPACE_NAME_LABEL}",
            class_name,
        )
