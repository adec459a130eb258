"""One golden case through the whole pure half, by the doors that people and the operator use.

`compile` and `lint` are run as people run them, on files. The status is what the operator would write if it had just
made every object that it may make.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from lab import yaml
from pipesegment import names
from pipesegment.cli import program
from pipesegment.cli.options import Options
from pipesegment.cli.walk import Walked, surroundings
from pipesegment.cli.walk import walk as resolved
from pipesegment.compile.desired import ObjectID
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.moments import moment
from pipesegment.facts.snapshot import Snapshot
from pipesegment.plan.changes import plan
from pipesegment.plan.order import safe_sequence
from pipesegment.plan.sequence import Restraint
from pipesegment.reach.resolve import resolve
from pipesegment.report import exceptions
from pipesegment.report.outcome import Outcome
from pipesegment.report.status import segment_status
from pipesegment.spec.status import PipelineSegmentStatus, SegmentExceptionStatus
from tests.unit.emergencies import guards

_FILES = ("-f", "given.yaml")
_NO_TIME = "2030-01-01T00:00:00Z"


def walk(case: Mapping[str, Any]) -> dict[str, Any]:
    """Take a case (`given`, `facts`) through compile, lint and report; give what each of them says."""
    runner = CliRunner()
    with _folder():
        arguments = [*_FILES, *_write(case), *(["--at", case["at"]] if "at" in case else [])]
        compiled = _run(runner, "compile", "--aws", *arguments)
        linted = _run(runner, "lint", "-o", "json", *arguments)
        found: dict[str, Any] = {"exit": compiled.exit_code, "messages": compiled.stderr.splitlines()}
        found["objects"] = [_without_hash(obj) for obj in yaml.safe_load_all(compiled.stdout) if obj]
        findings = json.loads(linted.stdout)["findings"]
        found["lint"] = [f"{f['severity']} {f['code']} {f['object']} {f['path']}" for f in findings]
        if compiled.exit_code == 0:
            found["status"] = _statuses(arguments)
    return found


def compiled(case: Mapping[str, Any]) -> tuple[str, str, int]:
    """Give what `compile` prints for a case: stdout, stderr, exit code."""
    runner = CliRunner()
    with _folder():
        done = _run(runner, "compile", *_FILES, *_write(case))
    return done.stdout, done.stderr, done.exit_code


def facts_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the surroundings of a case, with the admission policies of the chart where it says `guards`.

    These may be changed: plural -> {policy: …, binding: …}, each of which replaces fields of the spec.
    """
    if "guards" not in case:
        return list(case.get("facts") or ())
    found = guards()
    for obj in found:
        changed = case["guards"].get(obj["metadata"]["name"].rpartition("-")[2], {})
        obj["spec"] |= changed.get("binding" if obj["kind"].endswith("Binding") else "policy", {})
        del obj["metadata"]["creationTimestamp"]
    return [*(case.get("facts") or ()), *found]


@contextlib.contextmanager
def _folder() -> Iterator[None]:
    """Stand in an empty folder, so that messages name files and no folder of this machine."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def _write(case: Mapping[str, Any]) -> list[str]:
    Path("given.yaml").write_text(yaml.safe_dump_all(case["given"], sort_keys=False))
    facts = facts_of(case)
    if facts:
        Path("facts.yaml").write_text(yaml.safe_dump_all(facts, sort_keys=False))
    return ["--facts", "facts.yaml"] if facts else []


def _run(runner: CliRunner, *arguments: str) -> Result:
    # An error that nobody foresaw is for the test to show, not an exit code 1.
    return runner.invoke(program, arguments, prog_name="pipesegment", catch_exceptions=False)


def _without_hash(obj: dict[str, Any]) -> dict[str, Any]:
    annotations = obj["metadata"]["annotations"]
    assert len(annotations.pop(names.HASH_ANNOTATION)) == 16
    if not annotations:
        del obj["metadata"]["annotations"]
    return obj


def _statuses(arguments: list[str]) -> dict[str, Any]:
    facts = ("facts.yaml",) if "--facts" in arguments else ()
    at = moment(arguments[arguments.index("--at") + 1]) if "--at" in arguments else None
    options = Options(("given.yaml",), facts, "", cluster=False, context="", kubeconfig="", named=False, at=at)
    # `surroundings` tells what it reads on stderr, which `compile` has shown already.
    with click.Context(program).scope(), CliRunner().isolation():
        found = resolved(surroundings(options))
    told = {str(each.reach.segment): _status(each, found.surroundings.snapshot) for each in found.walked}
    for each in found.walked:
        told |= _exceptions(each, found.surroundings.snapshot)
    return told


def _exceptions(each: Walked, snapshot: Snapshot) -> dict[str, Any]:
    """Give the statuses of a segment's exceptions, as if every write had succeeded."""
    found = {}
    outcome = Outcome(generation=1, reach=each.reach, desired=each.desired)
    for standing in each.reach.exceptions:
        exception = snapshot.exceptions[standing.key.namespace][standing.name]
        effect = exceptions.effect(standing, outcome)
        status = exceptions.exception_status(exception, standing, effect, SegmentExceptionStatus(), _NO_TIME).wire()
        status.pop("specHash")
        (ready,) = status.pop("conditions")
        told = {key: value for key, value in status.items() if value not in (0, [])}
        found[f"SegmentException {standing.key}"] = told | {"message": ready["message"]}
    return found


def _status(each: Walked, snapshot: Snapshot) -> dict[str, Any]:
    # The operator keeps what it finds where the command line, for which nothing exists yet, opens nothing.
    reach = resolve(each.segment, snapshot)
    desired = compile_segment(reach)
    changes = plan(desired.in_cluster, {})
    restraint = Restraint.SUSPENDED if reach.suspended else Restraint.NONE
    restraint = restraint if reach.governance.known else Restraint.HELD
    sealed = frozenset(stage.key.stage for stage in reach.stages if stage.sealed)
    sequence = safe_sequence(changes, {}, (), restraint, sealed=sealed)
    outcome = Outcome(
        generation=1,
        reach=reach,
        desired=desired,
        changes=changes,
        withheld=sequence.withheld,
        done={ObjectID.of(step.object): "uid" for step in sequence.steps if step.object is not None},
    )
    status = segment_status(outcome, PipelineSegmentStatus(), _NO_TIME).wire()
    stages = status.pop("stages")
    conditions = status.pop("conditions")
    for part in ("inventory", "observedGeneration", *(name for name in ("gaps", "hostNames") if not status[name])):
        status.pop(part, None)
    summary = ", ".join(f"{key} {value}" for key, value in status.pop("summary").items())
    return {
        "summary": summary,
        "stages": {s.pop("name"): ", ".join(f"{key} {value}" for key, value in s.items()) for s in stages},
        **status,
        "conditions": [f"{c['type']} {c['status']} {c['reason']}: {c['message']}" for c in conditions],
    }
