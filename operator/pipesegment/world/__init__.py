"""World: the only room with I/O: the API client, informers, the queue, the leader lease, and an in-memory twin."""
