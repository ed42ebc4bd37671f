"""What an operator is to do about an answer that holds the queue of an adapter. Pure."""

from typing import Final

__all__ = ["ANOTHER", "AWAY", "UNAUTHORIZED", "todo_about"]

UNAUTHORIZED: Final = (
    "look at --issuer, --client-id and the secret; the client needs the grant client_credentials, "
    "and must not be suspended"
)
AWAY: Final = "look at the service, the network, and --ca-file"
ANOTHER: Final = "name the API root with --service: /network/v0 follows it"

_UNTRUSTED: Final = (
    "the service does not take this issuer's tokens: look at --issuer and at the token's audience"
)
_FORBIDDEN: Final = (
    "give the client the scope webrtc-events:network, and end its suspension; or a proxy before the service "
    "forbids it"
)
_BUSY: Final = "the service, or a proxy before it, limits its clients' rate: look at its limits"
_REFUSED: Final = "look at --service, and at the proxy before the service: it refuses what the service takes"


def todo_about(status: int) -> str:
    """`status` is that of HTTP."""
    match status:
        case 401 | 407:
            return _UNTRUSTED
        case 403:
            return _FORBIDDEN
        case 404 | 405 | 410:
            return ANOTHER
        case 408 | 425 | 429:
            return _BUSY
        case _ if 400 <= status < 500:
            return _REFUSED
        case _ if 300 <= status < 400:
            return ANOTHER
    return AWAY
