"""Findings about what no object can say in an engine's own language, so that it stays closed or coarse. Part of the catalogue."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
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
)
