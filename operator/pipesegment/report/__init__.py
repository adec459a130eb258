"""Report: an outcome becomes conditions, Events, metrics and audit lines. Pure."""
