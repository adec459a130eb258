"""Exceptions and approvals: what people try, on a real API server, some of them signed in with a second factor.

No operator runs here. A verdict is `Deny <policy>` or `Allow`; whatever passes, the operator looks at again.
"""

from collections.abc import Callable

import pytest

from lab.controlplane.oidc import EXTRA_KEY
from tests.cluster import admission, emergencies
from tests.cluster.admission import Scene
from tests.cluster.attempts import Object, Request, change, create, delete, marked
from tests.cluster.emergencies import NOBODY, ROOM, approval, exception, take_all, user
from tests.cluster.operator import USER

ASKS, APPROVES = "Deny segmentexceptions", "Deny segmentapprovals"
OWNER = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "mine", "uid": NOBODY}]

Attempt = Request | Callable[[dict[str, str]], Request]


def approve(**given: object) -> Callable[[dict[str, str]], Request]:
    return lambda uids: create(approval(uids, **given))  # type: ignore[arg-type]


def says(name: str, **status: object) -> Request:
    return change("SegmentException", ROOM, name, {"status": status}, "status")


def owned(name: str) -> Request:
    return change("SegmentException", ROOM, name, {"metadata": {"ownerReferences": OWNER}})


ANOTHER: Object = user("ann", uid="sub-else")
ANNS_UID: Object = {"username": "oidc:old-name@example.com", "uid": "sub-ann@example.com"}

#: what is tried -> (who, what, verdict)
ATTEMPTS: dict[str, tuple[str, Attempt, str]] = {
    # Asking.
    "asking": ("cal", create(exception(by="cal")), "Allow"),
    "asking without a second factor": ("bo", create(exception(by="bo")), "Allow"),
    "asking as a user with a certificate": ("alice", create(exception(by="alice")), "Allow"),
    "asking in another's name": ("cal", create(exception(by="ann")), ASKS),
    "asking in one's own name with another's uid": ("ann", create(exception(by=ANOTHER)), ASKS),
    "asking in one's own name without one's uid": ("ann", create(exception(by=user("ann", uid=""))), ASKS),
    "asking with a uid that one does not have": ("alice", create(exception(by=user("alice", uid="1"))), ASKS),
    "asking in another's name as a cluster administrator": ("root", create(exception(by="ann")), ASKS),
    "asking in another's name in the operator's namespace": (
        "alice",
        create(exception(by="ann", namespace="pipesegment-system")),
        ASKS,
    ),
    "asking in another's name in kube-system": ("alice", create(exception(by="ann", namespace="kube-system")), ASKS),
    "asking as a service account": (
        "bot",
        create(exception(by={"username": "system:serviceaccount:quiet:bot"})),
        ASKS,
    ),
    "asking with an owner": ("cal", create(exception(by="cal", ownerReferences=OWNER)), ASKS),
    "sealing": ("cal", create(exception(by="cal", effect="Seal")), "Allow"),
    "sealing in another's name": ("cal", create(exception(by="ann", effect="Seal")), ASKS),
    "sealing with an owner that one may delete": (
        "cal",
        create(exception(by="cal", effect="Seal", ownerReferences=OWNER)),
        ASKS,
    ),
    "an owner for a seal": ("alice", owned("sealed"), ASKS),
    "an owner for a seal by a cluster administrator": ("root", owned("sealed"), ASKS),
    "a mark on an exception": ("cal", marked("SegmentException", ROOM, "hotfix", {"a": "b"}), "Allow"),
    # Status.
    "a status that says that somebody may lift": ("cal", says("sealed", sealers=["oidc:staff"]), ASKS),
    "a status that says that it is over": ("alice", says("sealed", phase="Expired"), ASKS),
    "a status by a cluster administrator": ("root", says("hotfix", phase="Open"), ASKS),
    "a status by the operator": ("operator", says("hotfix", phase="Open"), "Allow"),
    "an exception by the operator": ("operator", create(exception(by=USER)), ASKS),
    # Taking back.
    "taking an exception back": ("cal", delete("SegmentException", ROOM, "hotfix"), "Allow"),
    "closing what somebody else asked for": ("alice", delete("SegmentException", ROOM, "hotfix"), "Allow"),
    "lifting a seal": ("sue", delete("SegmentException", ROOM, "sealed"), "Allow"),
    "lifting a seal by whoever set it": ("cal", delete("SegmentException", ROOM, "sealed"), ASKS),
    "lifting a seal by an approver": ("ann", delete("SegmentException", ROOM, "sealed"), ASKS),
    "lifting a seal by a user with a certificate": ("alice", delete("SegmentException", ROOM, "sealed"), ASKS),
    "lifting a seal by a service account": ("bot", delete("SegmentException", ROOM, "sealed"), ASKS),
    "lifting a seal by the operator": ("operator", delete("SegmentException", ROOM, "sealed"), ASKS),
    "lifting everything at once": ("cal", take_all(), ASKS),
    "lifting a seal where no class says who may": ("sue", delete("SegmentException", ROOM, "sealed-for-good"), ASKS),
    "lifting a seal of a stage that is not there": ("cal", delete("SegmentException", ROOM, "sealed-nowhere"), ASKS),
    "lifting a seal that the operator has not seen": ("sue", delete("SegmentException", ROOM, "unseen"), ASKS),
    "tidying up a seal that is over": ("cal", delete("SegmentException", ROOM, "sealed-once"), "Allow"),
    "lifting a seal by whoever may delete the policy": (
        "root",
        delete("SegmentException", ROOM, "sealed-for-good"),
        "Allow",
    ),
    "the end of the namespace": ("namespaces", delete("SegmentException", ROOM, "sealed"), "Allow"),
    "the end of the namespace before the operator looked": (
        "namespaces",
        delete("SegmentException", ROOM, "unseen"),
        "Allow",
    ),
    "garbage collection": ("collector", delete("SegmentException", ROOM, "sealed"), "Allow"),
    # Approving.
    "approving": ("ann", approve(by="ann"), "Allow"),
    "approving with a hardware key": ("ben", approve(by="ben"), "Allow"),
    "approving with a password alone": ("bea", approve(by="bea"), APPROVES),
    "approving with nothing known about how one signed in": ("bo", approve(by="bo"), APPROVES),
    "approving with a second factor and no leave": ("cal", approve(by="cal", asked="ann"), APPROVES),
    "approving as a user of the group with a certificate": (
        "alice",
        approve(by="alice", cls="by-certificate"),
        APPROVES,
    ),
    "approving as a cluster administrator": ("root", approve(by="lab-admin"), APPROVES),
    "approving as the operator": ("operator", approve(by=USER), APPROVES),
    "approving as a service account": ("bot", approve(by="system:serviceaccount:quiet:bot"), APPROVES),
    "approving in another's name": ("ann", approve(by="ben"), APPROVES),
    "approving in an approver's name": ("cal", approve(by="ann"), APPROVES),
    "approving in one's own name with another's uid": ("ann", approve(by=ANOTHER), APPROVES),
    "approving without one's uid": ("ann", approve(by=user("ann", uid="")), APPROVES),
    "approving what one asked for": ("ann", approve(by="ann", asked="ann"), "422"),
    "approving what one asked for under an older name": ("ann", approve(by="ann", asked=ANNS_UID), "422"),
    "approving what one asked for, said to be by somebody without a uid": (
        "ann",
        approve(by="ann", asked={"username": "oidc:ann@example.com"}),
        "422",
    ),
    "approving by the word of a class that asks for another key": ("ann", approve(by="ann", cls="keyed"), APPROVES),
    "approving by the word of a class that takes a password": ("bea", approve(by="bea", cls="otherwise"), "Allow"),
    "approving by that word without even that": ("bo", approve(by="bo", cls="otherwise"), APPROVES),
    "approving by the word of a class without approvers": ("ann", approve(by="ann", cls="unprepared"), APPROVES),
    "approving under another name of the class": (
        "ann",
        lambda uids: create(approval(uids | {"keyed": uids["prepared"]}, by="ann", cls="keyed")),
        APPROVES,
    ),
    # Whoever names a class that is not there convinces nobody: the operator asks for the one that governs.
    "approving by the word of no class": ("ann", approve(by="ann", cls="absent"), "Allow"),
    "approving by the word of no class in another's name": ("cal", approve(by="ann", cls="absent"), APPROVES),
    "approving in kube-system in another's name": ("cal", approve(by="ann", namespace="kube-system"), APPROVES),
    "approving in the operator's namespace without a second factor": (
        "bea",
        approve(by="bea", namespace="pipesegment-system"),
        APPROVES,
    ),
}


@pytest.mark.parametrize(("who", "attempt", "verdict"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_verdict(guarded: Scene, who: str, attempt: Attempt, verdict: str):
    answer = guarded.tries(who, attempt if isinstance(attempt, Request) else attempt(guarded.uids))

    assert answer.verdict.partition(":")[0] == verdict, answer


REFUSALS: dict[str, tuple[str, Attempt, str]] = {
    "not oneself": (
        "cal",
        create(exception(by="ann")),
        (
            "spec.requestedBy: is not who asks: you are oidc:cal@example.com with the uid sub-cal@example.com; "
            "`pipesegment exception request` fills it in"
        ),
    ),
    "no seal to lift": (
        "cal",
        delete("SegmentException", ROOM, "sealed"),
        "stage shop/deploy is sealed; the seal is lifted by members of oidc:security",
    ),
    "a seal that nobody lifts": (
        "cal",
        delete("SegmentException", ROOM, "sealed-for-good"),
        "stage shop/deploy is sealed; nobody may lift it: no breakGlass.sealerGroups of a SegmentClass says who",
    ),
    "no leave": (
        "cal",
        approve(by="cal", asked="ann"),
        "SegmentClass prepared lets members of oidc:oncall approve, and you are in none of these groups",
    ),
    "nobody has leave": (
        "ann",
        approve(by="ann", cls="unprepared"),
        "SegmentClass unprepared lets nobody approve: it has no breakGlass.approverGroups",
    ),
    "no second factor": (
        "bea",
        approve(by="bea"),
        (
            f"SegmentClass prepared demands a second factor of who approves (one of mfa, hwk under {EXTRA_KEY}), "
            "and your sign-in shows none: sign in again with it"
        ),
    ),
}


@pytest.mark.parametrize(("who", "attempt", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_the_refusal_says_what_is_missing(guarded: Scene, who: str, attempt: Attempt, words: str):
    answer = guarded.tries(who, attempt if isinstance(attempt, Request) else attempt(guarded.uids))

    assert answer.message.endswith(f"denied request: {words}")


def test_without_any_class_nobody_approves(guarded: Scene):
    """The parameter is missing altogether: that is no leave."""
    root = guarded.people["root"]
    root.does(Request("DELETE", "/apis/pipesegment.dev/v1alpha1/segmentclasses"))
    try:
        guarded.await_verdict("ann", create(approval({}, by="ann")), APPROVES)
    finally:
        emergencies.make_classes(root)
        admission.make_rails(root, guarded.people["operator"])
        emergencies.note_uids(guarded.plane, guarded.uids)
        guarded.await_verdict("ann", create(approval(guarded.uids, by="ann")), "Allow")
