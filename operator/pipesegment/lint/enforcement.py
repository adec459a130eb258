"""Findings about what is enforced: engines, meshes, and what `pipesegment verify` reads back. Part of the catalogue."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
    Entry(
        "PS601",
        "NotEnforced",
        "warning",
        "Nobody enforces NetworkPolicies",
        "The API server takes every NetworkPolicy, whether anybody acts on it or not. The engine that is seen does not: every "
        "stage reaches everything.",
        "Switch enforcement on in the engine, or install one that enforces.",
    ),
    Entry(
        "PS602",
        "EngineUnknown",
        "warning",
        "It is not known who enforces NetworkPolicies",
        "No agent of an engine that is known runs as a DaemonSet. Some providers run one where it cannot be seen; others run "
        "none. What is not known is not taken to be fine.",
        "Install an engine that enforces, or see with `pipesegment verify --probe` whether policies hold.",
    ),
    Entry(
        "PS603",
        "AgentNotReady",
        "warning",
        "The engine's agent does not run on every node",
        "Pods on the nodes where it does not run may have old rules, or none. Told by `verify`, which sees this moment.",
        "Wait until its rollout is over, or find out why the agent's pods do not start.",
    ),
    Entry(
        "PS604",
        "BarePods",
        "warning",
        "The engine does not enforce for pods without an owner",
        "The Amazon VPC CNI applies NetworkPolicies to pods that a controller owns. GitLab Runner, Jenkins, Woodpecker and Drone "
        "make pods that nobody owns.",
        "Have another engine enforce the policies, such as Calico beside the VPC CNI.",
    ),
    Entry(
        "PS605",
        "StartupWindow",
        "warning",
        "Each pod is open for its first seconds",
        "The Amazon VPC CNI in standard mode lets a new pod reach everything until its policies have arrived, a second or two. "
        "Pods of pipelines are short-lived, and begin their work at once.",
        "Set NETWORK_POLICY_ENFORCING_MODE=strict, or let pods wait before they work.",
    ),
    Entry(
        "PS606",
        "SharedName",
        "warning",
        "Pods of several stages share a name",
        "The Amazon VPC CNI groups pods by namespace and name, less what follows the last hyphen. Pods of two stages in one "
        "group may get each other's policy.",
        "Have the engine name pods after their stage, or have another engine enforce.",
    ),
    Entry(
        "PS607",
        "SecondFamily",
        "warning",
        "Pods have addresses of a family that nobody enforces",
        "The Amazon VPC CNI enforces one family. On IPv6 clusters pods reach IPv4 addresses too, unless that is switched off.",
        "Set ENABLE_V4_EGRESS=false in DaemonSet aws-node.",
    ),
    Entry(
        "PS608",
        "ExceptUnreliable",
        "warning",
        "Exceptions of addresses may not hold",
        "The Amazon VPC CNI has let the exception of one rule cut what another allows, and has merged ports wrongly beside "
        "exceptions. Plain prefixes say the same without them.",
        "Set network.exceptStyle to Prefixes in the SegmentClass.",
    ),
    Entry(
        "PS609",
        "UnfencedNode",
        "warning",
        "Pods run on nodes where nobody enforces",
        "No engine's agent runs on Fargate, and the Amazon VPC CNI enforces nothing on Windows.",
        "Run the stage on other nodes.",
    ),
    Entry(
        "PS610",
        "NoSidecar",
        "warning",
        "Pods of a stage in the mesh are without a sidecar",
        "It is the sidecar that asks callers who they are and holds them to methods and paths. Without it only the ports hold.",
        "Have the sidecar injected, or set the stage's mesh to None.",
    ),
    Entry(
        "PS611",
        "LaxMutualTLS",
        "warning",
        "A foreign PeerAuthentication lets plaintext in",
        "Of two PeerAuthentications that select a workload Istio takes the older. Plaintext has no identity, and whoever listens "
        "on the way reads it.",
        "Delete it, narrow its selector, or set it to STRICT.",
    ),
    Entry(
        "PS612",
        "ServiceShut",
        "warning",
        "A Service's own address may stay closed",
        "The Amazon VPC CNI judges a call to a Service before it becomes a call to a pod, and opens the addresses of those Services "
        "alone whose selector has every label that the policy selects by, and whose ports have the same number at the pods.",
        "Give the Service these labels and numbers, make it headless, or call the pods.",
    ),
    Entry(
        "PS613",
        "PortsMerged",
        "warning",
        "The name of a port stands for several numbers, and each pod admits all of them",
        "The Amazon VPC CNI looks a port's name up at all pods of a policy, and admits every number that it finds to every pod.",
        "Give the port one number at all pods of the stage, and declare that number.",
    ),
    Entry(
        "PS614",
        "PortsLost",
        "warning",
        "More ports are declared than the engine keeps",
        "The Amazon VPC CNI has 24 places for the ports and ranges of one address, all rules and protocols together. What finds no "
        "place is closed, which a log on the node tells and nobody else.",
        "Declare fewer ports, or ranges; with provider: AmazonVPC the class has pipesegment say which edges stay closed.",
    ),
    Entry(
        "PS621",
        "Missing",
        "error",
        "An object of the segment does not exist",
        "Told by `verify`. What the object would close is open, or what it would open is closed.",
        "See whether the operator runs (`kubectl get pseg` tells when it looked last), and what its log says.",
    ),
    Entry(
        "PS622",
        "Drifted",
        "error",
        "An object of the segment is not as declared",
        "Told by `verify`. Somebody changed it, or the declaration changed and the operator has not acted on it.",
        "See whether the operator runs; `pipesegment plan` shows every field that differs.",
    ),
    Entry(
        "PS623",
        "Leftover",
        "error",
        "An object exists that nothing declares any more",
        "Told by `verify`. What it opens is open still.",
        "See whether the operator runs, and what its log says.",
    ),
    Entry(
        "PS624",
        "NotRead",
        "warning",
        "Something could not be looked at",
        "Told by `verify`. What may not be listed counts neither as absent nor as fine.",
        "Let whoever runs `verify` list it.",
    ),
    Entry(
        "PS625",
        "NotJudged",
        "warning",
        "Policies exist of a kind that is not judged here",
        "Told by `verify`. Some engines have policies of their own that come before NetworkPolicies, and may allow what those close.",
        "See by hand that they allow nothing for the stages' pods, or see with `--probe` what passes.",
    ),
    Entry(
        "PS626",
        "NotProbed",
        "warning",
        "A probe could not run",
        "Told by `verify --probe`. What could not be tried counts neither as open nor as closed.",
        "The message tells why.",
    ),
)
