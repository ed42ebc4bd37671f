"""Answers to browsers: pages of which web origins may use the API.

There are no cookies here: a page sends a token or gets nothing. So this protects no session, it only permits.
Source: Fetch Standard, 3.2 (CORS protocol).
"""

from collections.abc import Collection, Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webrtc_events.core.request_context import known_as
from webrtc_events.telemetry.families import PREFLIGHT

__all__ = ["Cors", "Origins", "Preflights"]

Header = tuple[bytes, bytes]

_PREFLIGHT: Sequence[Header] = (
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Last-Event-ID, x-correlator"),
    (b"access-control-max-age", b"600"),
)
_EXPOSED = (
    b"access-control-expose-headers",
    b"x-correlator, Retry-After, WWW-Authenticate, X-Total-Count, Link",
)
_VARY = (b"vary", b"Origin")


class Origins:
    """The web origins whose pages may use the API, as `setting_values.origins` reads them."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def permit(self, origin: str) -> bool:
        """`origin` as a browser sends it."""
        host, _, port = origin.rpartition(":")
        any_port = f"{host}:*" if port.isdecimal() else origin
        return origin in self._origins or any_port in self._origins


class Cors:
    """Says on each answer below `prefixes` which page may read it, whatever it answers."""

    def __init__(self, app: ASGIApp, prefixes: Collection[str], origins: Origins) -> None:
        self._app = app
        self._prefixes = _below(prefixes)
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(self._prefixes):
            send = _Answer(send, _permitted(scope, self._origins)).send
        await self._app(scope, receive, send)


class Preflights:
    """Answers what a browser asks before it lets a page of `origins` use the paths below `prefixes`.

    It is below what counts and logs requests (middleware.py), and `Cors` is above.
    """

    def __init__(self, app: ASGIApp, prefixes: Collection[str], origins: Origins) -> None:
        self._app = app
        self._prefixes = _below(prefixes)
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = _is_preflight(scope) and scope["path"].startswith(self._prefixes)
        if not asks or _permitted(scope, self._origins) is None:
            await self._app(scope, receive, send)
            return
        known_as(operation=PREFLIGHT)
        await send({"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT]})
        await send({"type": "http.response.body", "body": b""})


def _below(prefixes: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}/" for prefix in prefixes)


def _permitted(scope: Scope, origins: Origins) -> bytes | None:
    """The origin of the page that asks, if its pages may."""
    given = [value for name, value in scope["headers"] if name == b"origin"]
    if len(given) != 1 or not origins.permit(given[0].decode("latin-1")):
        return None
    return bytes(given[0])


class _Answer:
    """The way back to a page, or to whoever else asks."""

    def __init__(self, send: Send, origin: bytes | None) -> None:
        self._send = send
        self._origin = origin

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [_VARY]
            if self._origin is not None:
                more += [(b"access-control-allow-origin", self._origin), _EXPOSED]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await self._send(message)


def _is_preflight(scope: Scope) -> bool:
    asks = any(name == b"access-control-request-method" for name, _ in scope["headers"])
    return bool(scope["method"] == "OPTIONS" and asks)
