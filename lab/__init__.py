"""The lab: what tests, the demo and the benchmarks run against.

It builds the real control plane from pinned Go modules, starts it on loopback, and hands out credentials and a small
client. Only the demo, the judges' drivers and the network lab's scenarios know the operator; the lab is never part of the
distribution.
"""
