"""Faults in what is written for the network."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
    # NetworkPolicy: the shapes that mean something else than they look like.
    Mutant(
        "Egress is dropped from policyTypes",
        "compile.networkpolicy",
        "_spec",
        '["Ingress", "Egress"]',
        '["Ingress"]',
    ),
    Mutant(
        "the two selectors of a peer are split into two peers, an OR",
        "compile.networkpolicy",
        "_peer",
        '[{"namespaceSelector": namespace, "podSelector": peer.selector.render()}]',
        '[{"namespaceSelector": namespace}, {"podSelector": peer.selector.render()}]',
    ),
    Mutant(
        "a peer loses its namespaceSelector",
        "compile.networkpolicy",
        "_peer",
        '[{"namespaceSelector": namespace, "podSelector": peer.selector.render()}]',
        '[{"podSelector": peer.selector.render()}]',
    ),
    Mutant(
        "a port loses its protocol", "compile.networkpolicy", "_port", '"protocol": port.protocol', '"protocol": "TCP"'
    ),
    Mutant("a range loses its end", "compile.networkpolicy", "_port", 'rendered["endPort"] = port.end', "pass"),
    Mutant(
        "a rule whose peers are none is rendered, for everybody",
        "compile.networkpolicy",
        "_rules",
        "for rule in rules if rule[side]",
        "for rule in rules",
    ),
    Mutant(
        "an edge that is closed is rendered all the same",
        "compile.networkpolicy",
        "_rules",
        "for edge in edges if edge.open",
        "for edge in edges",
    ),
    Mutant(
        "the ingress half is missing",
        "compile.networkpolicy",
        "_stage_policies",
        '_rules(stage.ingress, "from", style)',
        "[]",
    ),
    Mutant(
        "the runner pods get what the stage reaches",
        "compile.networkpolicy",
        "_stage_policies",
        "_rules(stage.runner.egress,",
        "_rules(stage.egress,",
    ),
    Mutant(
        "where Cilium enforces, the NetworkPolicy opens as well",
        "compile.networkpolicy",
        "_stage_policies",
        "if reach.network is Network.CILIUM:",
        "if False:",
    ),
    Mutant(
        "the policy that closes the pipeline is missing",
        "compile.networkpolicy",
        "_closing_policies",
        "enumerate(reach.closing)",
        "enumerate(())",
    ),
    Mutant(
        "a stage that observes is closed",
        "compile.networkpolicy",
        "network_policies",
        "if stage.mode is Mode.ENFORCE",
        "",
    ),
    Mutant(
        "a granted policy isolates egress too",
        "compile.networkpolicy",
        "_granted_policy",
        '"policyTypes": ["Ingress"]',
        '"policyTypes": ["Ingress", "Egress"]',
    ),
    Mutant("exceptions are dropped", "compile.addresses", "ip_blocks", 'block["except"] = excepts', "pass"),
    Mutant(
        "exceptions are dropped where prefixes are written",
        "compile.addresses",
        "without",
        "for text in holes:",
        "for text in ():",
    ),
    Mutant(
        "the other half of an edge that cannot be said stays open",
        "compile.expressible",
        "split",
        "{place for place in halves if edge_of[place] in closed}",
        "set(gaps)",
    ),
    # Cilium.
    Mutant(
        "Cilium's peers lose their namespace",
        "compile.cilium",
        "_selector",
        "labels[NAMESPACE_LABEL] = namespace",
        "pass",
    ),
    Mutant(
        "Cilium's http rules are lost",
        "compile.cilium",
        "_requests",
        "if not edge.http or guarded:",
        "if True:",
    ),
    Mutant(
        "a path is read as a pattern",
        "compile.cilium",
        "path_pattern",
        'rf"{_escaped(path)}',
        'rf"{path}',
    ),
    Mutant(
        "the proxy learns no names",
        "compile.cilium",
        "_requests",
        "if edge.target is Target.DNS and asks_names:",
        "if False:",
    ),
    Mutant(
        "a name may come to stand for the metadata service",
        "compile.cilium",
        "_policy",
        "if forbidden:",
        "if False:",
    ),
    Mutant(
        "host names are open where nobody matches them",
        "compile.network_rules",
        "network_problem",
        "return _names(network, edge, beside)",
        "return None",
    ),
)
