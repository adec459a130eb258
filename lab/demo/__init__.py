"""`make demo`: a pipeline is fenced in on a real control plane, while you watch."""
