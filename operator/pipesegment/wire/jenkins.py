"""Jenkins: a stage is a pod only when it has an agent of its own; a static label and the account go into that agent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from pipesegment.findings import Finding
from pipesegment.wire.given import Given
from pipesegment.wire.values import (
    Piece,
    Pods,
    Wiring,
    account_lacks,
    document,
    label_lacks,
    lack,
    mapping,
    stranger,
    under,
)

_AGENT: Final = re.compile(r"\bkubernetes\s*\{")
_LABEL: Final = re.compile(r"\blabel\s*[:(]?\s*(['\"])(.*?)\1")
_ACCOUNT: Final = re.compile(r"\bserviceAccount\s*[:(]?\s*(['\"])(.*?)\1")
_YAML: Final = re.compile(r"\byaml\s*[:(]?\s*('''|\"\"\")(.*?)\1", re.DOTALL)
_TEXTS: Final = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|\"[^\"\n]*\"", re.DOTALL)


def pieces(_wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give a declarative pipeline whose stages have agents of their own."""
    notes = (
        "Each stage needs an agent of its own: containers of one pod share its network and its account.",
        "Keep your containers and steps; a label that is made for each build could not be selected.",
    )
    body = "\n".join(_stage(pods) for pods in stages)
    yield Piece("Jenkinsfile", "groovy", f"pipeline {{\n  agent none\n  stages {{\n{body}\n  }}\n}}", notes)


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check the `kubernetes { … }` agents of a Jenkinsfile by their labels."""
    agents = list(_agents(given.text))
    taken: set[int] = set()
    for pods in stages:
        mine = [a for a in agents if a.label in _labels(pods) or (pods.own and pods.selector.matches(a.labels))]
        taken |= {a.number for a in mine}
        if not mine:
            wanted = _labels(pods)[0] if _labels(pods) else ", ".join(f"{k}: {v}" for k, v in pods.labels.items())
            message = f"no kubernetes agent has a label of stage {pods.stage}"
            yield lack(pods, "agent.kubernetes", message, f"add an agent with the label {wanted}")
        for agent in mine:
            path = f"agent.kubernetes[{agent.number}]"
            yield from account_lacks(pods, f"{path}.yaml: spec.serviceAccountName", agent.account)
            yield from label_lacks(pods, f"{path}.yaml: metadata.labels", agent.labels)
    for agent in agents:
        if agent.number not in taken:
            yield stranger(f"agent.kubernetes[{agent.number}]", "agent", agent.label or "without a label", closed=True)


@dataclass(frozen=True, slots=True)
class _Agent:
    number: int
    label: str
    account: str
    labels: dict[str, str]


def _agents(text: str) -> Iterator[_Agent]:
    # Braces inside texts do not count: they are blanked, at equal length, before blocks are matched.
    blank = _TEXTS.sub(lambda m: " " * len(m[0]), text)
    for number, start in enumerate(_AGENT.finditer(blank)):
        block = text[start.end() : _end(blank, start.end())]
        inner = _YAML.search(block)
        pod = _pod(inner[2]) if inner else {}
        outer = _YAML.sub("", block)
        label, account = _LABEL.search(outer), _ACCOUNT.search(outer)
        named = under(pod, "spec", "serviceAccountName")
        labels = {k: str(v) for k, v in mapping(under(pod, "metadata", "labels")).items()}
        found = label[2] if label else labels.get("jenkins/label", "")
        yield _Agent(number, found, str(named or (account[2] if account else "")), labels)


def _pod(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        # Groovy may build the YAML from parts: then its labels and account cannot be read here, and are told missing.
        return {}


def _end(text: str, start: int) -> int:
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text)


def _stage(pods: Pods) -> str:
    labels = {"metadata": {"labels": pods.labels}} if pods.own else {}
    pod = document({"apiVersion": "v1", "kind": "Pod", **labels, "spec": pods.spec()}).rstrip("\n")
    static = f"          label '{_labels(pods)[0]}'\n" if _labels(pods) else ""
    return (
        f"    stage('{pods.stage}') {{\n"
        "      agent {\n"
        "        kubernetes {\n"
        f"{static}"
        f"          namespace '{pods.namespace}'\n"
        f"          yaml '''\n{pod}\n'''\n"
        "        }\n"
        "      }\n"
        "      steps {\n"
        "        checkout scm\n"
        "      }\n"
        "    }"
    )


def _labels(pods: Pods) -> tuple[str, ...]:
    return pods.engine.labels if pods.engine else ()
