"""Where in a text a field stands."""

import pytest

from pipesegment.spec.yamllines import Lines

TEXT = """\
# a comment
kind: First
---

kind: Second
metadata:
  annotations:
    example.com/a.b: x
spec: &spec
  stages:
  - name: build
    reaches:
    - {cidr: {block: 10.0.0.0/8},
       ports: [{port: 1},
               {port: 2}]}
  - {name: test}
other: *spec
merged:
  <<: *spec
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("spec.stages[0].name", 11),
        ("spec.stages[0].reaches[0].ports", 14),
        ("spec.stages[0].reaches[0].ports[1].port", 15),
        ("spec.stages[1].name", 16),
        ("metadata.annotations.example.com/a.b", 8),
        ("metadata.annotations['example.com/a.b']", 8),
        ("other.stages[1].name", 16),
        ("spec.stages[0].absent", 11),
        ("spec.stages[7].name", 10),
        ("spec.stages.name", 10),
        ("merged.stages[0]", 18),
        ("nothing.of.it", 5),
        ("", 5),
    ],
)
def test_a_path_leads_to_the_line_of_its_key_or_of_what_should_hold_it(path: str, line: int) -> None:
    assert Lines(TEXT).find(5, path) == line


def test_each_document_is_looked_through_by_itself() -> None:
    assert Lines(TEXT).find(2, "kind") == 2
    assert Lines(TEXT).find(2, "spec") == 2


def test_json_has_lines_too() -> None:
    assert Lines('{\n "kind": "x",\n "spec": {\n  "stages": []}}').find(1, "spec.stages") == 4


@pytest.mark.parametrize("text", ["a: [", "\ta: 1", "kind: x\n" + "# …\n" * 2**18], ids=["no YAML", "a tab", "long"])
def test_what_cannot_be_looked_through_has_the_documents_line(text: str) -> None:
    assert Lines(text).find(1, "a") == 1
