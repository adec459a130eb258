"""What botocore raises, in the words of this program."""

from http import HTTPStatus
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from pipesegment.errors import NoCredentials, Rejected, Unreachable

_NOBODY: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    NoAuthTokenError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
#: Codes by which AWS says that it does not know who is asking.
_UNKNOWN_CALLER: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
#: Actions that botocore calls to become somebody at all.
_BECOMING: Final = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity"})
_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
_MISSING: Final = frozenset({"NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException"})
_TAKEN: Final = frozenset({"EntityAlreadyExists", "EntityAlreadyExistsException", "ResourceInUseException"})
#: What somebody may cure without our doing, though HTTP calls it a bad request.
_CURABLE: Final = frozenset({"ConcurrentModification", "DeleteConflict", "LimitExceeded", "ServiceQuotaExceeded"})


def told(error: BotoCoreError | ClientError | ResponseParserError) -> Unreachable:
    """Give an error of botocore as one of ours."""
    if isinstance(error, ResponseParserError):
        # Mostly the page of a proxy; botocore quotes it as a whole, and does not count the error among its own.
        return Unreachable(str(error).splitlines()[0][:256])
    if not isinstance(error, ClientError):
        text = str(error)[:256]
        return NoCredentials(text) if isinstance(error, _NOBODY) else Unreachable(text)
    answer, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
    if code in _UNKNOWN_CALLER or error.operation_name in _BECOMING:
        return NoCredentials(f"{error.operation_name}: {code}: {message}"[:256])
    return Rejected(_status(code, int(meta.get("HTTPStatusCode", 0))), code, message)


def _status(code: str, status: int) -> int:
    if code in _THROTTLED:
        return HTTPStatus.TOO_MANY_REQUESTS
    if code in _MISSING:
        return HTTPStatus.NOT_FOUND
    if code in _TAKEN or code.removesuffix("Exception") in _CURABLE:
        return HTTPStatus.CONFLICT
    return status or HTTPStatus.INTERNAL_SERVER_ERROR
