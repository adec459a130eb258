"""Every finding that pipesegment can make: its code, how grave it is, why it matters, what helps.

A code is never given a second meaning; one that is not made any more is left out, and its number with it. `docs/lint.md`
is written from this table.
"""

from collections.abc import Mapping
from typing import Final

from pipesegment.lint import cloud, endpoints, enforcement, exceptions, hostnames, meshes
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
        "PS301",
        "FqdnNotEnforced",
        "warning",
        "Host names cannot be enforced here",
        "A NetworkPolicy knows addresses only. A rule for 'any address' would be wider than declared.",
        "Use a destination with addresses, or a class whose network engine matches names, or let the class look them up or be coarse (network.inexact.fqdn).",
    ),
    Entry(
        "PS302",
        "HttpNotEnforced",
        "warning",
        "HTTP methods and paths cannot be enforced here",
        "They need a mesh on the accepting side, or Cilium; a NetworkPolicy would open every request of the port.",
        "Put the target into the mesh, or leave http out, or let the class be coarse (network.inexact.http).",
    ),
    Entry(
        "PS303",
        "NoService",
        "warning",
        "No Service leads to the stage that is reached at its port",
        "A sidecar knows its peers by Services, at the ports that these target. A call that no Service leads to leaves as "
        "plain text, and the other side's sidecar resets it.",
        "Create a (headless) Service that selects the stage's pods, or give theirs the port; the finding has it ready.",
    ),
    Entry(
        "PS304",
        "InexactSelector",
        "warning",
        "The selector cannot be said in the engine's language",
        "Some engines know only some forms of selectors. A wider selector would open, or close, the wrong pods.",
        "Select the pods by one label of their own.",
    ),
    Entry(
        "PS305",
        "MeshSelector",
        "warning",
        "Istio cannot select the stage's pods",
        "Istio's policies select pods by labels alone. Only the network holds this stage; the mesh knows nothing of it.",
        "Select its pods by labels, or by `In` with few values, or take the stage out of the mesh.",
    ),
    Entry(
        "PS306",
        "NotInMesh",
        "warning",
        "The source has no identity in the mesh",
        "A stage in the mesh admits identities only; whoever comes without a sidecar is turned away.",
        "Bring the source into the mesh, or take the stage that accepts out of it.",
    ),
    Entry(
        "PS307",
        "NamedPort",
        "warning",
        "The mesh knows ports by number",
        "A named port stands for whatever number each pod gives it; the mesh's policies cannot say that.",
        "Give the port's number.",
    ),
    Entry(
        "PS308",
        "PortRange",
        "warning",
        "Too many ports for the mesh",
        "The mesh's policies name ports one by one, and a list of thousands would slow every sidecar.",
        "Declare fewer ports.",
    ),
    Entry(
        "PS309",
        "PipelineUnclosed",
        "warning",
        "Pods of the pipeline that no stage names stay open",
        "With an engine preset one policy closes all the pipeline's pods. Here it cannot be written, or nothing tells the "
        "pipeline's other pods from those of its stages.",
        "Let every stage enforce, and give all stages' selectors one common label; or have the class isolate the namespace.",
    ),
    Entry(
        "PS310",
        "TooLarge",
        "warning",
        "The policy would be larger than engines take",
        "Engines turn every peer into map entries on every node that runs the pods; a policy past the bound is not written.",
        "Declare fewer, or larger, blocks.",
    ),
    Entry(
        "PS311",
        "Gap",
        "warning",
        "What is declared cannot be enforced as declared",
        "No object that the cluster's engines understand says exactly this. The edge stays closed rather than wider.",
        "The finding names what could carry it.",
    ),
    Entry(
        "PS312",
        "LabelNotSeen",
        "warning",
        "Cilium does not know pods by this label",
        "Labels such as pod-template-hash are no part of a pod's identity there: no policy matches them, and pods that a "
        "policy selects by one stay open.",
        "Select the pods by other labels.",
    ),
    Entry(
        "PS326",
        "TooManyPorts",
        "warning",
        "More ports than the network engine keeps for one address",
        "The Amazon VPC CNI has 24 places for the ports and ranges of one address, all rules and protocols of a policy together, and "
        "drops the others without a word. The edges with the most ports stay closed, so that the others are sure to be open.",
        "Declare fewer ports, or ranges of them.",
    ),
    Entry(
        "PS320",
        "FqdnCoarse",
        "warning",
        "Every public address stands for host names",
        "A NetworkPolicy knows addresses only, and the class has every public one stand for names (network.inexact.fqdn: "
        "Coarse). The stage reaches more than it declares; Exact is False.",
        "Use a destination with addresses, or a network that matches names; the class may also deny (network.inexact.fqdn: Deny).",
    ),
    Entry(
        "PS401",
        "ForgeableLabels",
        "warning",
        "Whoever writes the pipeline can choose the stage's labels",
        "A NetworkPolicy knows pods by labels. Where the author of a pipeline sets them, a build can dress up as the "
        "deploy stage.",
        "Select by labels that the engine's administrators set, or give each level of trust a namespace of its own.",
    ),
    Entry(
        "PS402",
        "WideCidr",
        "warning",
        "The block of addresses is wide",
        "A block of this size holds far more than one service; whatever moves in later is open too.",
        "Name the addresses that are meant, or a service or destination.",
    ),
    Entry(
        "PS403",
        "WidePorts",
        "warning",
        "A wide range of ports to many addresses",
        "The internet, or a wide block, at a thousand ports and more is a way out for anything, tunnels included.",
        "Name the ports that are used.",
    ),
    Entry(
        "PS404",
        "OneFamily",
        "warning",
        "Everywhere, but in one address family only",
        "The cluster has both families. What is open to every IPv4 address is closed to the same hosts over IPv6, or the "
        "other way round; which one a client takes is chance.",
        "Add the other family's block, or use the target `internet`, which has both.",
    ),
    Entry(
        "PS405",
        "MetadataOpen",
        "warning",
        "The stage reaches the metadata service",
        "The instance metadata service hands out the node's own credentials to whoever asks.",
        "Give the stage an identity of its own, and leave imds out.",
    ),
    Entry(
        "PS406",
        "NamesWithoutDNS",
        "warning",
        "Names are needed, and DNS is closed",
        "The stage's dns is None, but it reaches something that clients find by name.",
        "Set dns to Auto, or name addresses.",
    ),
    Entry(
        "PS407",
        "Unwired",
        "warning",
        "Pods of the stage run as another account",
        "Labels carry the network policy, the account carries the identity. A pod with the one and not the other gets "
        "half of what is declared.",
        "Set the account where the engine makes the pods; `pipesegment wire` prints how.",
    ),
    Entry(
        "PS408",
        "DefaultAccount",
        "warning",
        "Pods of the stage run as the account `default`",
        "Every pod that names no account runs as `default`: it is nobody's identity, and everybody's.",
        "Set the stage's account where the engine makes the pods; `pipesegment wire` prints how.",
    ),
    Entry(
        "PS409",
        "HostNetwork",
        "warning",
        "Pods of the stage use the node's network",
        "NetworkPolicies do not hold for pods on the host network: such a pod reaches whatever the node reaches.",
        "Run them without hostNetwork, and forbid it by pod security admission.",
    ),
    Entry(
        "PS410",
        "PodsElsewhere",
        "warning",
        "The engine runs the stage's pods in another namespace",
        "A segment fences the pods of its own namespace. Namespaces that are made for each job are not supported.",
        "Run the jobs in the segment's namespace.",
    ),
    Entry(
        "PS411",
        "NamespaceOpen",
        "warning",
        "Pods of the namespace are selected by no policy",
        "A pod without a policy reaches everything, and whoever may label a pod can step outside the fence.",
        "Have the platform team set network.isolation.mode to Namespace in the SegmentClass.",
    ),
    Entry(
        "PS412",
        "Widened",
        "warning",
        "A foreign policy opens more than the stage declares",
        "NetworkPolicies add up: what one allows, no other takes away.",
        "Delete that policy, narrow its podSelector, or declare what it opens.",
    ),
    Entry(
        "PS413",
        "MeshIdle",
        "warning",
        "The stage is in the mesh, and nothing of it is open",
        "A sidecar needs its control plane before its pod becomes ready, and a stage that declares nothing reaches nothing, "
        "its sidecar included. Its pods wait for ever.",
        "Give the stage `mesh: None`, or declare what it reaches or accepts.",
    ),
    Entry(
        "PS414",
        "DeadEnd",
        "warning",
        "The edge is open here and closed at the other end",
        "Somebody's NetworkPolicy, or the default deny of a class, isolates the pods that the edge leads to or comes from, "
        "and nothing there lets it through. NetworkPolicies add up, so the stage itself loses nothing by foreign ones.",
        "Have the owners of those pods admit the stage: by a NetworkPolicy, or by a SegmentGrant.",
    ),
    Entry(
        "PS415",
        "BlockedByOthers",
        "warning",
        "A stage only observes, and others block its pods",
        "A stage that only observes has no policy of ours, so nothing opens what a foreign policy closes.",
        "Let that policy leave the stage's pods out while it observes, or let the stage enforce.",
    ),
    Entry(
        "PS416",
        "StageRights",
        "warning",
        "A binding of others gives the stage's account rights that lead out of the fence",
        "Whoever reads Secrets, creates pods, makes tokens or writes NetworkPolicies is not held by a fence around its own pod. "
        "Only roles and bindings that are among the facts are looked at; `--cluster` reads them.",
        "Remove the account from the binding; declare what the stage needs as serviceAccount.roleRefs.",
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
            *(*_ENTRIES, *meshes.ENTRIES, *enforcement.ENTRIES, *cloud.ENTRIES, *endpoints.ENTRIES),
            *(*exceptions.ENTRIES, *hostnames.ENTRIES),
        ),
        key=lambda e: e.code,
    )
}


def entry(reason: str) -> Entry:
    """Find the entry of a reason; a gap of an engine that has no entry of its own is a `Gap`."""
    return CATALOGUE.get(reason, CATALOGUE["Gap"])
