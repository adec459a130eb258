"""People who sign in at an OpenID Connect issuer: what the API server knows of them, and whom it does not believe."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.controlplane import EmbeddedControlPlane, Options
from lab.controlplane.oidc import EXTRA_KEY
from tests.planes import started


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[EmbeddedControlPlane]:
    with started(request, Options(oidc=True)) as plane:
        yield plane


def whoami(plane: EmbeddedControlPlane, token: str) -> tuple[int, dict[str, Any]]:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    status, content = plane.access(token=token).request("POST", path, review)
    return status, json.loads(content)["status"]["userInfo"] if status == 201 else {}


def test_a_second_factor_shows_in_the_users_extra(plane: EmbeddedControlPlane):
    assert plane.issuer is not None

    status, user = whoami(plane, plane.issuer.token("ann@example.com", groups=["oncall"], amr=["pwd", "mfa"]))

    assert status == 201
    assert user["username"] == "oidc:ann@example.com"
    assert user["uid"] == "sub-ann@example.com"
    assert user["groups"] == ["oidc:oncall", "system:authenticated"]
    assert user["extra"][EXTRA_KEY] == ["pwd", "mfa"]


def test_a_token_without_the_claim_has_no_such_extra(plane: EmbeddedControlPlane):
    assert plane.issuer is not None

    status, user = whoami(plane, plane.issuer.token("ann@example.com"))

    assert status == 201
    assert EXTRA_KEY not in user.get("extra", {})


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another"}, {"iss": "https://127.0.0.1:1"}, {"exp": 1}],
    ids=["another audience", "another issuer", "expired"],
)
def test_a_token_that_is_for_somebody_else_is_none(plane: EmbeddedControlPlane, claims: dict[str, Any]):
    assert plane.issuer is not None

    assert whoami(plane, plane.issuer.token("ann@example.com", **claims))[0] == 401


def test_a_token_that_was_changed_is_none(plane: EmbeddedControlPlane):
    assert plane.issuer is not None
    header, _, signature = plane.issuer.token("ann@example.com").split(".")
    payload = plane.issuer.token("ann@example.com", groups=["system:masters"]).split(".")[1]

    assert whoami(plane, f"{header}.{payload}.{signature}")[0] == 401
