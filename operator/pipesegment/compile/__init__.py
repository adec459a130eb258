"""Compile: one file per target language, each a pure function from Reach to objects.

May import `reach` and `facts`. No clock, no random, no network: the same Reach always gives the same bytes.
"""
