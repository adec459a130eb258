"""Spec: the models of every kind, their units, their status, and the way from a model to a CRD. Never a client."""
