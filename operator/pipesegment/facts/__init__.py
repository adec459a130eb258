"""Facts: what the surroundings of a segment are, as frozen values.

May import `spec`, `names`, `errors`, `findings`. Holds no client: `world` fills a Snapshot from informers, the command
line from YAML files, by the same `facts.parse`.
"""
