"""Verify: is what is declared enforced now? What only a look at this moment can tell, and how all of it is told.

Pure: whoever looks, the command line, hands in what it saw. May import everything below `world`.
"""
