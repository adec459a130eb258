"""Reach: the one room where it is decided what a stage reaches.

`resolve(segment, snapshot) -> Reach` turns declarations into a graph of edges, each with its `because`. May import
`facts` and `spec`. Knows no engine's language: NetworkPolicy and Istio are `compile`'s.
"""
