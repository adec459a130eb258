"""Plan: desired objects against live ones: what is created, configured, left, deleted, and in which safe order. Pure."""
