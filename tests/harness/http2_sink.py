"""A TLS sink that speaks HTTP/2."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import StreamEnded

from tests.harness.authority import Authority

__all__ = ["Act", "Http2Sink", "go_away", "refuse_stream"]

Act = Callable[[H2Connection, int], None]
"""What is done about the request on a stream."""


def refuse_stream(http: H2Connection, stream: int) -> None:
    http.reset_stream(stream, ErrorCodes.REFUSED_STREAM)


def go_away(http: H2Connection, stream: int) -> None:
    """No request was looked at, and the connection ends."""
    http.close_connection(last_stream_id=0)


class Http2Sink:
    """Context manager, on 127.0.0.1. Acts once `together` requests are there, on one connection.

    `act` may be replaced at any time; it answers 204 with `headers` unless it is set. `requests` counts them.
    """

    def __init__(
        self,
        authority: Authority,
        together: int = 1,
        headers: tuple[tuple[str, str], ...] = (),
        act: Act | None = None,
    ) -> None:
        self._head = [(":status", "204"), *headers]
        self.act: Act = act or self.answer
        self.requests = 0
        self._context = authority.context("localhost", "127.0.0.1")
        self._context.set_alpn_protocols(["h2"])
        self._together = together
        self._open: list[socket.socket] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def answer(self, http: H2Connection, stream: int) -> None:
        http.send_headers(stream, self._head, end_stream=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            self._converse(connection)

    def _converse(self, connection: ssl.SSLSocket) -> None:
        http = H2Connection(H2Configuration(client_side=False))
        http.initiate_connection()
        connection.sendall(http.data_to_send())
        asked: list[int] = []
        while data := connection.recv(65_536):
            asked += [event.stream_id for event in http.receive_data(data) if isinstance(event, StreamEnded)]
            if len(asked) >= self._together:
                for stream in asked:
                    self.requests += 1
                    self.act(http, stream)
                asked = []
            connection.sendall(http.data_to_send())
            if http.state_machine.state is ConnectionState.CLOSED:
                # The client hangs up: else it might find a reset, and not the answer.
                while connection.recv(65_536):
                    pass
                return
