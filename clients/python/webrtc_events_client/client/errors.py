"""What can go wrong, as exceptions: an answer of the service by its code, no answer, no access token.

    ClientError
    ├── ApiError                      an answer with a status of 400 and above; `code` is of the contract, or
    '' │   ├── InvalidArgument           400 INVALID_ARGUMENT, and every other 400
    │   │   ├── OutOfRange, InvalidProtocol, InvalidCredential, InvalidToken, InvalidSink
    │   ├── Unauthenticated           401
    │   ├── PermissionDenied          403
    │   │   └── SubscriptionMismatch
    │   ├── NotFound                  404
    │   ├── RequestTimeout            408
    │   ├── Conflict                  409
    │   │   ├── Aborted, AlreadyExists, IncompatibleState
    │   ├── ContentTooLarge           413
    │   ├── Unprocessable             422
    │   │   ├── ServiceNotApplicable, MissingIdentifier, UnsupportedIdentifier, UnnecessaryIdentifier
    │   │   ├── MultieventNotSupported, MultieventTemporarilyNotSupported
    │   │   └── PrivateKeyJwtNotConfigured
    │   ├── TooManyRequests           429
    │   │   └── QuotaExceeded
    │   └── ServerError               500 and above
    │       ├── Internal              500
    │       ├── BadGateway            502, 504: a proxy's
    │       └── Unavailable           503
    ├── UnexpectedAnswer              an answer that is none of the contract's: a redirect, HTML, half of the
    JSON, too large ├── NoAnswer
    │   ├── NotConnected              nothing was sent
    │   └── AnswerLost                the service may have carried the request out, or not
    └── TokenUnavailable              the token source gave no access token

Source: webrtc-events.yaml, webrtc-events-subscriptions.yaml, network-events.yaml, components.responses.
"""

from typing import ClassVar

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AnswerLost",
    "ApiError",
    "BadGateway",
    "ClientError",
    "Conflict",
    "ContentTooLarge",
    "IncompatibleState",
    "Internal",
    "InvalidArgument",
    "InvalidCredential",
    "InvalidProtocol",
    "InvalidSink",
    "InvalidToken",
    "MissingIdentifier",
    "MultieventNotSupported",
    "MultieventTemporarilyNotSupported",
    "NoAnswer",
    "NotConnected",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "PrivateKeyJwtNotConfigured",
    "QuotaExceeded",
    "RequestTimeout",
    "ServerError",
    "ServiceNotApplicable",
    "SubscriptionMismatch",
    "TokenUnavailable",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "UnnecessaryIdentifier",
    "Unprocessable",
    "UnsupportedIdentifier",
    "error_class",
]


class ClientError(Exception):
    """`correlator` is the request's x-correlator: quote it when you report a problem.

    `uncertain`: the service may have carried the request out. `transient`: the same request may succeed
    later. `retry_after_s`: how long the service asks to wait, None if it does not say.
    """

    uncertain: bool = False
    transient: bool = False
    retry_after_s: float | None = None

    def __init__(self, message: str, *, correlator: str = "") -> None:
        self.message = message
        self.correlator = correlator
        super().__init__(f"{message} [x-correlator {correlator}]" if correlator else message)


class ApiError(ClientError):
    """`status` is the HTTP status. `code` is '' if the answer had no ErrorInfo; a proxy's has none."""

    code_of_class: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        correlator: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        super().__init__(
            f"{status} {code}: {message}" if code else f"{status}: {message}", correlator=correlator
        )


class InvalidArgument(ApiError):
    code_of_class = "INVALID_ARGUMENT"


class OutOfRange(InvalidArgument):
    code_of_class = "OUT_OF_RANGE"


class InvalidProtocol(InvalidArgument):
    code_of_class = "INVALID_PROTOCOL"


class InvalidCredential(InvalidArgument):
    code_of_class = "INVALID_CREDENTIAL"


class InvalidToken(InvalidArgument):
    """The kind of the sink's token is not offered. It says nothing of the access token of the request."""

    code_of_class = "INVALID_TOKEN"


class InvalidSink(InvalidArgument):
    code_of_class = "INVALID_SINK"


class Unauthenticated(ApiError):
    code_of_class = "UNAUTHENTICATED"


class PermissionDenied(ApiError):
    code_of_class = "PERMISSION_DENIED"


class SubscriptionMismatch(PermissionDenied):
    code_of_class = "SUBSCRIPTION_MISMATCH"


class NotFound(ApiError):
    code_of_class = "NOT_FOUND"


class RequestTimeout(ApiError):
    """The request came too slowly; the service has not read it whole."""

    code_of_class = "REQUEST_TIMEOUT"
    transient = True


class Conflict(ApiError):
    pass


class Aborted(Conflict):
    code_of_class = "ABORTED"
    transient = True


class AlreadyExists(Conflict):
    code_of_class = "ALREADY_EXISTS"


class IncompatibleState(Conflict):
    """What has ended cannot be renewed."""

    code_of_class = "INCOMPATIBLE_STATE"


class ContentTooLarge(ApiError):
    code_of_class = "CONTENT_TOO_LARGE"


class Unprocessable(ApiError):
    pass


class ServiceNotApplicable(Unprocessable):
    code_of_class = "SERVICE_NOT_APPLICABLE"


class MissingIdentifier(Unprocessable):
    code_of_class = "MISSING_IDENTIFIER"


class UnsupportedIdentifier(Unprocessable):
    code_of_class = "UNSUPPORTED_IDENTIFIER"


class UnnecessaryIdentifier(Unprocessable):
    code_of_class = "UNNECESSARY_IDENTIFIER"


class PrivateKeyJwtNotConfigured(Unprocessable):
    """The service has no keys to prove itself with; give it an access token."""

    code_of_class = "PRIVATE_KEY_JWT_NOT_CONFIGURED"


class MultieventNotSupported(Unprocessable):
    code_of_class = "MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"


class MultieventTemporarilyNotSupported(Unprocessable):
    code_of_class = "MULTIEVENT_COMBINATION_TEMPORARILY_NOT_SUPPORTED"


class TooManyRequests(ApiError):
    """The rate of requests, or a proxy's. Nothing was carried out."""

    code_of_class = "TOO_MANY_REQUESTS"
    transient = True


class QuotaExceeded(TooManyRequests):
    """The client has as many subscriptions as it may: waiting does not help."""

    code_of_class = "QUOTA_EXCEEDED"
    transient = False


class ServerError(ApiError):
    uncertain = True


class Internal(ServerError):
    code_of_class = "INTERNAL"
    transient = True


class Unavailable(ServerError):
    code_of_class = "UNAVAILABLE"
    transient = True


class BadGateway(ServerError):
    """A proxy got no usable answer (502, 504)."""

    transient = True


class UnexpectedAnswer(ClientError):
    """`status` is the HTTP status. What was asked for may have been done."""

    uncertain = True

    def __init__(self, message: str, *, status: int, correlator: str = "") -> None:
        self.status = status
        super().__init__(f"{status}: {message}", correlator=correlator)


class NoAnswer(ClientError):
    transient = True


class NotConnected(NoAnswer):
    pass


class AnswerLost(NoAnswer):
    uncertain = True


class TokenUnavailable(ClientError):
    """`code` is the OAuth error, such as `invalid_client`, or ''."""

    def __init__(self, message: str, *, code: str = "", correlator: str = "") -> None:
        self.code = code
        super().__init__(message, correlator=correlator)


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidArgument,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    408: RequestTimeout,
    409: Conflict,
    413: ContentTooLarge,
    422: Unprocessable,
    429: TooManyRequests,
    500: Internal,
    502: BadGateway,
    503: Unavailable,
    504: BadGateway,
}


def _heirs(parent: type[ApiError]) -> list[type[ApiError]]:
    return [heir for child in parent.__subclasses__() for heir in (child, *_heirs(child))]


_BY_CODE: dict[str, type[ApiError]] = {
    heir.code_of_class: heir for heir in _heirs(ApiError) if heir.code_of_class
}


def error_class(status: int, code: str) -> type[ApiError]:
    """The class for an answer. A code that is not known is as its status is; so is one at a status of
    another kind.
    """
    by_status = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    by_code = _BY_CODE.get(code, by_status)
    return by_code if issubclass(by_code, by_status) else by_status
