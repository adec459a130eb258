"""`verify --probe`: whose image, who may, and one segment after the other."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipesegment import __version__
from pipesegment.cli import output
from pipesegment.cli.gather import connected
from pipesegment.cli.options import Options
from pipesegment.cli.walk import Walk, Walked
from pipesegment.declared.declaration import Declaration
from pipesegment.errors import Rejected, Usage
from pipesegment.findings import Finding
from pipesegment.probe.run import Probed, probe, refusal
from pipesegment.verify.results import Verified
from pipesegment.world import kinds
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Cluster, Selection
from pipesegment.world.probing import ClusterProber

_DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
#: How the chart labels the operator, and what it calls its container.
_OPERATOR: Final = Selection(labels="app.kubernetes.io/name=pipesegment")
_CONTAINER: Final = "operator"
#: What a probe's life asks of whoever runs it: (verb, subresource of pods).
_RIGHTS: Final = (("create", ""), ("list", ""), ("watch", ""), ("delete", ""), ("get", "log"))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be started for one segment: probes at once, and seconds until the last one is gone."""

    probes: int
    seconds: int


def probed(walked: Walk, verified: Sequence[Verified], options: Options, image: str, limits: Limits) -> list[Verified]:
    """Add to what was verified what probes show."""

    async def run() -> list[Verified]:
        async with connected(options) as cluster:
            return await probe_all(cluster, walked, verified, image, limits)

    return asyncio.run(run())


async def probe_all(
    cluster: Cluster, walked: Walk, verified: Sequence[Verified], image: str, limits: Limits
) -> list[Verified]:
    """Probe every segment; raises Usage when nobody says of which image."""
    wanted = image or await operators_image(cluster)
    declaration = Declaration(walked.surroundings.snapshot)
    results = []
    for each, found in zip(walked.walked, verified, strict=True):
        with output.progress(f"probing {each.reach.segment}"):
            refused = refusal(each.reach) or await _denied(cluster, each.reach.segment.namespace)
            if refused:
                results.append(replace(found, findings=(*found.findings, _not_probed(each, refused))))
                continue
            prober = ClusterProber(cluster, wanted, secrets.token_hex(4), limits.seconds)
            snapshot = walked.surroundings.snapshot
            results.append(_with(found, await probe(each.reach, snapshot, declaration.judge, prober, limits.probes)))
    return results


async def operators_image(cluster: Cluster) -> str:
    """Find the image that the operator runs of."""
    try:
        page = await cluster.list(_DEPLOYMENT, _OPERATOR)
    except Rejected as error:
        raise Usage(f"the operator's Deployment cannot be read ({error.message}): give --probe-image") from error
    containers = [c for found in page.items for c in found["spec"]["template"]["spec"]["containers"]]
    images = sorted({c["image"] for c in containers if c["name"] == _CONTAINER})
    if len(images) != 1:
        what = "no Deployment of the operator is found" if not images else f"the operator runs of {', '.join(images)}"
        raise Usage(f"{what}: give --probe-image, such as registry.example.com/pipesegment/pipesegment:{__version__}")
    return str(images[0])


async def _denied(cluster: Cluster, namespace: str) -> str:
    asked = [cluster.review(verb, kinds.POD, namespace=namespace, subresource=sub) for verb, sub in _RIGHTS]
    allowed = await asyncio.gather(*asked)
    lacking = [
        f"{verb} pods{f'/{sub}' if sub else ''}" for (verb, sub), may in zip(_RIGHTS, allowed, strict=True) if not may
    ]
    return f"you may not {', '.join(lacking)} in namespace {namespace}" if lacking else ""


def _not_probed(each: Walked, why: str) -> Finding:
    fix = "run verify as somebody who may, or without --probe"
    return Finding("metadata.namespace", "NotProbed", each.reach.segment.namespace, why, fix, str(each.reach.segment))


def _with(found: Verified, probes: Probed) -> Verified:
    """Put both together: what was seen to be blocked answers the question whether anybody enforces."""
    kept = [f for f in found.findings if not (probes.blocks and f.reason == "EngineUnknown")]
    return replace(found, findings=(*kept, *probes.findings), edges=probes.edges)
