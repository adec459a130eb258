"""Who is there in an emergency, and what there is to ask for, to approve and to lift; part of the scene in admission.py."""

import json
from typing import Any

from lab.controlplane import ControlPlane, EmbeddedControlPlane
from lab.controlplane.oidc import PREFIX
from pipesegment.spec.exception import spec_hash
from tests.cluster.attempts import Object, Person, Request, change, create, path

VERSION = "pipesegment.dev/v1alpha1"
ROOM = "ci-emergency"
#: Nobody has its uid.
NOBODY = "00000000-0000-4000-8000-000000000000"

#: Who signs in: (groups, ways of signing in)
_SIGNED_IN = {
    "ann": (["staff", "oncall"], ["pwd", "mfa"]),
    "ben": (["staff", "oncall"], ["pwd", "hwk"]),
    "bea": (["staff", "oncall"], ["pwd"]),
    "bo": (["staff", "oncall"], []),
    "cal": (["staff"], ["pwd", "mfa"]),
    "sue": (["staff", "security"], ["pwd"]),
}
_GROUPS = {"approverGroups": [f"{PREFIX}oncall"], "sealerGroups": [f"{PREFIX}security"]}
#: name -> breakGlass; the classes select nothing, since no operator runs: an approval names one of them.
CLASSES: dict[str, Object] = {
    "prepared": _GROUPS,
    "keyed": {**_GROUPS, "mfa": {"extraKey": "example.com/key", "values": ["yubi"]}},
    "otherwise": {**_GROUPS, "mfa": {"extraKey": "example.com/amr", "values": ["pwd"]}},
    "by-certificate": {"approverGroups": ["dev"]},
    "unprepared": {},
}
REACHES = [{"cidr": {"block": "203.0.113.7/32"}, "ports": [{"port": 443}]}]
SEALERS = _GROUPS["sealerGroups"]
#: What stands there already: name -> (effect, status)
STANDING: dict[str, tuple[str, Object]] = {
    "hotfix": ("Open", {"phase": "Pending", "sealers": SEALERS}),
    "sealed": ("Seal", {"phase": "Sealed", "sealers": SEALERS}),
    "sealed-for-good": ("Seal", {"phase": "Sealed"}),
    "sealed-nowhere": ("Seal", {"phase": "Pending", "reason": "Unresolved", "sealers": SEALERS}),
    "sealed-once": ("Seal", {"phase": "Expired", "sealers": SEALERS}),
    "unseen": ("Seal", {}),
}


def name_of(who: str) -> tuple[str, str]:
    """The username and the uid by which the API server knows somebody."""
    if who in _SIGNED_IN:
        return f"{PREFIX}{who}@example.com", f"sub-{who}@example.com"
    return who, ""


def user(who: str, uid: str | None = None) -> Object:
    username, own = name_of(who)
    wanted = own if uid is None else uid
    return {"username": username, **({"uid": wanted} if wanted else {})}


def people(plane: EmbeddedControlPlane) -> dict[str, Person]:
    """Those who sign in at an OpenID Connect issuer, with and without a second factor."""
    return {
        who: Person(plane.signed_in(f"{who}@example.com", groups=groups, amr=amr))
        for who, (groups, amr) in _SIGNED_IN.items()
    }


def exception(
    *, by: str | Object, effect: str = "Open", name: str = "attempt", namespace: str = ROOM, **metadata: Any
) -> Object:
    """An exception, for or against the stage `deploy` of `shop`."""
    opening = {"reaches": REACHES, "ticket": "INC-4711", "duration": "1h"} if effect == "Open" else {}
    return {
        "apiVersion": VERSION,
        "kind": "SegmentException",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "segment": "shop",
            "stage": "deploy",
            "effect": effect,
            "reason": "the mirror is down",
            "requestedBy": user(by) if isinstance(by, str) else by,
            **opening,
        },
    }


def approval(
    uids: dict[str, str],
    *,
    by: str | Object,
    of: str = "hotfix",
    asked: str | Object = "cal",
    cls: str = "prepared",
    namespace: str = ROOM,
    **given: Any,
) -> Object:
    """An approval of a standing exception, by the word of a class."""
    return {
        "apiVersion": VERSION,
        "kind": "SegmentApproval",
        "metadata": {"name": "attempt", "namespace": namespace},
        "spec": {
            "exception": {
                "name": of,
                "uid": uids.get(of, NOBODY),
                "specHash": spec_hash(exception(by="cal")["spec"]),
                "requestedBy": user(asked) if isinstance(asked, str) else asked,
            },
            "class": {"name": cls, "uid": uids.get(cls, NOBODY)},
            "approvedBy": user(by) if isinstance(by, str) else by,
            **given,
        },
    }


def take_all(namespace: str = ROOM) -> Request:
    """Delete every exception of a namespace at once."""
    return Request("DELETE", path("SegmentException", namespace))


def prepare(plane: ControlPlane, admin: Person, operator: Person, uids: dict[str, str]) -> None:
    """Make classes and exceptions, these with what the operator would have said of them."""
    admin.does(create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ROOM}}))
    make_classes(admin)
    for name, (effect, status) in STANDING.items():
        admin.does(create(exception(by="cal", effect=effect, name=name)))
        if status:
            operator.does(change("SegmentException", ROOM, name, {"status": status}, "status"))
    note_uids(plane, uids)


def make_classes(admin: Person) -> None:
    """Make the classes."""
    for name, break_glass in CLASSES.items():
        nowhere = {"matchLabels": {"lab.example.com/nowhere": name}}
        spec = {"namespaceSelector": nowhere, **({"breakGlass": break_glass} if break_glass else {})}
        admin.does(create({"apiVersion": VERSION, "kind": "SegmentClass", "metadata": {"name": name}, "spec": spec}))


def note_uids(plane: ControlPlane, uids: dict[str, str]) -> None:
    """Fill in the uids of classes and exceptions."""
    for kind in ("segmentclasses", "segmentexceptions"):
        found = json.loads(plane.kubectl("get", kind, "--all-namespaces", "--output=json"))["items"]
        uids |= {obj["metadata"]["name"]: obj["metadata"]["uid"] for obj in found}
