"""GitLab Runner: one manager per stage; its `config.toml` names the account, and lets no job change it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipesegment.errors import Refused
from pipesegment.findings import Finding
from pipesegment.wire.given import Given
from pipesegment.wire.values import (
    Piece,
    Pods,
    Wiring,
    account_lacks,
    label_lacks,
    lack,
    listing,
    mapping,
    stranger,
    under,
)

#: Settings that would let a job choose its own account, labels or namespace; each must be empty or false.
_OVERWRITES: Final = (
    "service_account_overwrite_allowed",
    "pod_labels_overwrite_allowed",
    "namespace_overwrite_allowed",
    "bearer_token_overwrite_allowed",
    "namespace_per_job",
)


def pieces(_wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give one `[[runners]]` per manager."""
    blocks = [_block(manager, pods) for pods in stages for manager in _managers(pods)]
    notes = (
        "One [[runners]] a manager; keep its url, token and the rest as they are.",
        "A stage's jobs choose their manager by tags: let protected stages run on protected runners only.",
    )
    yield Piece("config.toml of the runner managers", "toml", "\n\n".join(blocks), notes)


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check a config.toml, or the values of the runner's Helm chart that hold one under `runners.config`."""
    runners = {str(mapping(r).get("name")): (n, mapping(r)) for n, r in enumerate(listing(_toml(given).get("runners")))}
    named = set()
    for pods in stages:
        managers = _managers(pods)
        named |= set(managers)
        for manager in managers:
            if manager not in runners:
                yield lack(
                    pods, "runners", f"there is no manager {manager}", f'add [[runners]] with name = "{manager}"'
                )
                continue
            number, runner = runners[manager]
            yield from _runner_lacks(pods, f"runners[{number}].kubernetes", mapping(runner.get("kubernetes")))
    for name, (number, runner) in runners.items():
        if name not in named and runner.get("executor") == "kubernetes":
            yield stranger(f"runners[{number}]", "manager", name, closed=True)


def _runner_lacks(pods: Pods, path: str, settings: Mapping[str, Any]) -> Iterator[Finding]:
    yield from account_lacks(pods, f"{path}.service_account", settings.get("service_account"))
    yield from label_lacks(pods, f"{path}.pod_labels", settings.get("pod_labels"))
    if settings.get("namespace") != pods.namespace:
        found = settings.get("namespace")
        message = f"jobs run in namespace {found!r}, the segment is in {pods.namespace}"
        yield lack(pods, f"{path}.namespace", message, f'set namespace = "{pods.namespace}"')
    for setting in _OVERWRITES:
        if settings.get(setting):
            yield lack(pods, f"{path}.{setting}", "a job may change what it runs as", f"remove {setting}")


def _block(manager: str, pods: Pods) -> str:
    lines = [
        "[[runners]]",
        f"  name = {_text(manager)}",
        '  executor = "kubernetes"',
        "  [runners.kubernetes]",
        f"    namespace = {_text(pods.namespace)}",
        f"    service_account = {_text(pods.account)}",
        f"    automount_service_account_token = {'true' if pods.automount else 'false'}",
        *(f"    {setting} = {'false' if _is_flag(setting) else _text('')}" for setting in _OVERWRITES),
    ]
    if pods.own:
        lines.append("    [runners.kubernetes.pod_labels]")
        lines += [f"      {_text(key)} = {_text(value)}" for key, value in pods.labels.items()]
    return "\n".join(lines)


def _toml(given: Given) -> Mapping[str, Any]:
    try:
        return given.toml()
    except Refused:
        for doc in given.documents():
            config = under(doc, "runners", "config")
            if isinstance(config, str):
                return Given(f"{given.name}: runners.config", config).toml()
        raise


def _managers(pods: Pods) -> tuple[str, ...]:
    return (pods.engine.managers if pods.engine else ()) or (pods.stage,)


def _is_flag(setting: str) -> bool:
    return setting in {"bearer_token_overwrite_allowed", "namespace_per_job"}


def _text(value: str) -> str:
    # A JSON string of legal names is a TOML basic string.
    return json.dumps(value)
