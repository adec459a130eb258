"""Deliberate faults in the compilers and in `reach`: each is one that somebody could make, and somebody else must notice.

A mutant names a function and a text in it that is replaced. The text must stand there exactly once: a mutant that no
longer applies is an error, not a survivor.
"""

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """One fault: `old` becomes `new` in a function of a module of the package."""

    name: str
    module: str
    function: str
    old: str
    new: str


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
    # Identity and mesh.
    Mutant(
        "an account that must exist is written",
        "compile.identity",
        "service_accounts",
        "for stage in reach.stages if stage.account.create",
        "for stage in reach.stages",
    ),
    Mutant(
        "a principal loses its namespace",
        "compile.istio",
        "_sources",
        "{trust_domain}/ns/{p.namespace}/sa/{p.account}",
        "{trust_domain}/ns/*/sa/{p.account}",
    ),
    Mutant(
        "the trust domain is lost",
        "compile.istio",
        "_authorization",
        "reach.governance.spec.mesh.trust_domain",
        '"cluster.local"',
    ),
    Mutant("STRICT is dropped", "compile.istio", "_strict", '"STRICT"', '"PERMISSIVE"'),
    Mutant(
        "a stage that observes is held by the mesh",
        "compile.istio",
        "_authorization",
        "_DRY_RUN if stage.mode is Mode.OBSERVE else None",
        "None",
    ),
    Mutant(
        "http rules lose their paths",
        "compile.istio",
        "_operations",
        '{"paths": sorted(set(rule.paths))} if rule.paths else {}',
        "{}",
    ),
    Mutant(
        "http rules lose their methods",
        "compile.istio",
        "_operations",
        '{"methods": sorted(set(rule.methods))} if rule.methods else {}',
        "{}",
    ),
    Mutant(
        "an ALLOW that admits nobody admits everybody",
        "compile.istio",
        "_authorization",
        "    if rules:\n",
        "    rules = rules or [{}]\n    if rules:\n",
    ),
    # Reach: what a declaration means.
    Mutant(
        "a Service's port is taken for its pods'",
        "reach.services",
        "pod_ports",
        "PortRange(p.protocol, p.target)",
        "PortRange(p.protocol, p.port)",
    ),
    Mutant(
        "the pipeline's label is lost",
        "reach.engines",
        "_tekton",
        '{"tekton.dev/pipeline": spec.engine.tekton.pipeline}',
        "{}",
    ),
    Mutant(
        "DNS goes to everywhere",
        "reach.dns",
        "_resolvers",
        "yield (PodPeer(namespace, service.selector),), targets, (host,)",
        'yield (AddressPeer("0.0.0.0/0"),), targets, (host,)',
    ),
    Mutant(
        "the internet holds the special ranges",
        "reach.addresses",
        "internet",
        "[*special(), *(network(c) for c in cluster)]",
        "[*(network(c) for c in cluster)]",
    ),
    Mutant(
        "the internet holds the cluster",
        "reach.addresses",
        "internet",
        "[*special(), *(network(c) for c in cluster)]",
        "[*special()]",
    ),
    Mutant(
        "metadata addresses are allowed",
        "reach.guardrails",
        "_cidr_allowed",
        "not rules.allow_imds and touching",
        "False and touching",
    ),
    Mutant(
        "the metadata service is allowed",
        "reach.guardrails",
        "allows",
        "entry.imds is not None and not network_rules.allow_imds",
        "False",
    ),
    Mutant(
        "the class's word on the internet is ignored",
        "reach.guardrails",
        "allows",
        "entry.internet is not None and not network_rules.allow_internet",
        "False",
    ),
    Mutant(
        "between segments one side's word is enough",
        "reach.ways",
        "ways",
        'return Refused("HalfOpen")',
        "return (Way(declared.because, wanted, http),)",
    ),
    Mutant(
        "the other side's ports do not narrow",
        "reach.ways",
        "ways",
        "intersect_ports(wanted, ranges(accept.entry.ports))",
        "wanted",
    ),
    Mutant(
        "the other side's http rules do not narrow",
        "reach.ways",
        "ways",
        "intersect_http(http, http_rules(accept.entry.http))",
        "http",
    ),
    Mutant("accounts that an accepts names do not count", "reach.ways", "admits", "not accounts or ", "True or "),
    # Consent and overlap.
    Mutant("requireGrants is ignored", "reach.grants", "needed", "namespace != scene.namespace and", "False and"),
    Mutant(
        "grants are ignored where they hold their callers",
        "reach.grants",
        "_is_held",
        'g.spec.isolate != "Nobody"',
        "False",
    ),
    Mutant("a grant is for every stage", "reach.grants", "_names", "and stage in (None, view.key.stage)", ""),
    Mutant(
        "a grant outlives the namespace that it saw",
        "reach.grants",
        "_for",
        "if bound is not None and uid and bound != uid:",
        "if False:",
    ),
    Mutant(
        "a grant isolates whom nothing isolates",
        "reach.grants",
        "_isolated",
        'if isolate == "Everyone":',
        "if True:",
    ),
    Mutant(
        "a grant opens the pods of stages",
        "reach.grants",
        "granted",
        "fenced.outside(scene, peer.namespace, selector)",
        "(selector,)",
    ),
    Mutant("the younger of two segments opens too", "reach.overlap", "between", "closed.add(view.key.stage)", "pass"),
    Mutant(
        "the namespace that the class isolates stays open",
        "compile.isolation",
        "_default_deny",
        '"policyTypes": ["Ingress", "Egress"]',
        '"policyTypes": ["Egress"]',
    ),
)
