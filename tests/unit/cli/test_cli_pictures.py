"""Pictures: what is in them, and that no name can break out of any drawing language."""

import re
import xml.etree.ElementTree as ET

import pytest

from pipesegment.cli import dot, mermaid, svg
from pipesegment.cli.layout import lay_out
from pipesegment.cli.picture import Arrow, Box, Picture, draw
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Finding
from pipesegment.reach.edges import Edge, Mesh, Mode, PodPeer, PortRange, StageKey, Target
from pipesegment.reach.governance import DEFAULTS
from pipesegment.reach.graph import Account, Governance, Reach, RunnerReach, StageReach

PEERS = (PodPeer("ci", Selector.of({"a": "b"})),)


def edge(target: Target, described: str, because: str, *, direction="egress", is_open=True) -> Edge:
    ports = (PortRange("TCP", 443), PortRange("UDP", 500, 600))
    return Edge(because, direction, target, described, open=is_open, peers=PEERS, ports=ports)


def stage(name: str, *, index=0, segment="shop", egress=(), ingress=(), **more) -> StageReach:
    account = Account(f"{segment}-{name}", create=True, automount=False)
    key = StageKey("ci", segment, name)
    path = f"spec.stages[{index}]"
    return StageReach(key, path, Selector.of({"s": name}), Mode.ENFORCE, Mesh.NONE, account, egress, ingress, **more)


def reach(*stages: StageReach, segment="shop") -> Reach:
    return Reach(Key("ci", segment), "", Governance("", "", DEFAULTS), stages)


def arrows(picture: Picture) -> set[tuple[str, str, str, str]]:
    labels = {box.id: box.label for box in picture.boxes}
    return {(labels[a.source], labels[a.target], a.label, a.reason) for a in picture.arrows}


PORTS = "TCP/443, UDP/500-600"


def test_a_way_between_stages_is_drawn_once() -> None:
    build = stage("build", egress=(edge(Target.STAGE, "stage cache", "r"),))
    cache = stage("cache", index=1, ingress=(edge(Target.STAGE, "stage build", "accepts", direction="ingress"),))

    picture = draw([(reach(build, cache), ())])

    assert arrows(picture) == {("build", "cache", PORTS, "")}
    assert [a.because for a in picture.arrows] == ["r"]


def test_sources_and_targets_have_boxes_of_their_own() -> None:
    build = stage(
        "build",
        egress=(edge(Target.INTERNET, "internet", "r0"),),
        ingress=(edge(Target.CIDR, "cidr 10.0.0.0/8", "a0", direction="ingress"),),
    )

    picture = draw([(reach(build), ())])

    assert arrows(picture) == {("build", "internet", PORTS, ""), ("cidr 10.0.0.0/8", "build", PORTS, "")}
    assert [box.kind for box in picture.boxes] == ["stage", "target", "source"]


def test_closed_ways_carry_the_reason_of_their_finding() -> None:
    build = stage(
        "build",
        egress=(
            edge(Target.SERVICE, "service ci/gone", "r0", is_open=False),
            edge(Target.STAGE, "stage ci/pay/x", "r1", is_open=False),
            edge(Target.PODS, "pods", "r2", is_open=False),
            edge(Target.CIDR, "cidr", "r3"),
        ),
    )
    findings = (
        Finding("r0", "Unresolved", "x", "m", "f"),
        Finding("r1", "HalfOpen", "x", "m", "f"),
        Finding("r3", "NoService", "x", "m", "f"),
    )

    assert {(to, why) for _, to, _, why in arrows(draw([(reach(build), findings)]))} == {
        ("service ci/gone", "Unresolved"),
        ("stage ci/pay/x", "HalfOpen"),
        ("pods", "Closed"),
        ("cidr", "NoService"),
    }


def test_an_open_way_that_is_told_of_stays_open() -> None:
    build = stage("build", egress=(edge(Target.SERVICE, "service prod/api", "r0"),))

    picture = draw([(reach(build), (Finding("r0", "Ungranted", "x", "m", "f"),))])

    assert [a.open for a in picture.arrows] == [True]


def test_a_refused_stage_opens_nothing() -> None:
    build = stage("build", egress=(edge(Target.INTERNET, "internet", "r0"),), closed=True)

    picture = draw([(reach(build), (Finding("spec.stages[0]", "Overlapping", "x", "m", "f"),))])

    assert [a.reason for a in picture.arrows] == ["Overlapping"]
    assert "refused" in picture.boxes[0].note


def test_runner_pods_are_a_box_of_their_own() -> None:
    runner = RunnerReach(Selector.of({"r": "r"}), (edge(Target.KUBERNETES_API, "kubernetesAPI", "engine"),))

    picture = draw([(reach(stage("build", runner=runner)), ())])

    assert arrows(picture) == {("build (runner)", "kubernetesAPI", PORTS, "")}


def test_stages_of_two_segments_meet_in_one_picture() -> None:
    shop = reach(stage("build", egress=(edge(Target.STAGE, "stage ci/pay/db", "r"),)))
    pay = reach(
        stage("db", segment="pay", ingress=(edge(Target.STAGE, "stage ci/shop/build", "a", direction="ingress"),)),
        segment="pay",
    )

    assert arrows(draw([(shop, ()), (pay, ())])) == {("shop/build", "pay/db", PORTS, "")}


NASTY = ['"]; evil', "a<script>&", "x\\", "line\nbreak", "`#quot;", "%% --> |x|", "\x00\x1b[31m", "\\N\\l", "ü €"]


def nasty() -> Picture:
    boxes = tuple(Box(f"stage_{i}", "stage", text, text) for i, text in enumerate(NASTY))
    ways = tuple(Arrow("stage_0", b.id, b.label, b.label, b.label if i % 2 else "") for i, b in enumerate(boxes[1:]))
    return Picture(NASTY[1], boxes, ways)


def test_svg_is_xml_whatever_the_names_are() -> None:
    root = ET.fromstring(svg.render(nasty()))

    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert "a<script>&" in texts
    assert not [e for e in root.iter() if e.tag.endswith("script")]


def test_mermaid_texts_hold_no_character_with_a_meaning() -> None:
    text = mermaid.render(nasty())

    for quoted in re.findall(r'"([^"]*)"', text):
        assert re.fullmatch(r"(?:[^\W]|[ .,:/_-]|#\d+;|<br/>)*", quoted), quoted
    lines = text.splitlines()
    assert len(lines) == 1 + len(NASTY) + len(NASTY) - 1 + 3 + 1


def test_dot_strings_are_closed_and_nothing_escapes() -> None:
    text = dot.render(nasty())

    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "S", text)
    assert '"' not in bare
    assert "evil" not in bare
    assert "\\\\N" in text
    assert re.fullmatch(r"digraph S \{\n(?:  [\w \[\]=,;>-]+\n)*\}", bare)


def test_closed_ways_are_dashed_in_every_language() -> None:
    build = stage("build", egress=(edge(Target.SERVICE, "service x", "r", is_open=False),))
    picture = draw([(reach(build), ())])

    assert "-.->" in mermaid.render(picture)
    assert "linkStyle 0 stroke:#dc2626" in mermaid.render(picture)
    assert "style=dashed" in dot.render(picture)
    assert "stroke-dasharray" in svg.render(picture)


def overlapping(picture: Picture) -> list[tuple[str, str]]:
    places = list(lay_out(picture).places.items())
    return [
        (a, b)
        for i, (a, p) in enumerate(places)
        for b, q in places[i + 1 :]
        if p.x < q.x + q.width and q.x < p.x + p.width and p.y < q.y + q.height and q.y < p.y + p.height
    ]


@pytest.mark.parametrize(
    "ways",
    [
        [(0, 1), (1, 2), (2, 3)],
        [(0, 1), (1, 0)],
        [(0, 0)],
        [(0, 3), (1, 3), (2, 3), (0, 1)],
        [(0, 1), (1, 2), (2, 0)],
        [],
    ],
)
def test_boxes_never_overlap_even_in_circles(ways: list[tuple[int, int]]) -> None:
    boxes = tuple(Box(f"stage_{i}", "stage", f"stage number {i}", "account x") for i in range(4))
    targets = tuple(Box(f"target_{i}", "target", f"target {i}") for i in range(3))
    found = [Arrow(f"stage_{a}", f"stage_{b}", PORTS, "r") for a, b in ways]
    found += [Arrow(f"stage_{i}", f"target_{j}", PORTS, "r") for i in range(4) for j in range(3)]
    picture = Picture("p", (*boxes, *targets), tuple(found))

    assert overlapping(picture) == []
    assert ET.fromstring(svg.render(picture)) is not None


def test_arrows_go_around_the_boxes_of_columns_that_they_cross() -> None:
    boxes = (Box("stage_0", "stage", "a"), Box("stage_1", "stage", "b"), Box("target_0", "target", "t"))
    ways = (
        Arrow("stage_0", "stage_1", "", "r"),
        Arrow("stage_0", "target_0", "", "r"),
        Arrow("stage_1", "target_0", "", "r"),
    )
    layout = lay_out(Picture("p", boxes, ways))

    (bend,) = layout.routes[1]
    crossed = layout.places["stage_1"]
    assert bend.x == crossed.x
    assert not crossed.y <= bend.y <= crossed.y + crossed.height


def test_the_same_picture_is_the_same_bytes() -> None:
    assert svg.render(nasty()) == svg.render(nasty())
