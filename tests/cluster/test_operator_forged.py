"""Annotations by which an operator framework would be fooled: ours reads none, and acts on what is declared."""

import json

from tests.cluster.operator import POLICY, VERSION, segment, settled, stage, to_cidr

LAST_HANDLED = "kopf.zalando.org/last-handled-configuration"


async def test_a_change_that_is_hidden_behind_a_forged_annotation_is_acted_on(operator, plain, namespaces, api):
    """A spec and, in the same write, the annotation that says that exactly this was handled already."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443))))
    await settled(api, "shop", namespace)
    before = await api.get(*POLICY, "shop-build", namespace)

    spec = {"stages": [stage("build", to_cidr("203.0.113.0/24", 443))]}
    forged = json.dumps({"spec": spec}, separators=(",", ":"))
    await api.patch(
        VERSION,
        "PipelineSegment",
        "shop",
        {"metadata": {"annotations": {LAST_HANDLED: forged}}, "spec": spec},
        namespace,
    )
    after = await api.wait(*POLICY, "shop-build", namespace, until=lambda o: o["spec"] != before["spec"])

    assert [rule["to"] for rule in after["spec"]["egress"]] == [[{"ipBlock": {"cidr": "203.0.113.0/24"}}]]
    found = await api.get(VERSION, "PipelineSegment", "shop", namespace)
    assert found["metadata"]["annotations"] == {LAST_HANDLED: forged}
    assert operator.alive
