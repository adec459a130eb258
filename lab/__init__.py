"""The lab: what tests, the demo and the benchmarks run against.

It builds the real control plane from pinned Go modules, starts it on loopback, and hands out credentials and a small
client. It knows nothing of the operator and is never part of the distribution.
"""
