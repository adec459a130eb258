"""Segments with an engine, resolved by hand: the preset's selectors, no edges."""

from collections.abc import Callable

import pytest

from lab import yaml
from pipesegment import names
from pipesegment.facts.meta import Key
from pipesegment.findings import Refusal
from pipesegment.reach.edges import Mesh, Mode, StageKey
from pipesegment.reach.engines import place
from pipesegment.reach.governance import DEFAULTS
from pipesegment.reach.graph import Account, Governance, Reach, StageReach
from pipesegment.spec.segment import PipelineSegmentSpec
from pipesegment.wire.values import Wiring, wiring

Wire = Callable[[str], Wiring]


@pytest.fixture
def wire() -> Wire:
    """Wire the segment `ci-shop/shop` with the spec that a YAML text gives."""

    def made(text: str) -> Wiring:
        spec = PipelineSegmentSpec.model_validate(yaml.safe_load(text))
        stages = []
        for index, stage in enumerate(spec.stages):
            placed = place("shop", index, spec)
            assert not isinstance(placed, Refusal), placed
            name = stage.service_account.name or names.object_name("shop", stage.name)
            account = Account(name, create=True, automount=bool(stage.service_account.automount_token))
            key = StageKey("ci-shop", "shop", stage.name)
            found = StageReach(key, f"spec.stages[{index}]", placed.selector, Mode.ENFORCE, Mesh.NONE, account)
            stages.append(found)
        return wiring(spec, Reach(Key("ci-shop", "shop"), "", Governance("", "", DEFAULTS), tuple(stages)))

    return made
