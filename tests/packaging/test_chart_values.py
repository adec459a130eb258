"""The chart through the real helm: defaults, choices, refusals, and the copies that have to be up to date."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import pipesegment
from charts import render as charts_render
from lab import yaml
from pipesegment.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pipesegment"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DIGEST = "sha256:" + "0123456789abcdef" * 4

#: Settings that the chart decides itself, or that make no sense in a pod.
NOT_IN_VALUES = {"namespace", "identity", "kubeconfig", "context", "lease_name", "admin_host", "admin_port"}
NOT_IN_VALUES |= {"aws", "aws_region", "aws_backends", "admission_name"}


def one(objects, kind: str, name: str | None = None) -> dict[str, Any]:
    found = [obj for obj in objects if obj["kind"] == kind and name in {None, obj["metadata"]["name"]}]
    assert len(found) == 1
    return found[0]


def container(objects) -> dict[str, Any]:
    return one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]


def test_the_charts_crds_are_the_repositorys_byte_for_byte():
    copies = charts_render.crd_copies()

    assert [path.name for path in copies] == [path.name for path in sorted((ROOT / "crds").glob("*.yaml"))] != []
    assert charts_render.stale(copies) == [], "run `make chart`"


def test_chart_and_program_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == chart["version"] == pipesegment.__version__


def test_the_schema_knows_the_programs_settings_with_their_bounds():
    kinds = {str: "string", int: "integer", float: "number"}
    expected = {}
    for item in dataclasses.fields(Settings):
        if item.name in NOT_IN_VALUES:
            continue
        bounds = {} if item.type is str else {"minimum": item.metadata["low"], "maximum": item.metadata["high"]}
        choices = {"enum": list(item.metadata["choices"])}
        expected[item.name] = {
            "description": item.metadata["help"],
            "type": kinds[item.type],
            **(choices if item.metadata["choices"] else bounds),
        }

    assert SCHEMA["properties"]["settings"]["properties"] == expected


def test_every_value_is_in_the_schema_and_every_object_in_it_is_closed():
    def check(values: dict[str, Any], schema: dict[str, Any], path: str) -> None:
        assert schema["additionalProperties"] is False, path
        for name, value in values.items():
            assert name in schema["properties"], f"{path}.{name}"
            if isinstance(value, dict) and "properties" in schema["properties"][name]:
                check(value, schema["properties"][name], f"{path}.{name}")

    check(yaml.safe_load((CHART / "values.yaml").read_text()), SCHEMA, "")


def test_install_yaml_is_the_chart_with_its_default_values(helm_program):
    objects = charts_render.install_objects(helm_program)
    assert charts_render.INSTALL.read_text() == charts_render.install_manifest(objects), "run `make chart`"
    assert charts_render.SHIPPED.read_text() == charts_render.shipped(objects), "run `make chart`"


def test_helm_finds_nothing_to_complain_about(helm):
    helm("lint", "--strict", CHART)


def test_the_crds_survive_uninstall_and_carry_the_releases_labels(render):
    crds = [obj for obj in render() if obj["kind"] == "CustomResourceDefinition"]
    sources = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]

    assert [obj["spec"] for obj in crds] == [obj["spec"] for obj in sources]
    for obj in crds:
        assert obj["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_crds_can_be_somebody_elses(render):
    assert not [obj for obj in render({"crds": {"install": False}}) if obj["kind"] == "CustomResourceDefinition"]


def test_a_digest_wins_over_a_tag_and_the_tag_over_the_version(render):
    image = {"repository": "registry.example.com/x"}

    assert container(render({"image": image}))["image"] == f"registry.example.com/x:{pipesegment.__version__}"
    assert container(render({"image": image | {"tag": "v9"}}))["image"] == "registry.example.com/x:v9"
    pinned = container(render({"image": image | {"tag": "v9", "digest": DIGEST}}))
    assert pinned["image"] == f"registry.example.com/x@{DIGEST}"


def test_settings_become_environment_variables_that_the_program_accepts(render):
    given = {"workers": 4, "log_level": "DEBUG", "resync_max": 86400, "drain_timeout": 40.5, "coalesce": 0}
    objects = render({"settings": given})
    environment = {item["name"]: item["value"] for item in container(objects)["env"] if "value" in item}
    settings = Settings.load(environ=environment)

    assert {name: getattr(settings, name) for name in given} == given
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 51


def test_aws_is_a_choice_that_brings_a_right_and_ways_out(render):
    def told(objects) -> tuple[dict[str, str], bool, int]:
        environment = {item["name"]: item["value"] for item in container(objects)["env"] if "value" in item}
        rules = one(objects, "ClusterRole", "pipesegment-operator")["rules"]
        patches = any("pipelinesegments" in rule["resources"] and "patch" in rule["verbs"] for rule in rules)
        return environment, patches, len(one(objects, "NetworkPolicy")["spec"]["egress"])

    off, on = told(render({})), told(render({"aws": {"enabled": True, "region": "eu-west-1"}}))
    assert Settings.load(environ=off[0]).aws == "off"
    assert (Settings.load(environ=on[0]).aws, Settings.load(environ=on[0]).aws_region) == ("on", "eu-west-1")
    assert (off[1], on[1]) == (False, True)
    assert on[2] == off[2] + 2


def test_another_account_is_bound_and_not_made(render):
    objects = render({"serviceAccount": {"create": False, "name": "mine"}})
    bindings = [obj for obj in objects if obj["kind"] in {"ClusterRoleBinding", "RoleBinding"}]

    assert not [obj for obj in objects if obj["kind"] == "ServiceAccount"]
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    assert {subject["name"] for obj in bindings for subject in obj["subjects"]} == {"mine"}


def test_the_fence_can_be_narrowed_or_left_out(render):
    narrow = render({"networkPolicy": {"apiServer": {"cidrs": ["192.0.2.10/32"], "ports": [6443]}}})
    rule = one(narrow, "NetworkPolicy")["spec"]["egress"][1]
    without = render({"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}})

    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.10/32"}}]
    assert rule["ports"] == [{"port": 6443, "protocol": "TCP"}]
    assert not [obj for obj in without if obj["kind"] in {"NetworkPolicy", "PodDisruptionBudget"}]


def test_another_admin_port_reaches_program_service_fence_and_probes(render):
    objects = render({"adminPort": 9090})

    assert {"name": "PIPESEGMENT_ADMIN_PORT", "value": "9090"} in container(objects)["env"]
    assert container(objects)["ports"] == [{"name": "admin", "containerPort": 9090, "protocol": "TCP"}]
    assert one(objects, "Service")["spec"]["ports"][0]["port"] == 9090
    assert one(objects, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == 9090


def test_the_lease_that_the_role_names_is_the_one_that_the_program_takes(render):
    objects = render(release="edge")
    environment = {item["name"]: item.get("value") for item in container(objects)["env"]}
    rules = one(objects, "Role")["rules"]

    assert environment["PIPESEGMENT_LEASE_NAME"] == "edge-pipesegment"
    assert [rule["resourceNames"] for rule in rules if "resourceNames" in rule] == [["edge-pipesegment"]]


def test_notes_name_what_comes_next(helm):
    notes = helm("install", "pipesegment", CHART, "--dry-run=client", "--namespace", "pipesegment-system").stdout

    assert "kubectl get pseg -A" in notes
    assert "TCP 443, 6443 to any address" in notes


REFUSED = {
    "unknown value": ({"replica": 2}, "replica"),
    "unknown value inside": ({"image": {"digets": DIGEST}}, "digets"),
    "unknown setting": ({"settings": {"wokers": 3}}, "wokers"),
    "setting out of bounds": ({"settings": {"workers": 0}}, "/settings/workers"),
    "setting of the wrong type": ({"settings": {"workers": "many"}}, "/settings/workers"),
    "setting that the chart decides": ({"settings": {"lease_name": "x"}}, "lease_name"),
    "privileged port": ({"adminPort": 80}, "/adminPort"),
    "digest that is none": ({"image": {"digest": "latest"}}, "/image/digest"),
    "repository with a digest": ({"image": {"repository": f"registry.example.com/x@{DIGEST}"}}, "/image/repository"),
    "default account": ({"serviceAccount": {"create": False, "name": "default"}}, "/serviceAccount/name"),
    "foreign account without a name": ({"serviceAccount": {"create": False}}, "/serviceAccount/name"),
    "nobody to scrape": ({"networkPolicy": {"metricsFrom": []}}, "/networkPolicy/metricsFrom"),
    "peer that is everybody": ({"networkPolicy": {"metricsFrom": [{}]}}, "/networkPolicy/metricsFrom/0"),
    "no address of the API server": ({"networkPolicy": {"apiServer": {"cidrs": []}}}, "/networkPolicy/apiServer/cidrs"),
    "host name as address": ({"networkPolicy": {"apiServer": {"cidrs": ["api.example.com"]}}}, "/cidrs/0"),
    "author as part of view": ({"rbac": {"aggregate": {"author": ["view"]}}}, "/rbac/aggregate/author/0"),
    "every role to bind": ({"rbac": {"roleRefs": [{"kind": "ClusterRole", "name": "*"}]}}, "/rbac/roleRefs/0/name"),
    "admission that is off": ({"admission": {"actions": {"bypass": "Off"}}}, "/admission/actions/bypass"),
    "everybody exempt": ({"admission": {"exempt": {"groups": ["system:authenticated"]}}}, "/admission/exempt/groups/0"),
    "an image by its tag": (
        {"admission": {"sidecarImages": ["registry.example.com/x:1"]}},
        "/admission/sidecarImages/0",
    ),
    "pod label that selects": ({"podLabels": {"app.kubernetes.io/name": "x"}}, "app.kubernetes.io/name"),
    "security context": ({"securityContext": {"runAsUser": 0}}, "securityContext"),
}


@pytest.mark.parametrize(("values", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_nonsense_is_refused_by_name(helm, tmp_path, values, named):
    given = tmp_path / "values.json"
    given.write_text(json.dumps(values))
    reply = helm("template", "pipesegment", CHART, "--values", given, check=False)

    assert reply.returncode != 0
    assert named in reply.stderr
