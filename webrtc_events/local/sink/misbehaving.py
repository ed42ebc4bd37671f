"""An ASGI application in front of the sink's: it hangs, drops and drips, and holds no thread for it."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webrtc_events.local.sink.behaviours import Misbehaviour
from webrtc_events.local.sink.connection_in_scope import connection
from webrtc_events.local.sink.held_requests import HeldRequest, HeldRequests

__all__ = ["Misbehaving", "note"]

_NOTE = "webrtc_events.misbehaviour"
_BYTE_EVERY_S = 1.0
# A right answer, for a client with the patience.
_DRIPPED = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


def note(scope: MutableMapping[str, Any], misbehaviour: Misbehaviour) -> None:
    """Makes the request of this scope end so. Call it before the answer begins."""
    scope.setdefault("extensions", {})[_NOTE] = misbehaviour


class Misbehaving:
    """Serves what `app` serves, but for requests that it has made a `note` for.

    The server's protocol is that of `connection_in_scope`. `held` ends what hangs or drips.
    """

    def __init__(self, app: ASGIApp, held: HeldRequests, byte_every_s: float = _BYTE_EVERY_S) -> None:
        self._app = app
        self._held = held
        self._byte_every_s = byte_every_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_unless_noted(message: Message) -> None:
            if _NOTE not in scope.get("extensions", {}):
                await send(message)

        await self._app(scope, receive, send_unless_noted)
        if (misbehaviour := scope.get("extensions", {}).get(_NOTE)) is not None:
            await self._end(misbehaviour, scope, receive)

    async def _end(self, misbehaviour: Misbehaviour, scope: Scope, receive: Receive) -> None:
        transport = connection(scope)
        gone = asyncio.create_task(_disconnected(receive))
        if misbehaviour is not Misbehaviour.DROP:
            with self._held.hold() as held:
                if misbehaviour is Misbehaviour.HANG:
                    await _either(gone, held, None)
                else:
                    await self._drip(transport, gone, held)
        transport.abort()
        # The server learns that there will be no answer.
        await gone

    async def _drip(self, transport: asyncio.Transport, gone: asyncio.Task[None], held: HeldRequest) -> None:
        for byte in _DRIPPED:
            transport.write(bytes([byte]))
            if await _either(gone, held, self._byte_every_s):
                return


async def _either(gone: asyncio.Task[None], held: HeldRequest, timeout_s: float | None) -> bool:
    """Whether the client is gone or the request is released, within `timeout_s`; None waits until then."""
    released = asyncio.create_task(held.released.wait())
    try:
        done, _ = await asyncio.wait({gone, released}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        released.cancel()
        with suppress(asyncio.CancelledError):
            await released
    return bool(done)


async def _disconnected(receive: Receive) -> None:
    """What is left of the body is not read by anybody."""
    while (await receive())["type"] != "http.disconnect":
        pass
