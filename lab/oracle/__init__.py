"""Independent judges: other people's engines that are asked the questions our own evaluators answer.

Unlike the rest of the lab this package knows the operator's: comparing the two is its purpose. README.md tells the contract.
"""
