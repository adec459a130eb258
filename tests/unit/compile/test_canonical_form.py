"""The fingerprint and the YAML stream: stable, complete, and read the same by every YAML reader."""

import hashlib
import json

import pytest
import yaml

from pipesegment import names
from pipesegment.compile.canonical import fingerprint, stamped, to_yaml

OBJECT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "a", "namespace": "ns", "labels": {"x": "1", "w": "two"}},
}


def test_fingerprint_is_sixteen_hex_digits_of_the_content():
    plain = json.dumps(OBJECT, sort_keys=True, separators=(",", ":"))
    assert fingerprint(OBJECT) == hashlib.sha256(plain.encode()).hexdigest()[:16]


def test_fingerprint_does_not_depend_on_key_order_nor_on_itself():
    turned = {k: OBJECT[k] for k in reversed(OBJECT)}
    assert fingerprint(turned) == fingerprint(OBJECT)
    assert fingerprint(stamped(stamped(OBJECT))) == fingerprint(OBJECT)


@pytest.mark.parametrize(
    "changed",
    [
        {"automountServiceAccountToken": False},
        {"metadata": {**OBJECT["metadata"], "labels": {"x": "1"}}},
        {"metadata": {**OBJECT["metadata"], "annotations": {"x": "1"}}},
        {"metadata": {**OBJECT["metadata"], "ownerReferences": []}},
    ],
)
def test_fingerprint_sees_every_change(changed):
    assert fingerprint({**OBJECT, **changed}) != fingerprint(OBJECT)


def test_stamp_keeps_other_annotations_and_wins_over_a_forged_one():
    meta = {**OBJECT["metadata"], "annotations": {"x": "1", names.HASH_ANNOTATION: "forged"}}
    annotations = stamped({**OBJECT, "metadata": meta})["metadata"]["annotations"]
    assert annotations["x"] == "1"
    assert annotations[names.HASH_ANNOTATION] == fingerprint({**OBJECT, "metadata": meta}) != "forged"
    assert meta["annotations"][names.HASH_ANNOTATION] == "forged"


def test_yaml_is_sorted_by_kind_namespace_name_and_reads_top_down():
    policy = {"spec": {"b": 1, "a": 2}, "kind": "NetworkPolicy", "metadata": {"name": "z"}, "apiVersion": "v1"}
    other = {**OBJECT, "metadata": {"name": "b", "namespace": "m"}}
    assert to_yaml([OBJECT, other, policy]) == (
        "---\napiVersion: v1\nkind: NetworkPolicy\nmetadata:\n  name: z\nspec:\n  a: 2\n  b: 1\n"
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: b\n  namespace: m\n"
        '---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  labels:\n    w: two\n    x: "1"\n'
        "  name: a\n  namespace: ns\n"
    )


def test_yaml_has_no_aliases():
    shared = {"app": "web"}
    text = to_yaml([{**OBJECT, "spec": {"a": shared, "b": shared, "c": [shared, shared]}}])
    assert "&" not in text
    assert "*" not in text


TRAPS = [
    *("12e4567", "1e3", "0x1f", "0o7", "-5", "+1", ".5", ".inf", "1_000", "12:30", "2030-01-01", "007", "1.10"),
    *("y", "N", "yes", "off", "true", "null", "~", "", " x", "a: b", "# x", "- a", "*a", "&a", "{a}", "line\nbreak"),
]


@pytest.mark.parametrize("value", TRAPS)
def test_text_stays_text_as_value_and_as_key(value):
    text = to_yaml([{**OBJECT, "spec": {"a": value, "b": {value: "x"}}}])
    assert yaml.safe_load(text)["spec"] == {"a": value, "b": {value: "x"}}


@pytest.mark.parametrize("value", TRAPS)
def test_text_that_any_reader_takes_for_something_else_is_quoted(value):
    # Readers of other YAML versions know more numbers and booleans than PyYAML: only a quote stops them all.
    lines = to_yaml([{**OBJECT, "spec": {"a": value}}]).splitlines()
    (line,) = [line for line in lines if line.startswith("  a: ")]
    assert line[len("  a: ")] in {"'", '"'}


def test_long_text_is_not_folded():
    value = "word " * 100 + "end"
    assert f"key: {value}\n" in to_yaml([{**OBJECT, "spec": {"key": value}}])


def test_blocks_of_addresses_stay_plain():
    assert "cidr: 10.0.0.0/8\n" in to_yaml([{**OBJECT, "spec": {"cidr": "10.0.0.0/8"}}])
