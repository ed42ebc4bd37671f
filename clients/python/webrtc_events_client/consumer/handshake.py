"""The answer to a service that asks whether it may send: CloudEvents 1.0.2, HTTP 1.1 Web Hooks, section 4."""

from collections.abc import Collection

from webrtc_events_client.consumer.errors import HandshakeRefused
from webrtc_events_client.consumer.messages import Request, Response

__all__ = ["answer_question", "is_question"]

_ALLOW = ("Allow", "POST, OPTIONS")


def is_question(request: Request) -> bool:
    """Whether it asks that. Other OPTIONS requests are of browsers and scanners, and are no consent."""
    return request.method == "OPTIONS" and "webhook-request-origin" in request.headers


def answer_question(request: Request, agree_to: Collection[str], rate: int | None) -> Response:
    """
    Args:
        agree_to: the names of services that may send, letter by letter; `*` is any.
        rate: notifications a minute, for all subscriptions to this URL together; None is any.

    Raises:
        HandshakeRefused: it is another service.
    """
    origin = request.headers["webhook-request-origin"]
    if origin not in agree_to and "*" not in agree_to:
        raise HandshakeRefused("this sink does not agree to notifications of that origin")
    allowed_rate = "*" if rate is None else str(rate)
    # Letter by letter as it was asked. A value with a line break does not get through any HTTP server.
    agreed = ("WebHook-Allowed-Origin", origin if origin in agree_to else "*")
    return Response(204, (agreed, ("WebHook-Allowed-Rate", allowed_rate), _ALLOW))
