"""Every mutant."""

from typing import Final

from tests.mutation import (
    in_amazon,
    in_ambient,
    in_endpoints,
    in_exceptions,
    in_identity,
    in_linkerd,
    in_meshes,
    in_names,
    in_networks,
    in_reach,
)

MUTANTS: Final = (
    *in_networks.MUTANTS,
    *in_amazon.MUTANTS,
    *in_names.MUTANTS,
    *in_meshes.MUTANTS,
    *in_ambient.MUTANTS,
    *in_linkerd.MUTANTS,
    *in_reach.MUTANTS,
    *in_identity.MUTANTS,
    *in_endpoints.MUTANTS,
    *in_exceptions.MUTANTS,
)
