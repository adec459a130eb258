"""Findings about meshes other than Istio's sidecars. Part of the catalogue."""

from typing import Final

from pipesegment.lint.entry import Entry

ENTRIES: Final = (
    Entry(
        "PS313",
        "MixedMesh",
        "warning",
        "The two stages are in different data planes of the mesh",
        "Whether the mutual TLS of one reaches the other depends on how the mesh was installed, so the edge stays closed.",
        "Run both in namespaces of the same data plane, or take both out of the mesh.",
    ),
    Entry(
        "PS314",
        "WaypointUnfit",
        "warning",
        "A waypoint stands in front of the stage that cannot be held to what it accepts",
        "A waypoint calls the stage under its own identity. Where it serves other namespaces, passes calls to pods, or leads "
        "one Service to pods of others too, letting it in would let in everybody who reaches it.",
        "Give the stage's Services a waypoint of their own namespace that handles Services alone.",
    ),
    Entry(
        "PS315",
        "TunnelOpen",
        "warning",
        "The ambient mesh opens more than the ports that are declared",
        "ztunnel carries calls to one port, whatever port is called. Towards pods that no AuthorizationPolicy of ours guards, "
        "and Services behind a waypoint that none guards, every port is open; what a grant limits to ports is held there or stays closed. Callers "
        "are known by their accounts there, or by their whole namespace where none is named: an entry of accepts by which "
        "others of that namespace would come in stays closed too.",
        "Declare those pods as a stage, name the callers' serviceAccounts, or take either side out of the mesh.",
    ),
    Entry(
        "PS316",
        "GrantUnheld",
        "warning",
        "The mesh cannot hold a stage to what a grant gives",
        "A grant that holds its callers, or everyone, becomes a DENY and an ALLOW of Istio's. These select pods by matchLabels, know "
        "ports by number, and cannot tell pods apart that several entries mean; behind a waypoint nobody knows the callers.",
        "Name the ports by number, reach pods that no other entry means, or declare them as a stage that accepts this one.",
    ),
    Entry(
        "PS317",
        "HttpByIdentity",
        "warning",
        "Requests that a grant gives are held by the caller's identity alone",
        "Pods that take plaintext beside mutual TLS, as Istio's default is, do not know who calls in plaintext. A caller that passes by its "
        "own sidecar is held to the granted ports by the network, and to no request.",
        "Set a PeerAuthentication there to STRICT, or the grant to isolate: Everyone.",
    ),
    Entry(
        "PS615",
        "NotCaptured",
        "warning",
        "Pods of a stage in the ambient mesh are not captured",
        "ztunnel does not stand in front of them, so that no policy of the mesh holds there.",
        "Label the namespace istio.io/dataplane-mode=ambient, and take labels that say otherwise off the pods.",
    ),
    Entry(
        "PS616",
        "Captured",
        "warning",
        "Pods of a stage outside of the mesh are captured by it",
        "ztunnel carries their calls to pods in the mesh to a port that the stage's policies do not open.",
        "Label these pods istio.io/dataplane-mode: none.",
    ),
    Entry(
        "PS617",
        "Bypassed",
        "warning",
        "Pods of a stage let ports past their proxy",
        "An annotation takes these ports out of the mesh: whoever the network lets in there is asked for no identity and for no "
        "method or path.",
        "Take the annotation off the pods' template, and for Linkerd off the namespace.",
    ),
)
