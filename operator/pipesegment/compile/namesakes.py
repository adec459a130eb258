"""Two objects of one name: the second would take the first one's place, and what the first closed would be open.

Names that are cut or suffixed hold a digest, and whoever writes the segment chooses what goes into it: a stage can be
named so that its object is called like another one's. Nothing of such a segment is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Refused
from pipesegment.findings import Refusal
from pipesegment.reach.graph import Reach

#: Kinds of the objects that share a name, by the stage that one of them is of, the stages of the others, and the name.
_Shared = dict[tuple[str, str, str], set[str]]


def refuse(reach: Reach, objects: Iterable[Object]) -> None:
    """Raise Refused when two objects of a segment have one kind, namespace and name."""
    stages: dict[ObjectID, list[str]] = defaultdict(list)
    for obj in objects:
        stages[ObjectID.of(obj)].append(obj["metadata"]["labels"].get(names.STAGE_LABEL, ""))
    shared: _Shared = defaultdict(set)
    for target, found in stages.items():
        # No stage came first, so every one of them is told.
        for index, stage in enumerate(found if len(found) > 1 else ()):
            others = sorted({*found[:index], *found[index + 1 :]})
            shared[stage, ", ".join(map(_whose, others)), target.name].add(target.kind)
    if shared:
        raise Refused(sorted(_refusals(reach, shared)))


def _refusals(reach: Reach, shared: _Shared) -> Iterator[Refusal]:
    paths = {stage.key.stage: f"{stage.path}.name" for stage in reach.stages}
    for (stage, others, name), kinds in shared.items():
        yield Refusal(
            paths.get(stage, "spec.engine"),
            f"needs an object ({', '.join(sorted(kinds))}) named like one of {others},",
            name,
            "rename the stage",
            object=str(reach.segment),
        )


def _whose(stage: str) -> str:
    """Name an object's stage; the pipeline's own policies are of none."""
    return f"stage {stage}" if stage else "the pipeline"
