"""Why a request is not accepted, each with the HTTP status to answer and what the service does then.

    ReceiveError
    ├── HandshakeRefused    403  the subscription ends as EXPIRED
    ├── BadToken            401  the subscription ends with ACCESS_TOKEN_EXPIRED
    ├── BadSignature        403  this event is given up, the next goes on
    │   └── UnknownKey      503  the event comes again
    ├── KeysUnavailable     503  the event comes again
    ├── MethodNotAllowed    405  this event is given up
    ├── WrongType           415  this event is given up
    ├── TooLarge            413  this event is given up
    ├── InvalidNotification 400  this event is given up
    ├── BeingHandled        503  the event comes again
    ├── TryLater            503  the event comes again; for handlers
    ├── Refuse              422  this event is given up; for handlers
    └── Gone                410  the subscription ends; for handlers

Source: docs/delivery-policy.md, What an answer means. A bad signature is never a 401, which would end the
subscription. The texts repeat nothing of the request.
"""

import math

from webrtc_events_client.consumer.messages import Response

__all__ = [
    "BadSignature",
    "BadToken",
    "BeingHandled",
    "Gone",
    "HandshakeRefused",
    "InvalidNotification",
    "KeysUnavailable",
    "MethodNotAllowed",
    "ReceiveError",
    "Refuse",
    "TooLarge",
    "TryLater",
    "UnknownKey",
    "WrongType",
]


class ReceiveError(Exception):
    """`status` and `headers` are those of the answer; the text is its body."""

    status = 500
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> Response:
        plain = ("Content-Type", "text/plain; charset=utf-8")
        return Response(self.status, (*self.headers, plain), f"{self}\n".encode())


class HandshakeRefused(ReceiveError):
    """Another sender than we agree to asks whether it may send."""

    status = 403


class BadToken(ReceiveError):
    """The access token is missing, or none of ours."""

    status = 401
    headers = (("WWW-Authenticate", "Bearer"),)


class BadSignature(ReceiveError):
    """The request is not signed, or its signature does not hold."""

    status = 403


class UnknownKey(BadSignature):
    """The service has not published the key: perhaps it does so in a moment."""

    status = 503
    headers = (("Retry-After", "5"),)


class KeysUnavailable(ReceiveError):
    """The keys of the service cannot be fetched."""

    status = 503
    headers = (("Retry-After", "5"),)


class MethodNotAllowed(ReceiveError):
    """Notifications are POSTed."""

    status = 405
    headers = (("Allow", "POST, OPTIONS"),)


class WrongType(ReceiveError):
    """The body is no CloudEvent in the structured JSON form."""

    status = 415


class TooLarge(ReceiveError):
    """The body is larger than the receiver takes."""

    status = 413


class InvalidNotification(ReceiveError):
    """The body is no valid notification."""

    status = 400


class BeingHandled(ReceiveError):
    """The same event is being handled; a repeat must wait for the outcome."""

    status = 503
    headers = (("Retry-After", "1"),)


class TryLater(ReceiveError):
    """To be raised by a handler that cannot take the event now: it comes again."""

    status = 503

    def __init__(self, text: str = "try later", *, after_s: float = 1) -> None:
        """`after_s`: least delay, in seconds. No delay passes the event's deadline."""
        super().__init__(text)
        self.headers = (("Retry-After", str(max(0, math.ceil(after_s)))),)


class Refuse(ReceiveError):
    """To be raised by a handler that will never take this event: the service gives it up, and goes on."""

    status = 422


class Gone(ReceiveError):
    """To be raised by a handler that wants nothing more: the subscription ends, without a notification."""

    status = 410
