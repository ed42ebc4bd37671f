"""An HTTP server in a separate thread: uvicorn on sockets that are already bound.

Uvicorn takes the process's signals only in the main thread. Here it never runs there, so
that one place, `serve`, decides what stops when.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware

from webrtc_events.api.http_protocol import HttpProtocol
from webrtc_events.api.websocket_protocol import WebSocketProtocol
from webrtc_events.local.local_error import LocalError

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["HttpServer", "Tls", "asgi"]

_START_TIMEOUT_S = 30.0
# Requests that are under way get this long; then their connections are closed.
_GRACE_S = 5
_KEEP_ALIVE_S = 3600
# Uvicorn looks ten times a second whether it is to stop, and then once more.
_SETTLE_S = 0.4
_TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the server's certificate and key."""

    certificate: Path
    key: Path


def asgi(app: "Flask") -> Any:
    """A Flask application as an ASGI one; its type hints and the bridge's differ in form only."""
    return WSGIMiddleware(cast(Any, app))


class _Server(uvicorn.Server):
    """Tells whoever waits when it serves; `started` says whether it does."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.began_or_ended = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.began_or_ended.set()


class HttpServer:
    """`start` once, `stop` once. `app` is an ASGI application, `protocol` one of HTTP/1.1.

    `websockets`: the application takes them too; else whoever asks for one is answered in HTTP.
    """

    def __init__(
        self,
        name: str,
        app: Any,
        sockets: list[socket.socket],
        tls: Tls | None = None,
        protocol: type[HttpProtocol] = HttpProtocol,
        *,
        websockets: bool = False,
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws=WebSocketProtocol if websockets else "none",
            http=protocol,
            loop="asyncio",
            # A TLS connection that uvicorn closed for idling, and whose client does not answer,
            # could no longer be aborted when the server stops.
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=tls.certificate if tls else None,
            ssl_keyfile=tls.key if tls else None,
        )
        self.name = name
        self._sockets = sockets
        self._server = _Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Returns when requests are served.

        Raises:
            LocalError: the application did not start; its log says why.
        """
        self._thread.start()
        self._server.began_or_ended.wait(_START_TIMEOUT_S)
        if not self._server.started:
            raise LocalError(f"the {self.name} server did not start; see the messages above")

    def alive(self) -> bool:
        return self._thread.is_alive()

    def begin_to_stop(self) -> None:
        """What `stop` does first, so that servers that stop together need not wait for each other."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Takes no new connection, lets requests end within the grace, and returns."""
        self.begin_to_stop()
        self._thread.join(_SETTLE_S)
        for _ in range(round(_GRACE_S / _TURN_S)):
            if not self._thread.is_alive() or not self._server.server_state.tasks:
                break
            self._thread.join(_TURN_S)
        # An idle TLS client need not answer a close, and would be waited for.
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop has ended.
                self._loop.call_soon_threadsafe(self._abort)
        self._thread.join(_GRACE_S + 1)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            for listener in self._sockets:
                listener.close()
            self._server.began_or_ended.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=self._sockets)

    def _abort(self) -> None:
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
