"""What service accounts may do by RBAC, as far as roles and bindings are among the facts.

Rights add up: a binding of somebody else gives a stage's account what nobody declared. Only rights that lead out of the
fence are looked for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pipesegment.facts.owners import is_ours

Raw = Mapping[str, Any]

_GROUP: Final = "rbac.authorization.k8s.io"
_BINDINGS: Final = frozenset({"RoleBinding", "ClusterRoleBinding"})
_ROLES: Final = frozenset({"Role", "ClusterRole"})

EVERYTHING: Final = "may do everything"
#: What leads out of the fence, by (API group, resource, verb).
_POWERS: Final[Mapping[tuple[str, str, str], str]] = {
    ("", "secrets", "get"): "reads Secrets",
    ("", "secrets", "list"): "reads Secrets",
    ("", "secrets", "watch"): "reads Secrets",
    ("", "pods", "create"): "creates pods",
    ("apps", "deployments", "create"): "creates pods",
    ("batch", "jobs", "create"): "creates pods",
    ("", "serviceaccounts/token", "create"): "makes tokens of accounts",
    ("", "pods/exec", "create"): "enters pods",
    ("networking.k8s.io", "networkpolicies", "create"): "writes NetworkPolicies",
}
#: Of Kubernetes' own roles the rules are known without looking.
_WELL_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "cluster-admin": (EVERYTHING,),
    "admin": ("creates pods", "enters pods", "makes tokens of accounts", "reads Secrets", "writes NetworkPolicies"),
    "edit": ("creates pods", "enters pods", "makes tokens of accounts", "reads Secrets", "writes NetworkPolicies"),
}


class Power(NamedTuple):
    """Something that an account may do by a binding; `namespace` is '' when it may do so everywhere."""

    what: str
    namespace: str
    binding: str


class _Binding(NamedTuple):
    kind: str
    namespace: str
    name: str
    role: tuple[str, str, str]
    subjects: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Rights:
    """Bindings that are not ours, and the powers of the roles that are known by (kind, namespace, name)."""

    bindings: tuple[_Binding, ...] = ()
    roles: Mapping[tuple[str, str, str], tuple[str, ...]] | None = None

    def of(self, namespace: str, account: str) -> Iterator[Power]:
        """Give what an account may do; of roles that are not known, nothing."""
        for binding in self.bindings:
            if any(_means(subject, namespace, account) for subject in binding.subjects):
                where = binding.namespace if binding.kind == "RoleBinding" else ""
                title = (
                    f"{binding.kind} {binding.namespace}/{binding.name}" if where else f"{binding.kind} {binding.name}"
                )
                yield from (Power(what, where, title) for what in self._powers(binding.role))

    def _powers(self, role: tuple[str, str, str]) -> tuple[str, ...]:
        found = (self.roles or {}).get(role)
        if found is None and role[0] == "ClusterRole":
            return _WELL_KNOWN.get(role[2], ())
        return found or ()


def rights(objects: Iterable[Raw]) -> Rights:
    """Collect from plain objects."""
    bindings, roles = [], {}
    for obj in objects:
        kind = obj.get("kind")
        if not str(obj.get("apiVersion", "")).startswith(f"{_GROUP}/"):
            continue
        meta = obj.get("metadata") or {}
        scoped = str(meta.get("namespace") or "default") if kind in {"Role", "RoleBinding"} else ""
        if kind in _BINDINGS and not is_ours(obj):
            bindings.append(_binding(obj, str(kind), scoped, str(meta.get("name", ""))))
        elif kind in _ROLES:
            roles[str(kind), scoped, str(meta.get("name", ""))] = _powers_of(obj.get("rules") or ())
    return Rights(tuple(sorted(bindings)), roles)


def _binding(obj: Raw, kind: str, namespace: str, name: str) -> _Binding:
    ref = obj.get("roleRef") or {}
    role = (str(ref.get("kind", "")), namespace if ref.get("kind") == "Role" else "", str(ref.get("name", "")))
    subjects = tuple(
        (str(s.get("kind", "")), str(s.get("namespace") or ""), str(s.get("name", "")))
        for s in obj.get("subjects") or ()
    )
    return _Binding(kind, namespace, name, role, subjects)


def _powers_of(rules: Iterable[Raw]) -> tuple[str, ...]:
    found = set()
    for rule in rules:
        groups, resources, verbs = (set(rule.get(key) or ()) for key in ("apiGroups", "resources", "verbs"))
        # Rights on objects of a name do not help to create others, and are somebody's considered choice.
        if rule.get("resourceNames"):
            continue
        if "*" in groups and "*" in resources and "*" in verbs:
            found.add(EVERYTHING)
        for (group, resource, verb), power in _POWERS.items():
            if {group, "*"} & groups and _covers(resources, resource) and {verb, "*"} & verbs:
                found.add(power)
    return (EVERYTHING,) if EVERYTHING in found else tuple(sorted(found))


def _covers(resources: set[str], resource: str) -> bool:
    _, _, sub = resource.partition("/")
    return bool({resource, "*"} & resources) or (bool(sub) and f"*/{sub}" in resources)


def _means(subject: tuple[str, str, str], namespace: str, account: str) -> bool:
    kind, where, name = subject
    if kind == "ServiceAccount":
        return (where, name) == (namespace, account)
    if kind == "User":
        return name == f"system:serviceaccount:{namespace}:{account}"
    return kind == "Group" and name in {
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    }
