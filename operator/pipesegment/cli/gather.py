"""Facts from a cluster, for whoever asked for one: the same objects that the operator's informers hold, listed once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pipesegment.cli import output
from pipesegment.cli.inputs import Object
from pipesegment.cli.options import Options
from pipesegment.errors import NoAnswer, NoKubeconfig, Rejected, Unreachable, Usage
from pipesegment.world import kinds
from pipesegment.world.access import Access
from pipesegment.world.api import Api
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Cluster, Selection

#: What a declaration may depend on.
FACTS: Final = (
    kinds.NAMESPACE,
    kinds.NODE,
    kinds.POD,
    kinds.SERVICE,
    kinds.ENDPOINT_SLICE,
    kinds.GATEWAY,
    kinds.SEGMENT,
    kinds.GRANT,
    kinds.CLASS,
    *(kinds.EXCEPTION, kinds.APPROVAL),
    *kinds.OWNED,
    # What stages' accounts may do by others' bindings.
    *(kinds.ROLE, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING),
)
#: Asked for where there are exceptions: few people may list them, and nothing else depends on them.
GUARDS: Final = (kinds.ADMISSION_POLICY, kinds.ADMISSION_BINDING)


def gather(options: Options) -> list[Object]:
    """List everything that may be a fact. Raises Unreachable when the cluster does not answer, Usage without access.

    What we may not list, and kinds that the cluster does not have, are left out; the former with a message.
    """
    with output.progress("reading the cluster"):
        return asyncio.run(_gather(options))


async def _gather(options: Options) -> list[Object]:
    async with connected(options) as api:
        return await listed(api)


@asynccontextmanager
async def connected(options: Options) -> AsyncIterator[Api]:
    """Connect to the cluster that is asked for; where it does not answer, say what may help."""
    access = Access(options.kubeconfig, options.context)
    try:
        await access.load()
    except Usage as error:
        if options.file_named or (options.named and not isinstance(error, NoKubeconfig)):
            raise
        # Nobody wrote anything wrong: there is no cluster where one would be.
        raise Unreachable(str(error)) from error
    async with Api(access) as api:
        try:
            yield api
        except NoAnswer as error:
            fix = (
                f"see that {access.host} is the right API server and answers, or give another --context or --kubeconfig"
            )
            raise NoAnswer(f"{error}: {fix}") from error


async def listed(cluster: Cluster) -> list[Object]:
    """List every kind of facts side by side; CRDs by their names alone."""
    whole = [_list(cluster, kind, Selection()) for kind in FACTS]
    found = await asyncio.gather(*whole, _list(cluster, kinds.CRD, Selection(metadata_only=True)))
    served = {obj["metadata"]["name"] for obj in found[-1]}
    # By which others make roles: asked for only where they are, for most people may not list them.
    theirs = [kind for some in kinds.CONTROLLED.values() for kind in some if kind.crd in served]
    found += await asyncio.gather(*(_list(cluster, kind, Selection()) for kind in theirs))
    objects = [obj for each in found for obj in each]
    if any(obj["kind"] == kinds.EXCEPTION.kind for obj in objects):
        for kind in GUARDS:
            objects += await _list(cluster, kind, Selection())
    return objects


async def _list(cluster: Cluster, kind: Kind, selection: Selection) -> list[Object]:
    try:
        page = await cluster.list(kind, selection)
    except Rejected as error:
        if error.status == 403:
            output.say(f"{kind.plural} may not be listed, so they count as absent: {error.message}")
            return []
        if error.status == 404:
            return []
        raise
    return [{**obj, "apiVersion": kind.api_version, "kind": kind.kind} for obj in page.items]
