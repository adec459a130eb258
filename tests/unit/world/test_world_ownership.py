"""Server-side apply on plain objects: what holds for every configuration and every other manager."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment.world.ownership import applied, edited, leaves

scalars = st.integers(0, 3) | st.sampled_from(["x", "y"])
values = st.recursive(
    scalars | st.lists(scalars, max_size=2),
    lambda v: st.dictionaries(st.sampled_from("abc"), v, max_size=3),
    max_leaves=6,
)
configs = st.dictionaries(st.sampled_from(["spec", "data"]), values, min_size=1, max_size=2)


def _apply(live, config, owners, manager):
    return applied(copy.deepcopy(live), copy.deepcopy(config), owners, manager, force=True)


def _without_empty(value):
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item != {}}
    return value


def _fields(obj):
    return _without_empty({key: value for key, value in obj.items() if key not in {"apiVersion", "kind", "metadata"}})


@settings(deadline=None)
@given(configs, configs)
def test_alone_a_manager_has_exactly_what_it_applied_last(first, second):
    owners = {}
    live = _apply({"metadata": {}}, first, owners, "ours")
    live = _apply(live, second, owners, "ours")
    assert _fields(live) == _without_empty(second)


@settings(deadline=None)
@given(configs)
def test_applying_again_changes_nothing(config):
    owners = {}
    once = _apply({"metadata": {}}, config, owners, "ours")
    held = dict(owners)
    assert _apply(once, config, owners, "ours") == once
    assert owners == held


@settings(deadline=None)
@given(configs, configs)
def test_what_others_hold_and_we_do_not_name_stays(theirs, ours):
    owners = {}
    live = _apply({"metadata": {}}, theirs, owners, "theirs")
    live = _apply(live, ours, owners, "ours")
    live = _apply(live, {}, owners, "ours")
    kept = leaves(live)
    assert {path: kept[path] for path in owners["theirs"] if path in kept} == {
        path: value for path, value in leaves(theirs).items() if path in owners["theirs"] and path in kept
    }
    assert owners["ours"] == frozenset()


@settings(deadline=None)
@given(configs, configs)
def test_after_an_edit_the_editor_holds_what_it_changed_and_nobody_what_is_gone(before, after):
    owners = {}
    live = _apply({"metadata": {}}, before, owners, "ours")
    edited(live, after, owners, "editor")
    have, want = leaves(live), leaves(after)
    assert owners["editor"] == {path for path in want if have.get(path) != want[path]}
    assert owners["ours"] == {path for path in have if want.get(path) == have[path]}
