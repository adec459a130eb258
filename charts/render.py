"""Bring the chart's copies up to date: `python charts/render.py`, or `make chart`.

crds/                 is copied to  charts/pipesegment/files/crds/   byte for byte
charts/pipesegment    is rendered to  manifests/install.yaml        for people without Helm
                                      operator/pipesegment/facts/shipped.json
                                                                    by which the operator knows the policies that it believes

With `--check` nothing is written; what differs is told, and the exit code is 1.
"""
# ruff: noqa: INP001 - a script beside what it makes, not a package

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "pipesegment"
CRDS = ROOT / "crds"
CRD_COPIES = CHART / "files" / "crds"
INSTALL = ROOT / "manifests" / "install.yaml"
SHIPPED = ROOT / "operator" / "pipesegment" / "facts" / "shipped.json"
NAMESPACE = "pipesegment-system"

HEADER = """\
# The operator without Helm. The image is an example; the second line puts your own:
#   kubectl apply --server-side -f install.yaml
#   kubectl -n pipesegment-system set image deployment/pipesegment operator=registry.example.com/pipesegment/pipesegment:0.1.0
# Rendered from charts/pipesegment by `make chart`, with the chart's default values. Do not edit.
"""
#: What only means something to Helm.
HELM_LABELS = ("app.kubernetes.io/managed-by", "helm.sh/chart")
HELM_ANNOTATIONS = ("helm.sh/resource-policy",)


class RenderError(Exception):
    """The chart cannot be rendered; the message says why."""


def crd_copies() -> dict[Path, bytes]:
    """Give every file of the chart's files/crds as it has to be."""
    return {CRD_COPIES / source.name: source.read_bytes() for source in sorted(CRDS.glob("*.yaml"))}


def install_objects(helm: Path) -> list[dict[str, Any]]:
    """Render the objects of install.yaml from the chart: the namespace, then what Helm would install, in its order."""
    command = [str(helm), "template", "pipesegment", str(CHART), "--namespace", NAMESPACE]
    reply = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - constants of this file
    if reply.returncode != 0:
        raise RenderError(f"helm cannot render {CHART.relative_to(ROOT)}: {reply.stderr.strip()}")
    return [_namespace(), *(without_helm(obj) for obj in yaml.safe_load_all(reply.stdout) if obj)]


def install_manifest(objects: Iterable[Mapping[str, Any]]) -> str:
    """Write install.yaml."""
    documents = (yaml.safe_dump(obj, sort_keys=False, allow_unicode=True, width=120) for obj in objects)
    return HEADER + "".join(f"---\n{document}" for document in documents)


def shipped(objects: Iterable[Mapping[str, Any]]) -> str:
    """Write what the policies that hold people to who they are say, whatever the release and its account are called."""
    from pipesegment import names  # noqa: PLC0415 - see the end of this file
    from pipesegment.facts import guards  # noqa: PLC0415

    account = f"system:serviceaccount:{NAMESPACE}:{names.ADMISSION}"
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicy"}
    found = {plural: guards.plain(policies[f"{names.ADMISSION}-{plural}"]) for plural in guards.GUARDED}
    text = json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False)
    return text.replace(account, guards.OPERATOR) + "\n"


def without_helm(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Take Helm's own marks off a rendered object."""
    metadata = dict(obj["metadata"])
    for field, marks in (("labels", HELM_LABELS), ("annotations", HELM_ANNOTATIONS)):
        kept = {name: value for name, value in (metadata.pop(field, None) or {}).items() if name not in marks}
        if kept:
            metadata[field] = kept
    return {**obj, "metadata": metadata}


def stale(wanted: Mapping[Path, bytes]) -> list[Path]:
    """List the files that differ from what they have to be, or that nothing asks for any more."""
    differing = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    return differing + [path for path in sorted(CRD_COPIES.glob("*")) if path not in wanted]


def write(wanted: Mapping[Path, bytes]) -> None:
    """Write what differs, remove what nothing asks for."""
    for path in stale(wanted):
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wanted[path])
        else:
            path.unlink()
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def _namespace() -> dict[str, Any]:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description="Bring the chart's CRDs and manifests/install.yaml up to date.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when something differs")
    parser.add_argument("--helm", type=Path, help="the helm program (default: the lab's, built when it is missing)")
    arguments = parser.parse_args()
    copies = crd_copies()
    if not arguments.check:
        write(copies)
    elif different := stale(copies):
        return _differs(different)
    helm = arguments.helm or _pinned_helm()
    objects = install_objects(helm)
    wanted = {**copies, INSTALL: install_manifest(objects).encode(), SHIPPED: shipped(objects).encode()}
    if not arguments.check:
        write(wanted)
    elif different := stale(wanted):
        return _differs(different)
    return 0


def _pinned_helm() -> Path:
    """Give the lab's helm, building it when it is missing."""
    from lab.controlplane import Binaries  # noqa: PLC0415 - see the end of this file
    from lab.errors import LabError  # noqa: PLC0415

    try:
        helm = Binaries.built().helm
    except LabError as error:
        raise RenderError(f"no helm: {error}") from error
    assert helm is not None
    return helm


def _differs(paths: list[Path]) -> int:
    names = ", ".join(str(path.relative_to(ROOT)) for path in paths)
    sys.stderr.write(f"out of date: {names}: run `make chart`\n")
    return 1


if __name__ == "__main__":
    # Run as a script, the path starts at this folder, and holds neither the lab nor the operator beside it.
    sys.path[:0] = [str(ROOT), str(ROOT / "operator")]
    try:
        sys.exit(main())
    except RenderError as error:
        sys.exit(f"charts/render.py: {error}")
