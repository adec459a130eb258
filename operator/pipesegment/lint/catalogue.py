"""Every finding that pipesegment can make: its code, how grave it is, why it matters, what helps.

A code is never given a second meaning; one that is not made any more is left out, and its number with it. `docs/lint.md`
is written from this table. Parts of one subject each stand in files of their own.
"""

from collections.abc import Mapping
from typing import Final

from pipesegment.lint import cloud, endpoints, enforcement, exceptions, gaps, hostnames, meshes, risks
from pipesegment.lint.entry import Entry

_ENTRIES: Final = (
    Entry(
        "PS101",
        "Invalid",
        "error",
        "The document is refused",
        "A field is missing, unknown, out of its bounds, contradicts another one, or asks for what the class does not "
        "allow. Nothing is written for a document that is refused.",
        "Each finding names the path, what is wrong with the value, and what to write instead.",
    ),
    Entry(
        "PS102",
        "NotYetSupported",
        "error",
        "The field is known, but not acted upon yet",
        "Its meaning is fixed, its enforcement is not built. To pass over it would promise what nothing keeps.",
        "Leave the field out, or wait for the version that enforces it.",
    ),
    Entry(
        "PS103",
        "Conflict",
        "error",
        "A name is taken",
        "An object of the name that a stage's object must have belongs to another segment, or to somebody else. What is "
        "not ours is never taken over.",
        "Rename the stage or the segment, or remove the other object.",
    ),
    Entry(
        "PS201",
        "Unresolved",
        "warning",
        "The target does not exist",
        "The entry points at something that the surroundings do not hold, so there is nothing to open; the edge stays "
        "closed until it appears. Without --facts nothing is taken to be there.",
        "Create the target, correct its name, or give the surroundings with --facts or --cluster.",
    ),
    Entry(
        "PS202",
        "HalfOpen",
        "warning",
        "Only one side declares the edge",
        "Between segments both sides have a say: the one reaches, the other accepts. The edge stays closed until both do.",
        "Add the other half to the other segment, or give it with --facts.",
    ),
    Entry(
        "PS203",
        "Ungranted",
        "warning",
        "Nobody in the other namespace granted the edge",
        "The own side is open, but nothing may be written in another namespace without a SegmentGrant there; where pods "
        "are isolated there, they stay closed to the stage.",
        "Have the owners of that namespace create a SegmentGrant.",
    ),
    Entry(
        "PS204",
        "Overlapping",
        "warning",
        "Two stages select the same pod",
        "Allows add up, so a pod of two stages would have the rights of both. Of two segments' stages the younger one's gets "
        "none; inside one segment, where only a pod's labels bring them together, the pod has both.",
        "Narrow one of the selectors, so that no pod can match both.",
    ),
    Entry(
        "PS205",
        "OverlapUnion",
        "warning",
        "Two stages select the same pod, and the class lets both",
        "The class restores the union (guardrails.overlap): such a pod has the rights of both stages.",
        "Give each stage labels of its own.",
    ),
    Entry(
        "PS206",
        "NothingInCommon",
        "warning",
        "Both sides declare the edge, with nothing in common",
        "What is open is what both sides name. They name different ports or different requests, so nothing is.",
        "Name the same ports and http matches on both sides.",
    ),
    Entry(
        "PS207",
        "AmbiguousClass",
        "warning",
        "Several classes govern the namespace",
        "Classes of the same priority select it, so none governs it, and nothing is widened.",
        "Give one of them a higher priority or a narrower namespaceSelector.",
    ),
    Entry(
        "PS208",
        "ClassLost",
        "warning",
        "The class that governed the namespace is gone or refused",
        "What it decided cannot be known any more, so nothing is widened.",
        "Restore the class, or correct it.",
    ),
    Entry(
        "PS209",
        "NamespaceUnknown",
        "warning",
        "Whether a class governs the namespace is not known",
        "A class selects namespaces by labels, and the namespace is not among the facts. It is taken to have no label but its "
        "name, which may be wrong: in the cluster another class may govern, and close more.",
        "Give the Namespace, with its labels, with --facts or --cluster.",
    ),
    Entry(
        "PS501",
        "IdleStage",
        "info",
        "The stage reaches nothing and accepts nothing",
        "It is closed altogether, DNS included, but for what its engine needs. That may be meant (a hermetic build), or "
        "forgotten.",
        "Declare what it reaches, if it should reach anything.",
    ),
    Entry(
        "PS502",
        "NoClass",
        "info",
        "No class governs the namespace",
        "The built-in defaults hold: enforced, the internet allowed, no isolation of pods that no stage names.",
        "Give the platform's SegmentClass with -f, --facts or --cluster.",
    ),
    Entry(
        "PS503",
        "NoIsolation",
        "info",
        "The class does not isolate the namespace",
        "A pod that no stage selects, today or later, reaches everything.",
        "Set network.isolation.mode to Namespace in the SegmentClass.",
    ),
    Entry(
        "PS504",
        "NamespacePerJob",
        "info",
        "Namespaces made per job are not supported",
        "GitLab's namespace_per_job and Drone's namespaces `drone-…` appear with the job: no segment can be there first.",
        "Keep the runner in one namespace.",
    ),
    Entry(
        "PS505",
        "ClusterNamespace",
        "info",
        "The class isolates, and leaves a namespace of the cluster's own open",
        "A default deny where the cluster resolves names (kube-system, or what the class's dns says) or where its mesh is "
        "run would cut off every pod of the cluster. A class isolates such a namespace only when it names it.",
        "Leave it so. Or name it in the namespaceSelector, once policies there open what the cluster needs.",
    ),
    Entry(
        "PS506",
        "Exempt",
        "info",
        "The class lets the stage's pods around the fence",
        "A privileged pod, or one on the node's network, reaches more than any policy says. The class leaves it to the stage, "
        "with a reason.",
        "Have the platform team remove the exemption once the stage can do without.",
    ),
)

CATALOGUE: Final[Mapping[str, Entry]] = {
    entry.reason: entry
    for entry in sorted(
        (
            *(*_ENTRIES, *gaps.ENTRIES, *risks.ENTRIES, *meshes.ENTRIES, *enforcement.ENTRIES),
            *(*cloud.ENTRIES, *endpoints.ENTRIES, *exceptions.ENTRIES, *hostnames.ENTRIES),
        ),
        key=lambda e: e.code,
    )
}


def entry(reason: str) -> Entry:
    """Find the entry of a reason; a gap of an engine that has no entry of its own is a `Gap`."""
    return CATALOGUE.get(reason, CATALOGUE["Gap"])
