"""The reference pages say what models, conditions and tests say: tables, reasons, links."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from lab import yaml
from pipesegment import cloudcontrol, cloudwork, names
from pipesegment.reach import judging
from pipesegment.report import cloud, conditions, owners
from pipesegment.report import exceptions as report_exceptions
from pipesegment.report.findings import CONFORMING_FALSE, READY_FALSE
from pipesegment.spec.base import Model
from pipesegment.spec.crd import MODELS, crds
from pipesegment.spec.documents import validate
from pipesegment.spec.reference import fields, rendered, sections, slug
from pipesegment.spec.status import Reason
from pipesegment.spec.unsupported import not_yet_supported
from tests.unit.spec.docs_pages import DOCS, ROOT, headings, links, part, tables

SPEC = DOCS / "spec" / "v1alpha1"
PAGES = {page.name: page.read_text() for page in sorted(SPEC.glob("*.md"))}
OF_KIND = {kind: f"{kind.lower()}.md" for kind in names.KINDS}
SEGMENT, GRANT, CLASS = (PAGES[OF_KIND[kind]] for kind in (names.SEGMENT, names.GRANT, names.CLASS))
NOT_READY = (DOCS / "how-to" / "when-a-segment-is-not-ready.md").read_text()
SEMANTICS = (DOCS / "semantics.md").read_text()
ROOTS = tuple(model for models in MODELS.values() for model in (models.spec, models.status))
EXAMPLE = Path(__file__).with_name("full_example.yaml").read_text().replace("2030-01-31", "'2030-01-31'")
FULL = list(yaml.safe_load_all(EXAMPLE))
EVERY_PAGE = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])


def reachable(model: type[Model]) -> set[type[Model]]:
    """A model and all that it holds."""
    found = {model}
    for field in fields(model, {}):
        found |= {field.model} | ({field.inner} if field.inner else set())
    return found


def reasons(text: str, heading: str) -> dict[str, set[str]]:
    """status -> the reasons that the table under a heading has for it."""
    (table,) = tables(part(text, heading))
    return {
        status: {row["reason"].strip("`") for row in table if row["status"] == status} for status in ("True", "False")
    }


def named(module, *functions: str) -> set[str]:
    """Every Reason that these functions of a module name in their source."""
    tree = ast.parse(Path(module.__file__).read_text())
    found = set()
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in functions):
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
                found.add(Reason[node.attr].value)
    assert found
    return found


def validations(node):
    """Every rule of a schema."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = node.get("x-kubernetes-validations", []) if isinstance(node, dict) else []
    return [*own, *(rule for part in parts for rule in validations(part))]


def test_the_tables_are_what_the_models_say():
    assert rendered(PAGES) == PAGES, "run `python -m pipesegment.spec.reference docs/spec/v1alpha1`"


@pytest.mark.parametrize("root", ROOTS, ids=lambda model: model.__name__)
def test_every_field_stands_in_a_table(root):
    known = sections(PAGES)
    shown = {(field.model, field.info.description) for model in known for field in fields(model, known)}
    has = {(model, info.description) for model in reachable(root) for info in model.model_fields.values()}

    assert has - shown == set()


def test_every_rule_stands_in_a_table():
    text = "\n".join(PAGES.values()).replace("&lt;", "<").replace("\\|", "|")
    rules = {rule.message for root in ROOTS for model in reachable(root) for rule in model.rules}
    rules |= {rule["message"] for rule in validations(crds())}

    assert {rule for rule in rules if f" | {rule} |" not in text} == set()


def test_a_table_that_the_models_do_not_have_is_refused():
    with pytest.raises(ValueError, match="PipelineSegment has no object"):
        rendered({"a.md": "# A\n<!-- fields PipelineSegment spec.stage -->\n<!-- end -->\n"})


def test_of_two_tables_for_one_model_the_second_is_refused():
    ports = "# A\n<!-- fields PipelineSegment spec.stages[].{}[].ports[] -->\n<!-- end -->\n"

    with pytest.raises(ValueError, match="has its table in"):
        rendered({"a.md": ports.format("reaches"), "b.md": ports.format("accepts")})


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_the_same_order(page):
    kind = next(kind for kind, name in OF_KIND.items() if name == page)
    found = [
        heading
        for heading in headings(PAGES[page])
        if re.search(rf"^#+ {re.escape(heading)}$", PAGES[page], re.MULTILINE)[0].count("#") <= 2
    ]

    assert found == [kind, "Example", "Writing a spec", f"Working with a {kind}", "Status"]


@pytest.mark.parametrize("document", FULL, ids=lambda document: document["metadata"]["name"])
def test_every_field_that_is_not_supported_yet_is_listed(document):
    kind = document["kind"]
    page = PAGES[OF_KIND[kind]]
    listed = re.findall(r"`(spec[^`:]*)", part(page, "Not in this version")) if "Not in this version" in page else []
    refused = not_yet_supported(kind, validate(document["spec"], MODELS[kind].spec))

    assert {re.sub(r"\d+", "", refusal.path) for refusal in refused} <= set(listed)


def test_ready_has_every_reason_in_the_order_of_the_code():
    ready = reasons(SEGMENT, "Ready")
    (table,) = tables(part(SEGMENT, "Ready"))

    assert [row["reason"].strip("`") for row in table if row["status"] == "False"] == [r.value for r in READY_FALSE]
    assert ready["True"] == named(conditions, "_ready") - {r.value for r in READY_FALSE}


@pytest.mark.parametrize(
    ("heading", "functions", "later"),
    [
        ("Exact", ("_exact",), set()),
        ("NetworkReady", ("_part", "_waiting"), set()),
        ("Reconciling", ("_abnormal",), set()),
        ("GatesOpen", ("_parts",), {"GateClosed"}),
        ("Stalled", ("_stalled",), {"AmbiguousClass", "ClassLost"}),
    ],
)
def test_a_condition_has_every_reason(heading, functions, later):
    shown = reasons(SEGMENT, heading)
    given = named(conditions, *functions)
    if heading == "NetworkReady":
        given -= reasons(SEGMENT, "MeshReady")["False"]
    if heading == "Stalled":
        # Told as Invalid, for one look; the class's own two come from `reach`.
        given -= {"NotYetSupported", "Unresolved"}

    assert shown["True"] | shown["False"] == given | later


def test_cloud_ready_has_every_reason():
    shown = reasons(SEGMENT, "CloudReady")

    in_aws = named(cloud, "verdict") | named(cloudwork, "_trouble", "_elsewhere", "_off")
    assert shown["True"] | shown["False"] == in_aws | named(cloudcontrol, "_missing", "_told")


def test_conforming_has_every_reason():
    shown = reasons(SEGMENT, "Conforming")

    assert shown["False"] == {reason.value for reason in CONFORMING_FALSE}
    assert shown["True"] == named(conditions, "_conforming")


def test_exceptions_and_approvals_have_every_reason():
    said = named(report_exceptions, "_told", "approval_status") | named(owners, "_refused")
    by_judges = set(re.findall(r'"([A-Z]\w+)", "([A-Z]\w+)", ', inspect.getsource(judging)))
    shown = [reasons(PAGES[OF_KIND[kind]], "Ready") for kind in (names.EXCEPTION, names.APPROVAL)]
    told = set().union(*(each[status] for each in shown for status in each))

    assert {reason for _, reason in by_judges} - {"Refused"} | said - {"NotYetSupported"} | {
        "Suspended",
        "AmbiguousClass",
        "ClassLost",
    } == told


@pytest.mark.parametrize(("page", "function"), [(GRANT, "_grant_ready"), (CLASS, "_class_ready")])
def test_grants_and_classes_have_every_reason(page, function):
    shown = reasons(page, "Ready")
    stalled = named(owners, "_settled") & (shown["True"] | shown["False"])

    assert shown["True"] | shown["False"] == named(owners, function, "_refused")
    assert reasons(page, "Stalled")["True"] == stalled - {"NotYetSupported"}


def test_no_reason_of_the_code_is_left_out():
    told = {
        row["reason"].strip("`")
        for text in PAGES.values()
        for table in tables(part(text, "Status"))
        for row in table
        if "reason" in row
    }

    assert told == {reason.value for reason in Reason}


def test_every_condition_of_every_golden_case_is_explained():
    seen = set()
    for case in sorted((ROOT / "tests" / "golden" / "cases").glob("*.out.yaml")):
        for status in (yaml.safe_load(case.read_text()).get("status") or {}).values():
            # Of an exception its phase is shown, not its conditions.
            seen |= {tuple(line.split(":")[0].split()) for line in status.get("conditions", ())}
    like = {"IdentityReady": ("NetworkReady",), "MeshReady": ("MeshReady", "NetworkReady")}
    told = {
        (kind, status, reason)
        for kind in {kind for kind, _, _ in seen}
        for heading in like.get(kind, (kind,))
        for status, found in reasons(SEGMENT, heading).items()
        for reason in found
    }

    assert len(seen) > 20
    assert seen - told == set()


def test_the_help_for_segments_that_are_not_ready_has_every_reason():
    ready, stalled = (tables(part(NOT_READY, heading))[0] for heading in ("Reasons of Ready", "Reasons of Stalled"))

    assert [row["reason"].strip("`") for row in ready] == [reason.value for reason in READY_FALSE]
    assert {row["reason"].strip("`") for row in stalled} == reasons(SEGMENT, "Stalled")["True"]
    assert all(row["meaning"] and row["fix"] for row in (*ready, *stalled))


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    broken = []
    for _, target in links(page.read_text()):
        if re.match(r"\w+://", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        anchors = [slug(heading) for heading in headings(there.read_text())] if there.suffix == ".md" else []
        if not there.exists() or (anchor and anchors.count(anchor) != 1):
            broken.append(target)

    assert broken == []


def test_every_claim_names_a_test_that_exists():
    claims = re.findall(r"^- .*\n(?:  .*\n)*", SEMANTICS, re.MULTILINE)
    without = [claim for claim in claims if not any("tests/" in target for _, target in links(claim))]
    cases = [(text, Path(target)) for text, target in links(SEMANTICS) if "/golden/" in target]

    assert len(claims) > 60
    assert without == []
    assert [text for text, case in cases if f"{text.replace(' ', '-')}.in.yaml" != case.name] == []
