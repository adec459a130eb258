"""Consent across namespaces: what a SegmentGrant opens, and how it closes again."""

import pytest

from tests.cluster.operator import (
    POLICY,
    VERSION,
    condition,
    network_policy,
    owned,
    segment,
    segment_class,
    settled,
    stage,
)

SHOP = {"matchLabels": {"app": "shop-api"}}


def service(namespace):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop-api", "namespace": namespace},
        "spec": {"selector": SHOP["matchLabels"], "ports": [{"port": 80, "targetPort": 8080}]},
    }


def grant(ci, prod, name="deploy", **more):
    return {
        "apiVersion": VERSION,
        "kind": "SegmentGrant",
        "metadata": {"name": name, "namespace": prod},
        "spec": {
            "from": [{"namespace": ci, "segment": "shop", "stage": "deploy"}],
            "to": {"service": {"name": "shop-api"}},
            **more,
        },
    }


def deploying(ci, prod):
    return segment("shop", ci, stage("deploy", {"service": {"name": "shop-api", "namespace": prod}}))


async def granted(api, prod, number):
    """Wait until so many objects of ours are in the other namespace, and give them."""
    found = await api.wait_list(
        *POLICY,
        prod,
        labels="app.kubernetes.io/managed-by=pipesegment",
        until=lambda objects: len(objects) == number,
    )
    return sorted(found, key=lambda obj: str(obj["spec"]["podSelector"]))


@pytest.fixture
async def places(operator, plain, namespaces, api):
    """The segment's namespace and the one that it reaches, where the Service is."""
    ci, prod = [await namespaces(name, labels=plain) for name in ("ci", "prod")]
    await api.apply(service(prod))
    return ci, prod


async def test_a_grant_opens_and_its_end_closes(places, api):
    """The object there is owned by the grant and made for this segment; without the grant it is gone at once."""
    ci, prod = places
    await api.apply(deploying(ci, prod))
    ungranted = await settled(api, "shop", ci, "Ungranted")
    assert await owned(api, prod) == {}

    consent = await api.apply(grant(ci, prod, isolate="Everyone"))
    await settled(api, "shop", ci)

    (made,) = await granted(api, prod, 1)
    meta = made["metadata"]
    owner = {"apiVersion": VERSION, "kind": "SegmentGrant", "name": "deploy", "uid": consent["metadata"]["uid"]}
    assert meta["ownerReferences"] == [owner | {"controller": False, "blockOwnerDeletion": False}]
    assert meta["annotations"]["pipesegment.dev/segment-uid"] == ungranted["metadata"]["uid"]
    assert meta["labels"]["pipesegment.dev/origin"] == ci
    assert made["spec"]["policyTypes"] == ["Ingress"]
    assert made["spec"]["podSelector"] == SHOP
    assert made["spec"]["ingress"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
    bound = await api.wait(
        VERSION, "SegmentGrant", "deploy", prod, until=lambda obj: obj.get("status", {}).get("covered") == 1
    )
    assert [edge["segment"] for edge in bound["status"]["edges"]] == ["shop"]
    assert condition(bound, "Ready")["reason"] == "Bound"

    await api.delete(VERSION, "SegmentGrant", "deploy", prod)
    await granted(api, prod, 0)
    await settled(api, "shop", ci, "Ungranted")


async def test_a_deleted_segment_takes_its_objects_elsewhere_along(places, api):
    """No garbage collector does that: their owner is the grant, which stays."""
    ci, prod = places
    await api.apply(grant(ci, prod, isolate="Everyone"))
    await api.apply(deploying(ci, prod))
    await granted(api, prod, 1)

    await api.delete(VERSION, "PipelineSegment", "shop", ci)

    await granted(api, prod, 0)
    await api.wait(
        VERSION, "SegmentGrant", "deploy", prod, until=lambda obj: condition(obj, "Ready").get("reason") == "Unused"
    )


async def test_a_grant_made_anew_starts_afresh(places, api):
    """A grant of the same name has a status of its own: nothing of its predecessor's is taken for said already."""
    ci, prod = places
    await api.apply(deploying(ci, prod))
    await api.apply(grant(ci, prod))
    await settled(api, "shop", ci)
    await api.delete(VERSION, "SegmentGrant", "deploy", prod)
    await settled(api, "shop", ci, "Ungranted")

    await api.apply(grant(ci, prod))

    await settled(api, "shop", ci)
    await api.wait(
        VERSION, "SegmentGrant", "deploy", prod, until=lambda obj: condition(obj, "Ready").get("reason") == "Bound"
    )


@pytest.mark.parametrize("isolate", ["Nobody", "Callers"])
async def test_nobody_is_isolated_who_was_not(places, api, isolate):
    """Only while a foreign policy isolates the pods is there one of ours, on the pods that both of them select."""
    ci, prod = places
    await api.apply(deploying(ci, prod))
    await api.apply(grant(ci, prod, isolate=isolate))
    await settled(api, "shop", ci)
    assert await owned(api, prod) == {}

    await api.apply(network_policy("deny-api", prod, {"app": "shop-api"}, policyTypes=["Ingress"]))
    (made,) = await granted(api, prod, 1)
    assert made["spec"]["podSelector"] == SHOP
    await api.apply(network_policy("deny-v2", prod, {"version": "2"}, policyTypes=["Ingress"]))
    both = await granted(api, prod, 2)
    selected = [obj["spec"]["podSelector"].get("matchLabels") for obj in both]
    assert sorted(selected, key=len) == [{"app": "shop-api"}, {"app": "shop-api", "version": "2"}]
    # One that isolates egress alone isolates nobody from callers.
    await api.apply(network_policy("egress", prod, {"app": "shop-api"}, policyTypes=["Egress"]))

    await api.delete(*POLICY, "deny-api", prod)
    (left,) = await granted(api, prod, 1)
    assert left["spec"]["podSelector"]["matchLabels"]["version"] == "2"
    await api.delete(*POLICY, "deny-v2", prod)
    await granted(api, prod, 0)
    await settled(api, "shop", ci)


async def test_a_required_grant_closes_both_halves_while_it_is_missing(operator, namespaces, api):
    """With requireGrants even the own egress waits for the other side's consent."""
    label = f"lab.example.com/{(await namespaces('strict'))[-8:]}"
    ci, prod = [await namespaces(name, labels={label: "yes"}) for name in ("ci", "prod")]
    strict = segment_class(f"strict-{ci[-8:]}", label, network={"requireGrants": True}, mesh={"provider": "None"})
    await api.apply(strict)
    await api.apply(service(prod))
    await api.apply(deploying(ci, prod))

    waiting = await settled(api, "shop", ci, "Ungranted")
    egress = (await owned(api, ci))["NetworkPolicy", "shop-deploy"]["spec"].get("egress", [])
    assert "8080" not in str(egress)
    assert waiting["status"]["summary"]["open"] == "0/1"

    await api.apply(grant(ci, prod, isolate="Everyone"))
    opened = await settled(api, "shop", ci)
    egress = (await owned(api, ci))["NetworkPolicy", "shop-deploy"]["spec"]["egress"]
    assert [{"port": 8080, "protocol": "TCP"}] in [rule["ports"] for rule in egress]
    assert opened["status"]["summary"]["open"] == "1/1"
    await granted(api, prod, 1)

    await api.delete(VERSION, "SegmentGrant", "deploy", prod)
    await settled(api, "shop", ci, "Ungranted")
    assert "8080" not in str((await owned(api, ci))["NetworkPolicy", "shop-deploy"]["spec"].get("egress", []))
    await granted(api, prod, 0)
    await api.delete(VERSION, "SegmentClass", strict["metadata"]["name"])


async def test_a_changed_object_elsewhere_is_repaired(places, api):
    """Drift is drift in the other namespace as well."""
    ci, prod = places
    await api.apply(grant(ci, prod, isolate="Everyone"))
    await api.apply(deploying(ci, prod))
    (made,) = await granted(api, prod, 1)
    name = made["metadata"]["name"]

    await api.patch(*POLICY, name, {"spec": {"ingress": [{}]}}, prod)
    repaired = await api.wait(*POLICY, name, prod, until=lambda obj: obj["spec"] == made["spec"])
    assert repaired["metadata"]["uid"] == made["metadata"]["uid"]
    await api.delete(*POLICY, name, prod)
    again = await api.wait(*POLICY, name, prod, until=lambda obj: obj["metadata"]["uid"] != made["metadata"]["uid"])
    assert again["spec"] == made["spec"]
