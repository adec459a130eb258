"""How long one resolve keeps the event loop, when the author of a segment means to keep it.

Nothing is awaited between a Snapshot and its Reach, so whoever makes a resolve long delays everybody. Each shape is a
segment at the schema's bounds, in a namespace whose neighbours it may touch. No control plane is needed. Times are of the processor.

    python -m bench.hostile [--neighbours 300] [--limit 60] [shape…]
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.facts.parse import snapshot
from pipesegment.reach.resolve import resolve

Json = dict[str, Any]

_STAGES: Final = 64
_ENTRIES: Final = 64
_NAMESPACE: Final = "ci-shop"
_OLD, _NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
_PORT: Final = [{"port": 8443}]


def _segment(name: str, stages: list[Json], created: str = _NEW, **spec: Any) -> Json:
    return {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": {"name": name, "namespace": _NAMESPACE, "uid": name, "creationTimestamp": created},
        "spec": {"stages": stages, **spec},
    }


def _stages(one: Callable[[int], Json], count: int = _STAGES) -> list[Json]:
    return [{"name": f"s{i}", **one(i)} for i in range(count)]


def _in(key: str, values: Iterator[str] | list[str], operator: str = "In") -> Json:
    return {"key": key, "operator": operator, "values": list(values)}


def _wide(i: int, operator: str = "In") -> Json:
    """Give a selector of 15 long lists that says whose stage it is only in its last line."""
    lists = [_in(f"k{k:02}", [f"v{v}" for v in range(64)], operator) for k in range(15)]
    return {"matchExpressions": [*lists, _in("zz", [f"s{i}"])]}


def _others(count: int, one: Callable[[int, int], Json], stages: int = 3, created: str = _OLD) -> list[Json]:
    return [_segment(f"n{n}", _stages(lambda i, n=n: one(n, i), stages), created) for n in range(count)]  # type: ignore[misc] # n is bound at once


def _plain(_n: int, _i: int) -> Json:
    return {}


def _pods(count: int) -> list[Json]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"p{i}",
                "namespace": _NAMESPACE,
                "labels": {"app": f"a{i % 64}", "tier": "web", **{f"k{k:02}": f"v{i % 64}" for k in range(15)}},
            },
            "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": "Running", "podIP": f"10.0.{i // 250}.{i % 250 + 1}"},
        }
        for i in range(count)
    ]


def _class(**spec: Any) -> Json:
    return {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentClass", "metadata": {"name": "c"}, "spec": spec}


Shape = Callable[[int], tuple[Json, list[Json]]]


def _benign(count: int) -> tuple[Json, list[Json]]:
    """Resolve an ordinary segment beside neighbours at every bound."""
    mine = _segment("mine", _stages(lambda i: {"reaches": [{"service": {"name": "db"}}] if i else []}, 3))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db", "namespace": _NAMESPACE},
        "spec": {"selector": {"app": "db"}, "ports": [{"port": 5432}]},
    }
    return mine, [service, *_others(count, lambda n, i: {"podSelector": _wide(n * _STAGES + i)}, _STAGES), *_pods(500)]


def _large_in(count: int) -> tuple[Json, list[Json]]:
    """Tell stages apart by the last of many long lists."""
    mine = _segment("mine", _stages(lambda i: {"podSelector": _wide(i)}))
    return mine, _others(count, lambda n, i: {"podSelector": _wide(1000 + n * 64 + i)}, _STAGES)


def _not_in(count: int) -> tuple[Json, list[Json]]:
    """Say by long lists what is not meant."""
    mine = _segment("mine", _stages(lambda i: {"podSelector": _wide(i, "NotIn")}))
    return mine, _others(count, lambda n, i: {"podSelector": _wide(1000 + n * 64 + i, "NotIn")}, _STAGES)


def _overlap_all(count: int) -> tuple[Json, list[Json]]:
    """Overlap with every neighbour."""
    mine = _segment("mine", _stages(lambda i: {"podSelector": {"matchLabels": {"app": f"a{i}"}}}))
    return mine, [
        *_others(count, lambda _n, i: {"podSelector": {"matchLabels": {"app": f"a{i}"}}}, _STAGES),
        *_pods(500),
    ]


def _union_all(count: int) -> tuple[Json, list[Json]]:
    """Overlap with every neighbour, where the class restores the union."""
    mine, rest = _overlap_all(count)
    return mine, [*rest, _class(guardrails={"overlap": "Union"})]


def _reach_pods(count: int) -> tuple[Json, list[Json]]:
    """Reach pods by long lists that nobody else uses."""

    def entry(i: int, e: int) -> Json:
        selector = {"matchExpressions": [_in("app", [f"x{i}-{e}-{v}" for v in range(24)])]}
        return {"pods": {"podSelector": selector}, "ports": _PORT}

    mine = _segment("mine", _stages(lambda i: {"reaches": [entry(i, e) for e in range(_ENTRIES)]}))
    return mine, [*_others(count, _plain), *_pods(500)]


def _reach_own_pods(count: int) -> tuple[Json, list[Json]]:
    """Reach all of the own stages' pods, in ever other words."""

    def entry(i: int, e: int) -> Json:
        selector = {"matchExpressions": [{"key": "app", "operator": "Exists"}, _in("tier", [f"x{i}-{e}"], "NotIn")]}
        return {"pods": {"podSelector": selector}, "ports": [{"port": 1000 + e}]}

    def stage(i: int) -> Json:
        return {
            "podSelector": {"matchLabels": {"app": f"a{i}"}},
            "reaches": [entry(i, e) for e in range(_ENTRIES)],
            "accepts": [
                {"pods": {"podSelector": {"matchLabels": {"app": f"a{a}"}}}, "ports": _PORT} for a in range(_ENTRIES)
            ],
        }

    return _segment("mine", _stages(stage)), [*_others(count, _plain), *_pods(500)]


def _mutual_stages(count: int) -> tuple[Json, list[Json]]:
    """Have every stage reach and accept every other."""

    def stage(_i: int) -> Json:
        return {
            "reaches": [{"stage": {"name": f"s{e}"}, "ports": _PORT} for e in range(_ENTRIES)],
            "accepts": [{"stage": {"name": f"s{e}"}, "ports": _PORT} for e in range(_ENTRIES)],
        }

    return _segment("mine", _stages(stage)), _others(count, _plain)


def _accept_any(count: int) -> tuple[Json, list[Json]]:
    """Accept any stage of any segment, many of which reach here."""
    any_stage = {"stage": {"anyStage": True, "anySegment": True}}
    mine = _segment(
        "mine", _stages(lambda _: {"accepts": [{**any_stage, "ports": [{"port": 2000 + e}]} for e in range(_ENTRIES)]})
    )
    reaches = [{"stage": {"name": f"s{e}", "segment": "mine"}, "ports": [{"port": 2000 + e}]} for e in range(_ENTRIES)]
    return mine, _others(count, lambda _n, _i: {"reaches": reaches})


def _accept_pods(count: int) -> tuple[Json, list[Json]]:
    """Accept pods by selectors that hold for every neighbour's."""

    def entry(i: int, e: int) -> Json:
        exists = {"key": "pipesegment.dev/segment", "operator": "Exists"}
        return {
            "pods": {"podSelector": {"matchExpressions": [exists, _in("pipesegment.dev/stage", [f"s{i}", f"s{e}"])]}},
            "ports": [{"port": 2000 + e}],
        }

    mine = _segment("mine", _stages(lambda i: {"accepts": [entry(i, e) for e in range(_ENTRIES)]}))
    return mine, _others(
        count, lambda _n, i: {"reaches": [{"stage": {"name": f"s{i}", "segment": "mine"}, "ports": _PORT}]}
    )


SHAPES: Final[Mapping[str, Shape]] = {
    "benign": _benign,
    "large_in": _large_in,
    "not_in": _not_in,
    "overlap_all": _overlap_all,
    "union_all": _union_all,
    "reach_pods": _reach_pods,
    "reach_own_pods": _reach_own_pods,
    "mutual_stages": _mutual_stages,
    "accept_any": _accept_any,
    "accept_pods": _accept_pods,
}


def _measure(name: str, neighbours: int, out: Any) -> None:
    mine, around = SHAPES[name](neighbours)
    facts = snapshot([mine, *around, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}])
    segment = facts.segment(_NAMESPACE, "mine")
    assert segment is not None
    taken = []
    said = ""
    for _ in range(2):  # the first one derives what stays with the neighbours
        begun = time.process_time()
        try:
            reach = resolve(segment, facts)
            resolved = time.process_time()
            desired = compile_segment(reach)
            said = f"{len(desired.objects)} objects, {len(reach.findings)} findings, {len(reach.refusals)} refusals"
        except Refused as refused:
            resolved = time.process_time()
            said = str(refused)[:80]
        taken.append((resolved - begun, time.process_time() - resolved))
    out.put((taken, said))


def _row(name: str, neighbours: int, limit: float) -> str:
    out: Any = multiprocessing.Queue()
    worker = multiprocessing.Process(target=_measure, args=(name, neighbours, out), daemon=True)
    worker.start()
    try:
        taken, said = out.get(timeout=limit)
    except Exception:  # noqa: BLE001 - nothing came in time
        worker.kill()
        return f"{name:16}  more than {limit:.0f} s"
    finally:
        worker.join(1)
    first, again = taken
    return f"{name:16}  first {first[0]:7.2f} s  again {again[0]:7.2f} s  compile {again[1]:6.2f} s  {said}"


def main() -> int:
    """Measure each shape in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--neighbours", type=int, default=300)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds after which a shape is given up")
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), metavar="shape", help=", ".join(SHAPES))
    options = parser.parse_args()
    for name in options.shapes:
        print(_row(name, options.neighbours, options.limit), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
