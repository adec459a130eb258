"""`python -m pipesegment` is the command line."""

from pipesegment.cli import main

main()
