"""What the benchmark has to know of an operator: read from a YAML file, so that any other can be put beside ours."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


@dataclass(frozen=True)
class Adapter:
    """One operator. See bench/adapters/pipesegment.yaml for what each field means."""

    name: str
    crds: list[str]
    command: list[str]
    environment: dict[str, str]
    selector: str
    per_namespace: int
    setup: list[Object]
    surroundings: list[Object]
    resource: Object
    change: Object
    istio: bool = False

    @classmethod
    def read(cls, path: Path) -> "Adapter":
        """Read an adapter file."""
        return cls(**yaml.safe_load(path.read_text()))

    def namespace(self, number: int) -> str:
        """Name the namespace of a resource."""
        return f"bench-{number // self.per_namespace}"

    def make(self, template: Any, number: int, **more: Any) -> Any:
        """Fill a template in. A string that is only `{value}` becomes the value itself."""
        return _filled(template, {"n": number, "namespace": self.namespace(number), **more})

    def argv(self, kubeconfig: Path) -> list[str]:
        """Give the operator's command line."""
        return [part.format(python=sys.executable, kubeconfig=kubeconfig) for part in self.command]

    def definitions(self) -> list[Object]:
        """Give the CRDs to install."""
        files = [f for c in self.crds for f in (sorted(Path(c).glob("*.yaml")) if Path(c).is_dir() else [Path(c)])]
        return [d for f in files for d in yaml.safe_load_all(f.read_text()) if d]


def _filled(template: Any, values: dict[str, Any]) -> Any:
    if isinstance(template, dict):
        return {key: _filled(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [_filled(item, values) for item in template]
    if isinstance(template, str):
        if template.startswith("{") and template.endswith("}") and template[1:-1] in values:
            value = values[template[1:-1]]
            return value if template == "{value}" else str(value)
        for key, value in values.items():
            template = template.replace("{" + key + "}", str(value))
    return json.loads(json.dumps(template))
