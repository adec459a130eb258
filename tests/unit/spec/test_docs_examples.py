"""What the documentation shows is what happens: every object loads, every command prints this, every refusal reads so."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import yaml
from pipesegment import names
from pipesegment.errors import Refused
from pipesegment.spec.documents import load
from tests.unit.spec.docs_pages import DOCS, PAGES, ROOT, Said, blocks, is_offline, run, said, written

README = ROOT / "README.md"
EVERY_PAGE = sorted([*DOCS.rglob("*.md"), README])


def pages(found: list[Path]) -> Iterator[object]:
    return (pytest.param(page, id=str(page.relative_to(ROOT))) for page in found)


def ours(page: Path) -> list[dict]:
    """Every object of our group that a page shows."""
    shown = [block for block in blocks(page.read_text()) if block.language == "yaml" and block.role != "refused"]
    documents = [document for block in shown for document in yaml.safe_load_all(block.text)]
    return [d for d in documents if isinstance(d, dict) and str(d.get("apiVersion")).startswith(names.GROUP)]


@pytest.mark.parametrize("page", list(pages(EVERY_PAGE)))
def test_every_object_of_ours_is_accepted(page):
    for document in ours(page):
        load([document], page.name)


def test_objects_are_really_found():
    assert len([document for page in EVERY_PAGE for document in ours(page)]) > 15


@pytest.mark.parametrize("page", list(pages(EVERY_PAGE)))
def test_every_excerpt_stands_in_its_file(page):
    for block in blocks(page.read_text()):
        if block.role == "from":
            assert block.text in (ROOT / block.name).read_text()


@pytest.mark.parametrize("page", list(pages(PAGES)))
def test_everything_shown_is_really_said(page):
    wrong = [each for each in said(page) if not each.agrees]

    assert wrong == [], "review, and run `python -m tests.unit.spec.docs_pages`"


def test_a_difference_is_seen_and_mended(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- refused: SegmentGrant -->\n```yaml\nspec: {}\n```\n\n```text\nnothing\n```\n\n"
        "```console\n$ kubectl version\nwhatever\n$ pipesegment completion bash --nonsense   # exits 2\nUsage: of old\n```\n"
    )
    assert [each.agrees for each in said(page)] == [False, False]

    page.write_text(written(page))

    assert [each.agrees for each in said(page)] == [True, True]
    assert "spec.from: missing required field 'from': add it\n" in page.read_text()
    assert "$ kubectl version\nwhatever\n" in page.read_text()


@pytest.mark.parametrize(
    ("shown", "real", "agrees"),
    [
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a\n…\nd\n", "b\nd\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_dots_stand_for_any_lines(shown, real, agrees):
    assert Said("", shown, real, 0, 0, (0, 0)).agrees is agrees


@pytest.fixture
def readme(tmp_path, monkeypatch):
    """README's first segment in a folder of its own, beside the samples."""
    monkeypatch.chdir(tmp_path)
    segment, *_ = (block for block in blocks(README.read_text()) if block.language == "yaml")
    Path("shop.yaml").write_text(segment.text)
    Path("manifests").symlink_to(ROOT / "manifests")
    return segment.text


def test_the_commands_of_readme_run(readme):
    found = re.findall(r"^\$ (pipesegment [^&|>\n]*)", README.read_text(), re.MULTILINE)

    assert len(found) >= 5
    assert {line: run(line)[1] for line in found if is_offline(line)} == dict.fromkeys(found, 0)


def test_the_first_segment_of_readme_opens_all_that_it_declares(readme):
    out, code = run("pipesegment compile -f shop.yaml --facts manifests/samples")

    assert code == 0
    assert out.startswith("---\n"), "nothing is told"
    made = {(obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in yaml.safe_load_all(out)}
    assert made >= {("NetworkPolicy", "ci-shop", f"shop{stage}") for stage in ("", "-build", "-cache", "-deploy")}
    assert made >= {("ServiceAccount", "ci-shop", f"shop-{stage}") for stage in ("build", "cache", "deploy")}


def test_the_refusal_that_readme_shows_is_what_is_said(readme):
    (shown,) = re.findall(r"^spec\.stages.*'cash'.*$", README.read_text(), re.MULTILINE)

    with pytest.raises(Refused) as refused:
        load(readme.replace("{name: cache}", "{name: cash}"))

    assert [str(refusal) for refusal in refused.value.refusals] == [shown]


def test_the_one_warning_that_readme_leaves_is_about_who_creates_pipelineruns(readme):
    line = "pipesegment lint -f shop.yaml --facts manifests/samples"
    out, code = run(f"{line} -o json")

    assert ([finding["code"] for finding in json.loads(out)["findings"]], code) == (["PS401"], 0)
    assert run(f"{line} --strict")[1] == 1
