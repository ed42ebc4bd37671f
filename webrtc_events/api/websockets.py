"""WebSockets, from the handshake to the close: who may open one, and what it is closed with.

A page cannot send headers with it, so all that it has to say is in the subprotocols that it offers:

    webrtc-events.channels.v0          what both speak; the server selects this one, and repeats no other
    webrtc-events.token.<token>        the token of the channel
    webrtc-events.after.<id>           the id of the last event that the reader has, if there is one

No page sees the status of a handshake that failed. So what a program is to decide by comes as a close code
once the WebSocket is open: 4000 and the status that HTTP has for it.

Sources: RFC 6455, sections 1.9, 7.4 and 10.2; ASGI, WebSocket Denial Response.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from starlette.types import Message, Receive, Scope, Send

from webrtc_events.api.cors import Origins
from webrtc_events.api.failures import Failures
from webrtc_events.api.operation_threads import OperationThreads
from webrtc_events.core.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ServiceError,
    Unauthenticated,
)
from webrtc_events.core.model import ReaderToken
from webrtc_events.core.request_context import known_as

__all__ = ["REFUSED_WITH", "SUBPROTOCOL", "OpenSocket", "Socket", "WebSockets"]

SUBPROTOCOL = "webrtc-events.channels.v0"
REFUSED_WITH = "refused_with"
"""In a `websocket.accept`: the status of HTTP that its close says. Of this service, and not of ASGI."""

_TOKEN = "webrtc-events.token."  # noqa: S105 (what a token stands behind)
_AFTER = "webrtc-events.after."

_CODES = 4000
# Of the text beside a code, with which a control frame is full (RFC 6455, 5.5).
_REASON_BYTES = 123
# How many are admitted at once.
_THREADS = 16

Socket = Callable[[Receive, Send], Awaitable[None]]
"""Runs once the WebSocket is open, until its client has left; what it raises is why it is closed."""

OpenSocket = Callable[[str, ReaderToken, str], Socket]
"""Admits a reader to the channel of that id, by its token, after the event of that id. It may block."""


class WebSockets:
    """An ASGI application. `sockets`: by path, its parameter in braces, operation, API and who admits.

    What is wrong before anything is opened is raised, as for any request.
    """

    def __init__(
        self, sockets: Mapping[str, tuple[str, str, OpenSocket]], origins: Origins, failures: Failures
    ) -> None:
        self._sockets = [(_pattern(path), *opened) for path, opened in sockets.items()]
        self._origins = origins
        self._failures = failures
        self._threads = OperationThreads(_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Raises:
            NotFound: no WebSocket is there.
            PermissionDenied: it is asked for by a page whose origin may not.
            InvalidArgument: the client does not speak what is spoken there.
        """
        channel_id, admit = self._found(scope["path"])
        self._check_origin(scope)
        offered: Sequence[str] = scope["subprotocols"]
        if SUBPROTOCOL not in offered:
            raise InvalidArgument(f"Sec-WebSocket-Protocol: {SUBPROTOCOL} is not offered.")
        client = _Client(receive, send)
        try:
            await self._served(partial(admit, channel_id), offered, client)
        except Exception as error:  # noqa: BLE001 (whatever it is, the client is told that it is over)
            if client.has_left and isinstance(error, OSError):
                # So a server tells it to whoever sends (ASGI, 2.4).
                return
            failure = self._failures.answer(error, scope)
            await client.close(failure)

    async def _served(
        self, admit: Callable[[ReaderToken, str], Socket], offered: Sequence[str], client: "_Client"
    ) -> None:
        token, after = _values(offered, _TOKEN), _values(offered, _AFTER)
        if len(token) != 1:
            raise Unauthenticated
        if len(after) > 1:
            raise InvalidArgument(f"{_AFTER}… is offered more than once.")
        socket = await self._threads.run(partial(admit, ReaderToken(token[0]), "".join(after)))
        await client.open()
        await socket(client.receive, client.send)

    def _found(self, path: str) -> tuple[str, OpenSocket]:
        for pattern, operation, api, admit in self._sockets:
            match = pattern.fullmatch(path)
            if match is not None:
                known_as(operation=operation, api=api)
                return match[1], admit
        raise NotFound

    def _check_origin(self, scope: Scope) -> None:
        """Who sends none is no page. CORS alone would stop no page of another origin."""
        given = [value for name, value in scope["headers"] if name == b"origin"]
        if given and (len(given) > 1 or not self._origins.permit(given[0].decode("latin-1"))):
            raise PermissionDenied("Pages of this origin may not: CORS_ORIGINS does not have it.")


class _Client:
    """Whoever asked for the WebSocket."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_open = False
        self.has_left = False

    async def open(self, **more: int) -> None:
        """It learns which subprotocol is spoken."""
        self._is_open = True
        await self.send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL, **more})

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.connect":
            # What was asked with, and is dealt with.
            message = await self._receive()
        self.has_left = self.has_left or message["type"] == "websocket.disconnect"
        return message

    async def send(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:
            self.has_left = True
            raise

    async def close(self, why: ServiceError) -> None:
        """With a code that says why, unless it has left by itself."""
        if self.has_left:
            return
        try:
            if not self._is_open:
                await self.open(**{REFUSED_WITH: why.status})
            reason = f"{why.code}: {why.message}".encode()[:_REASON_BYTES].decode(errors="ignore")
            await self._send({"type": "websocket.close", "code": _CODES + why.status, "reason": reason})
        except OSError:
            self.has_left = True


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "([^/]*)", re.escape(path)))


def _values(offered: Sequence[str], prefix: str) -> list[str]:
    return [protocol.removeprefix(prefix) for protocol in offered if protocol.startswith(prefix)]
