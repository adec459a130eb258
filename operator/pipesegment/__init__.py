"""pipesegment: a pipeline stage reaches only what it declares, on the network, in IAM and in the mesh."""

__version__ = "0.1.0"
