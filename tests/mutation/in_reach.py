"""Faults in what a declaration means."""

from typing import Final

from tests.mutation.mutant import Mutant

MUTANTS: Final = (
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
        "held and not rules.allow_imds",
        "False and held",
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
        "_admitted",
        "intersect_ports(wanted, ranges(accept.entry.ports))",
        "wanted",
    ),
    Mutant(
        "the other side's http rules do not narrow",
        "reach.ways",
        "_admitted",
        "intersect_http(http, http_rules(accept.entry.http))",
        "http",
    ),
    Mutant(
        "accounts that an accepts names do not count", "reach.ways", "_takes_account", "not accounts or ", "True or "
    ),
    # Consent and overlap.
    Mutant("requireGrants is ignored", "reach.grants", "needed", "namespace != scene.namespace and", "False and"),
    Mutant(
        "grants are ignored where they hold their callers",
        "reach.grants",
        "_is_held",
        'g.spec.isolate != "Nobody"',
        "False",
    ),
    Mutant("a grant is for every stage", "reach.grants", "_names", " and stage in (None, key.stage)", ""),
    Mutant(
        "a grant outlives the namespace that it saw",
        "reach.grants",
        "naming",
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
        "an isolation whose name somebody else holds counts",
        "reach.governance",
        "is_declared",
        "(held is None or held.owned)",
        "True",
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
