"""Who makes roles in AWS: the operator itself (Direct), or another controller by its custom resources."""

from collections.abc import Mapping
from typing import Final

from pipesegment import names
from pipesegment.compile.iam.ack import Ack
from pipesegment.compile.iam.controlled import Backend
from pipesegment.compile.iam.crossplane import Crossplane

DIRECT: Final = "Direct"
#: The controllers, by what a class calls them, and the API versions of what each is told by.
CONTROLLERS: Final[Mapping[str, Backend]] = {"ACK": Ack(), "Crossplane": Crossplane()}
VERSIONS: Final[Mapping[str, frozenset[str]]] = {
    "ACK": frozenset({names.ACK_IAM, names.ACK_EKS}),
    "Crossplane": frozenset({names.CROSSPLANE_IAM, names.CROSSPLANE_EKS}),
}


def maker(api_version: str) -> str:
    """Name who makes objects of a version."""
    return next((name for name, versions in VERSIONS.items() if api_version in versions), DIRECT)
