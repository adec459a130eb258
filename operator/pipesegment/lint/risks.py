"""Findings about what is open, or blocked, beside what anybody meant. Part of the catalogue."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
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
)
