"""Every error that a caller of the API can be answered with.

    ServiceError
    ├── InvalidArgument     400 INVALID_ARGUMENT, or the more telling code of a create request
    ├── Unauthenticated     401 UNAUTHENTICATED
    │   └── InvalidToken    the same, for a token that was there
    ├── PermissionDenied    403 PERMISSION_DENIED
    │   └── InsufficientScope  the same, and the scope that is missing
    ├── SubscriptionMismatch 403 SUBSCRIPTION_MISMATCH
    ├── NotFound            404 NOT_FOUND
    ├── MethodNotAllowed    405 METHOD_NOT_ALLOWED
    ├── NotAcceptable       406 NOT_ACCEPTABLE
    ├── RequestTimeout      408 REQUEST_TIMEOUT
    ├── SubscriptionEnded   409 INCOMPATIBLE_STATE
    ├── ContentTooLarge     413 CONTENT_TOO_LARGE
    ├── UnsupportedMediaType 415 UNSUPPORTED_MEDIA_TYPE
    ├── Unprocessable       422, the code says which rule
    ├── TooManyRequests     429 TOO_MANY_REQUESTS
    ├── Internal            500 INTERNAL
    │   └── DamagedRecord   the same, the log says which record and why
    ├── Unimplemented       501 NOT_IMPLEMENTED
    └── Unavailable         503 UNAVAILABLE
        ├── NewerRelease    the same
        └── Unreachable     the same, for whatever else is asked of the store now

Source: CAMARA API Design Guide (Commonalities 0.6), section 3, and webrtc-events.yaml.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

__all__ = [
    "ContentTooLarge",
    "DamagedRecord",
    "InsufficientScope",
    "Internal",
    "InvalidArgument",
    "InvalidToken",
    "MethodNotAllowed",
    "NewerRelease",
    "NotAcceptable",
    "NotFound",
    "PermissionDenied",
    "RequestTimeout",
    "ServiceError",
    "SubscriptionEnded",
    "SubscriptionMismatch",
    "TokenFault",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unprocessable",
    "Unreachable",
    "UnsupportedMediaType",
    "by_status",
]


class ServiceError(Exception):
    """An answer other than success; `headers` go with it."""

    status: ClassVar[int] = 500
    code: str = "INTERNAL"
    message: str = "The service met an unexpected condition."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.code = code or type(self).code
        self.headers = headers or {}
        super().__init__(self.message)


class InvalidArgument(ServiceError):
    status = 400
    code = "INVALID_ARGUMENT"
    message = "The request is not valid."


class Unauthenticated(ServiceError):
    """There is no access token, or none in a form that is known (RFC 6750, section 3.1)."""

    status = 401
    code = "UNAUTHENTICATED"
    message = "Valid credentials are needed. Authenticate and try again."

    def __init__(self, challenge: str = "Bearer") -> None:
        super().__init__(headers={"WWW-Authenticate": challenge})


class TokenFault(StrEnum):
    """What is wrong with an access token."""

    FORM = "form"
    KEY = "key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    CLIENT = "client"


class InvalidToken(Unauthenticated):
    """`fault`, `detail` and `client` are for the log: an answer that says why helps to forge tokens.

    `client` is whom a token names that the issuer did sign, else empty.

    Sources: CAMARA API Design Guide, section 3.1; RFC 6750, section 3.
    """

    _DESCRIPTION = "The access token is expired, not for this service, or invalid for another reason"

    def __init__(self, fault: TokenFault, detail: str) -> None:
        super().__init__(f'Bearer error="invalid_token", error_description="{self._DESCRIPTION}"')
        self.fault = fault
        self.detail = detail
        self.client = ""


class PermissionDenied(ServiceError):
    status = 403
    code = "PERMISSION_DENIED"
    message = "The access token does not permit this."


class InsufficientScope(PermissionDenied):
    """The access token has none of `scopes`, one of which would do; `every`: all are needed (RFC 6750, 3)."""

    def __init__(self, scopes: Iterable[str], *, every: bool = False) -> None:
        self.scopes = sorted(scopes)
        needed = (" and " if every else " or ").join(self.scopes)
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(self.scopes)}"'
        super().__init__(
            f"The access token lacks the scope {needed}.", headers={"WWW-Authenticate": challenge}
        )


class SubscriptionMismatch(ServiceError):
    status = 403
    code = "SUBSCRIPTION_MISMATCH"
    message = "The access token does not match the subscription asked for."


class NotFound(ServiceError):
    status = 404
    code = "NOT_FOUND"
    message = "There is no such resource."


class MethodNotAllowed(ServiceError):
    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This resource does not support the method."


class NotAcceptable(ServiceError):
    status = 406
    code = "NOT_ACCEPTABLE"
    message = "None of the accepted media types can be served."


class RequestTimeout(ServiceError):
    status = 408
    code = "REQUEST_TIMEOUT"
    message = "The request came too slowly; send it again."


class SubscriptionEnded(ServiceError):
    """Source: webrtc-events-subscriptions.yaml, IncompatibleState409."""

    status = 409
    code = "INCOMPATIBLE_STATE"
    message = "The subscription has ended; make a new one."


class ContentTooLarge(ServiceError):
    status = 413
    code = "CONTENT_TOO_LARGE"
    message = "The request body is too large."


class UnsupportedMediaType(ServiceError):
    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "The request body's media type is not supported."


class Unprocessable(ServiceError):
    """`code` must be one of webrtc-events.yaml, CreateSubscriptionUnprocessableEntity422."""

    status = 422
    code = "SERVICE_NOT_APPLICABLE"
    message = "The service does not apply to what was asked for."


class TooManyRequests(ServiceError):
    status = 429
    code = "TOO_MANY_REQUESTS"
    message = "Too many requests; try again later."


class Internal(ServiceError):
    pass


class DamagedRecord(Internal):
    """What the store keeps cannot be read. `name` and `why` are for the log.

    `name` is a subscription's id or the name of a key; empty if it is not known here.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__()
        self.name = name
        self.why = why


class Unimplemented(ServiceError):
    """What a handler stub answers until it is written."""

    status = 501
    code = "NOT_IMPLEMENTED"
    message = "This operation is not implemented yet."


class Unavailable(ServiceError):
    status = 503
    code = "UNAVAILABLE"
    message = "The service is not available at the moment; try again."


class NewerRelease(Unavailable):
    """While the service is upgraded: this is for a process that runs the newer release already."""

    message = "A newer release of the service keeps this; try again."


class Unreachable(Unavailable):
    """The store does not answer: nor would it to who asks something else at the moment."""


_BY_STATUS: dict[int, type[ServiceError]] = {
    error.status: error
    for error in (
        InvalidArgument,
        PermissionDenied,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        RequestTimeout,
        ContentTooLarge,
        UnsupportedMediaType,
        TooManyRequests,
        Internal,
        Unavailable,
    )
}


def by_status(status: int, message: str | None = None) -> ServiceError:
    """The error for a framework's HTTP status; unknown ones fall to their class (4xx, 5xx)."""
    if status == Unauthenticated.status:
        return Unauthenticated()
    fallback = InvalidArgument if 400 <= status < 500 else Internal
    return _BY_STATUS.get(status, fallback)(message)
