"""The compilers put together: a segment's Reach becomes everything that should exist for it."""

from pipesegment.compile import namesakes
from pipesegment.compile.ambient import ambient_objects
from pipesegment.compile.canonical import sort_key, stamped
from pipesegment.compile.cilium import cilium_policies
from pipesegment.compile.desired import Desired
from pipesegment.compile.expressible import split
from pipesegment.compile.granted import granted_calls
from pipesegment.compile.groups import security_groups
from pipesegment.compile.iam.identity import identities
from pipesegment.compile.identity import role_bindings, service_accounts
from pipesegment.compile.istio import istio_objects
from pipesegment.compile.linkerd import linkerd_objects
from pipesegment.compile.networkpolicy import network_policies
from pipesegment.compile.wire import on_the_wire
from pipesegment.reach.graph import Reach


def compile_segment(reach: Reach) -> Desired:
    """Compile a Reach to objects, sorted and stamped with their fingerprint; the same Reach gives the same bytes.

    Whether the segment is suspended or its class stalled decides what may be applied, not what is desired: that is for
    `plan`. Raises Refused when two stages share a service account, or two objects a name.
    """
    said = split(reach)
    wire = on_the_wire(said.reach)
    identified = identities(said.reach)
    objects = [
        *identified.objects,
        *service_accounts(said.reach, identified.annotations),
        *role_bindings(said.reach),
        *security_groups(said.reach),
        *network_policies(wire),
        *cilium_policies(wire),
        *istio_objects(said.reach),
        *ambient_objects(said.reach),
        *linkerd_objects(said.reach),
        *granted_calls(said.reach),
    ]
    namesakes.refuse(said.reach, objects)
    in_order = sorted(map(stamped, objects), key=sort_key)
    return Desired(reach.segment, reach.uid, tuple(in_order), (*said.gaps, *identified.gaps), said.coarse)
