"""CiliumNetworkPolicies as fences: the words of a rule, and a policy with other rules.

What our compilers do not write is a text of its own: it covers nothing but itself, which costs a call and never opens.
`egressDeny` is passed over: it takes away on its way what it takes away in the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.cilium import KIND, NAMESPACE_LABEL, NOBODY, SOURCE
from pipesegment.facts.selectors import Selector
from pipesegment.plan.terms import Name, Pods, Ports, Requests, Term, Text, block

__all__ = ["KIND", "peers_key", "rules", "selector", "terms", "with_rules"]

_SIDES: Final[Mapping[str, str]] = {"ingress": "from", "egress": "to"}
_PORTS: Final = "toPorts"


def selector(spec: Mapping[str, Any]) -> Selector | None:
    """Read whom a policy selects; None for labels that are not Kubernetes' own."""
    return _pods(spec.get("endpointSelector") or {})


def rules(spec: Mapping[str, Any], direction: str) -> Iterator[Mapping[str, Any]]:
    """Give the rules of a direction that let anybody through."""
    for raw in spec.get(direction) or ():
        if raw != {f"{_SIDES[direction]}Entities": [NOBODY]}:
            yield raw


def peers_key(raw: Mapping[str, Any]) -> str:
    """Name the field that lists a rule's peers; '' where there is not exactly one."""
    fields = [key for key in raw if key != _PORTS]
    return fields[0] if len(fields) == 1 and raw[fields[0]] else ""


def terms(raw: Mapping[str, Any], namespace: str) -> tuple[list[Term], list[Term]]:
    """Read a rule's peers and ports; no ports mean every port."""
    key = peers_key(raw)
    listed: list[Term] = [_peer(key, item, namespace) for item in raw[key]] if key else [_text(raw)]
    return listed, [_port(item) for item in raw.get(_PORTS) or ()]


def with_rules(spec: Mapping[str, Any], allows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Give a policy's spec other rules; a direction without any lets nobody through."""
    kept = {key: value for key, value in spec.items() if key not in _SIDES}
    for direction, found in allows.items():
        kept[direction] = list(found) or [{f"{_SIDES[direction]}Entities": [NOBODY]}]
    return kept


def _peer(key: str, raw: Any, namespace: str) -> Term:
    match key.removeprefix("from").removeprefix("to"):
        case "Endpoints":
            there = (raw.get("matchLabels") or {}).get(NAMESPACE_LABEL, namespace)
            pods = _pods(raw)
            return _text(raw) if pods is None else Pods(Selector.of({names.NAMESPACE_NAME_LABEL: there}), pods)
        case "CIDRSet" if "cidr" in raw:
            return block(raw)
        case "FQDNs" if "matchName" in raw:
            return Name(raw["matchName"])
        case "FQDNs" if raw.get("matchPattern", "").startswith("**."):
            return Name(raw["matchPattern"][1:])
        case _:
            return _text({key: raw})


def _pods(raw: Mapping[str, Any]) -> Selector | None:
    labels = {key: value for key, value in (raw.get("matchLabels") or {}).items() if key != NAMESPACE_LABEL}
    expressions = raw.get("matchExpressions") or ()
    if not all(key.startswith(SOURCE) for key in (*labels, *(e["key"] for e in expressions))):
        return None
    return Selector.parse(
        {
            "matchLabels": {key.removeprefix(SOURCE): value for key, value in labels.items()},
            "matchExpressions": [{**e, "key": e["key"].removeprefix(SOURCE)} for e in expressions],
        }
    )


def _port(raw: Mapping[str, Any]) -> Term:
    listed = raw.get("ports") or []
    if len(listed) != 1 or raw.keys() - {"ports", "rules"} or listed[0].get("protocol") not in {"TCP", "UDP", "SCTP"}:
        return _text(raw)
    (port,) = listed
    number = int(port["port"]) if port["port"].isdigit() else -1
    name = "" if number >= 0 else port["port"]
    found = Ports(port["protocol"], number, port.get("endPort") or number, name)
    return Requests(found, _text(raw["rules"]).text) if raw.get("rules") else found


def _text(raw: Any) -> Text:
    return Text(canonical_bytes(raw).decode())
