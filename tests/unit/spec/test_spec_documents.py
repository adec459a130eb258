"""Documents: YAML and JSON read strictly, kinds and metadata judged, several documents compared."""

import json

import pytest

from pipesegment.errors import Refused
from pipesegment.spec.documents import load, parse_class, parse_segment

HEAD = "apiVersion: pipesegment.dev/v1alpha1\nkind: PipelineSegment\n"
SHOP = f"{HEAD}metadata: {{name: shop, namespace: ci}}\nspec: {{stages: [{{name: build}}]}}\n"


def lines(text, source="shop.yaml"):
    with pytest.raises(Refused) as refused:
        load(text, source)
    return [str(refusal) for refusal in refused.value.refusals]


def test_documents_are_sorted_by_kind_and_foreign_ones_are_kept():
    text = (
        f"{SHOP}---\n---\nkind: SegmentClass\napiVersion: pipesegment.dev/v1alpha1\nmetadata: {{name: default}}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
    )

    found = load(text, "shop.yaml")

    assert [(d.meta.object, d.spec.stages[0].name, d.source) for d in found.segments] == [
        ("ci/shop", "build", "shop.yaml:1")
    ]
    assert [(d.meta.object, d.spec.priority, d.source) for d in found.classes] == [("default", 0, "shop.yaml:7")]
    assert found.others == ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}},)


def test_lists_are_unfolded_and_items_of_typed_lists_get_their_kind():
    item = {"metadata": {"name": "shop", "namespace": "ci"}, "spec": {"stages": [{"name": "build"}]}}
    typed = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegmentList", "items": [item]}
    services = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Service"}]}

    found = load(json.dumps({"apiVersion": "v1", "kind": "List", "items": [services]}))
    assert [obj["kind"] for obj in found.others] == ["Service"]

    found = load([typed, services])

    assert [d.meta.object for d in found.segments] == ["ci/shop"]
    assert [obj["kind"] for obj in found.others] == ["Service"]


def test_json_and_flow_yaml_are_read_alike():
    obj = {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": {"name": "a", "namespace": "b"},
    }
    obj["spec"] = {"stages": [{"name": "build"}]}
    flow = "{apiVersion: pipesegment.dev/v1alpha1, kind: PipelineSegment, metadata: {name: a, namespace: b}, spec: {stages: [{name: build}]}}"

    assert load(json.dumps(obj, indent="\t")).segments[0].raw == load(flow).segments[0].raw == obj


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", ["shop.yaml:4: duplicate key 'c': keep one of them"]),
        ('{"a": 1, "a": 2}', ["shop.yaml: duplicate key 'a': keep one of them"]),
        (
            "kind: [a\nb: c",
            ["shop.yaml:2: is not YAML, did not find expected ',' or ']': 'b: c': correct the text there"],
        ),
        (
            "a: b: c",
            [
                "shop.yaml:1: is not YAML, mapping values are not allowed in this context: 'a: b: c': correct the text there"
            ],
        ),
        ("hello", ["shop.yaml:1: is not an object 'hello': write apiVersion, kind, metadata and spec"]),
        ("- 1", ["shop.yaml:1: is not an object '[1]': write apiVersion, kind, metadata and spec"]),
        ("a: !!binary aGk=", ["shop.yaml:1: has a tag or value that JSON does not know: 'aGk=': write plain values"]),
        ("a: .inf", ["shop.yaml:1: has a tag or value that JSON does not know: '.inf': write plain values"]),
        ("{a: 1}: b", ["shop.yaml:1: has a key that is not text: '…': put the key in quotes"]),
        (
            "a: &x\n  b: *x\n",
            ["shop.yaml:2: is an alias inside of what it stands for: '*x': write the value itself"],
        ),
        ("a: *x", ["shop.yaml:1: is an unknown alias: '*x': write the value itself"]),
        ("a: &x 1\n---\nb: *x", ["shop.yaml:3: is an unknown alias: '*x': write the value itself"]),
        ("a: !!set {b}", ["shop.yaml:1: has a tag or value that JSON does not know: '…': write plain values"]),
        ("a: 1e400", ["shop.yaml:1: is no number that JSON knows: '1e400': …"]),
        ("\na: -18446744073709551617", ["shop.yaml:2: is no number that JSON knows: '-18446744073709551617': …"]),
        ("a: 1" + "0" * 5000, ["shop.yaml:1: is no number that JSON knows: '1000…"]),
        ('{"a": 1e400}', ["shop.yaml: is no number that JSON knows: '1e400': …"]),
        ('{"a": NaN}', ["shop.yaml: is no number that JSON knows: 'NaN': …"]),
        ('{"a": 1' + "0" * 5000 + "}", ["shop.yaml: is no number that JSON knows: '1000…"]),
        ("\ta: 1", ["shop.yaml:1: is not YAML, found character that cannot start any token: …"]),
        ("\x00", ["shop.yaml: is not YAML: …"]),
        ("a: \x1b[2J", ["shop.yaml: is not YAML: …"]),
    ],
)
def test_text_that_is_not_strict_yaml_is_refused_with_its_line(text, expected):
    found = lines(text)

    assert [line[: len(start.partition("…")[0])] for line, start in zip(found, expected, strict=True)] == [
        start.partition("…")[0] for start in expected
    ]
    assert all("\n" not in line and "\x1b" not in line for line in found)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000 + "a",
        '{"a":' * 200 + "1" + "}" * 200,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "".join(f"{' ' * n}a:\n" for n in range(500)),
        "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60,
    ],
    ids=["open lists", "lists", "mappings", "dashes", "json", "deep json", "block", "aliases"],
)
def test_a_text_that_nests_without_end_is_one_line_and_not_the_end_of_the_process(text):
    (line,) = lines(text)

    assert "nests too deep: 'more than 100 levels': write it flatter" in line


def test_a_text_may_nest_as_deep_as_the_schemas_of_crds():
    text = "kind: X\napiVersion: v1\na: " + "[" * 99 + "]" * 99

    assert load(text).others[0]["kind"] == "X"


def test_a_bomb_of_aliases_is_refused_before_it_fills_the_memory():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )

    (line,) = lines(text)
    assert "repeats too much by the alias '*a" in line


def test_large_texts_without_aliases_are_read():
    text = "kind: X\napiVersion: v1\nitems:\n" + "- \n" * 50_000

    assert len(load(text).others[0]["items"]) == 50_000


def test_plain_scalars_are_read_as_kubectl_reads_them():
    text = (
        "kind: X\napiVersion: v1\na: 12:30\nb: 2030-01-31\nc: yes\nd: 0x10\ne: 1_000\nf: 1.5\ng: ~\n80: x\ntrue: y\nh: 010\n"
        "i: =\nj: 1e3\nk: 0o17\nl: '1e3'\nm: ! 5\n"
    )

    assert load(text).others == (
        {"kind": "X", "apiVersion": "v1", "a": "12:30", "b": "2030-01-31", "c": True, "d": 16, "e": 1000, "f": 1.5}
        | {"g": None, "80": "x", "true": "y", "h": 8, "i": "="}
        | {"j": 1000.0, "k": 15, "l": "1e3", "m": 5},
    )


def test_merge_keys_are_filled_in_and_given_keys_win():
    text = "kind: X\napiVersion: v1\nx: &x {a: 1, b: 1}\ny: {<<: *x, b: 2}\nz: {<<: [*x, {c: 3, a: 9}]}\n"

    assert load(text).others[0]["y"] == {"a": 1, "b": 2}
    assert load(text).others[0]["z"] == {"a": 1, "b": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apiVersion: v1", ["kind: missing required field 'kind': add it"]),
        ("kind: Service", ["apiVersion: missing required field 'apiVersion': add it"]),
        (
            SHOP.replace("v1alpha1", "v1"),
            ["apiVersion: is not known for this kind 'pipesegment.dev/v1': write pipesegment.dev/v1alpha1"],
        ),
        (
            SHOP.replace("PipelineSegment", "PipelineSegments"),
            ["kind: is not a kind of pipesegment.dev 'PipelineSegments': did you mean PipelineSegment?"],
        ),
        (
            SHOP.replace("PipelineSegment", "Widget"),
            [
                "kind: is not a kind of pipesegment.dev 'Widget': use PipelineSegment, SegmentGrant, SegmentClass, SegmentException, SegmentApproval"
            ],
        ),
        (
            SHOP.replace("PipelineSegment", "GateEvidence"),
            ["kind: is not supported by this version 'GateEvidence': remove the document"],
        ),
        (
            f"{HEAD}spec: {{stages: [{{name: build}}]}}",
            ["metadata: missing required field 'metadata': add it with a name"],
        ),
        (
            f"{HEAD}metadata: {{}}\nspec: {{stages: [{{name: b}}]}}",
            ["metadata.name: missing required field 'name': add it"],
        ),
        (
            SHOP.replace("namespace", "namespce"),
            ["metadata.namespce: unknown field 'namespce': did you mean namespace?"],
        ),
        (
            SHOP.replace("spec:", "sepc:"),
            ["sepc: unknown field 'sepc': did you mean spec?", "spec: missing required field 'spec': add it"],
        ),
        (
            f"{HEAD}metadata: {{name: shop}}\nspec: []",
            ["spec: must be an object, not '[]': write its fields as `name: value`"],
        ),
        (
            "apiVersion: pipesegment.dev/v1alpha1\nkind: SegmentClass\nmetadata: {name: default, namespace: ci}\nspec: {}",
            ["metadata.namespace: is given to a cluster-scoped kind 'ci': remove it"],
        ),
    ],
)
def test_a_wrong_envelope_is_refused(text, expected):
    assert lines(text) == expected


def test_everything_that_is_wrong_in_all_documents_is_told_at_once():
    text = f"{SHOP.replace('build', 'b.b')}---\n{SHOP.replace('name: shop', 'name: pay').replace('build', 'c.c')}"

    with pytest.raises(Refused) as refused:
        load(text)

    assert [(r.object, r.value) for r in refused.value.refusals] == [("ci/shop", "b.b"), ("ci/pay", "c.c")]


def test_an_object_given_twice_is_refused():
    assert lines(f"{SHOP}---\n{SHOP}") == [
        "metadata.name: is the name of two documents of the kind PipelineSegment 'ci/shop': keep one"
    ]


def test_without_a_namespace_it_is_default():
    meta, _ = parse_segment(load(f"{HEAD}metadata: {{name: shop}}\nspec: {{stages: [{{name: b}}]}}").segments[0].raw)

    assert meta.object == "default/shop"


def test_metadata_of_the_api_server_is_read():
    obj = load(SHOP).segments[0].raw
    given = {
        "name": "shop",
        "namespace": "ci",
        "uid": "u-1",
        "generation": 3,
        "resourceVersion": "7",
        "creationTimestamp": "2030-01-31T12:00:00Z",
        "deletionTimestamp": None,
        "labels": {"a": "b"},
        "annotations": {"example.com/c": "d"},
        "managedFields": [{"manager": "kubectl"}],
        "ownerReferences": [],
        "finalizers": ["x"],
    }

    meta, _ = parse_segment({**obj, "metadata": given, "status": {"anything": 1}})

    assert (meta.uid, meta.generation, meta.creation_timestamp, meta.deletion_timestamp) == (
        "u-1",
        3,
        "2030-01-31T12:00:00Z",
        "",
    )
    assert (meta.labels, meta.annotations) == ({"a": "b"}, {"example.com/c": "d"})


def test_null_is_absent_as_the_api_server_prunes_it():
    stage = {"name": "build", "podSelector": {"matchLabels": {"a": "b", "c": None}}, "reaches": None, "mesh": None}
    obj = load(SHOP).segments[0].raw | {"spec": {"mode": None, "stages": [stage]}}

    assert parse_segment(obj)[1].wire() == {
        "stages": [{"name": "build", "podSelector": {"matchLabels": {"a": "b"}}}],
    }


def test_a_class_without_a_spec_is_the_default_class():
    _, spec = parse_class({"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentClass", "metadata": {"name": "a"}})

    assert spec.wire() == {}


def test_hostile_names_are_escaped_and_cut():
    (line,) = lines(f'{HEAD}metadata: {{name: shop}}\nspec: {{stages: [{{name: build, "{"x" * 300}\\n\\u202e": 1}}]}}')

    assert line.isascii() or "…" in line
    assert "\n" not in line
    assert len(line) < 400
