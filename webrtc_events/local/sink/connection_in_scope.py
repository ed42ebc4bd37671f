"""HTTP as everywhere in the service, whose applications can reach the connection of a request."""

import asyncio

from starlette.types import Scope

from webrtc_events.api.http_protocol import HttpProtocol

__all__ = ["ConnectionInScope", "connection"]

_CONNECTION = "webrtc_events.connection"


class ConnectionInScope(HttpProtocol):
    """For uvicorn's option `http`. ASGI has no way to break off a connection, or to send half a head."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_CONNECTION: self.transport}  # type: ignore[dict-item]


def connection(scope: Scope) -> asyncio.Transport:
    """Whoever writes to it or aborts it sends no answer by ASGI."""
    transport: asyncio.Transport = scope["extensions"][_CONNECTION]
    return transport
