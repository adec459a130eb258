"""The in-memory twin holds what a real API server holds: tests/cluster/test_world.py plays the same scenarios."""

from pipesegment.world.memory import MemoryCluster
from tests.unit.world.door import Door, by_name


def merged(obj, patch):
    """Apply a JSON merge patch (RFC 7396) in place."""
    for key, value in patch.items():
        if value is None:
            obj.pop(key, None)
        elif isinstance(value, dict):
            merged(obj.setdefault(key, {}), value)
        else:
            obj[key] = value


@by_name
async def test_the_twin_is_like_a_cluster(scenario):
    cluster = MemoryCluster(page_size=3)
    cluster.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})

    async def change(target, patch):
        cluster.edit(target, lambda obj: merged(obj, patch))

    await scenario(Door(cluster, "shop", change))
