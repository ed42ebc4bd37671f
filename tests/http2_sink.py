"""A TLS sink that speaks HTTP/2."""

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded

from tests.sinks import Authority

__all__ = ["Http2Sink"]


class Http2Sink:
    """Context manager, on 127.0.0.1. Answers 204 once `together` requests are there, on one connection."""

    def __init__(
        self, authority: Authority, together: int = 1, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._head = [(":status", "204"), *headers]
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

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
            asked += [each.stream_id for each in http.receive_data(data) if isinstance(each, StreamEnded)]
            if len(asked) >= self._together:
                for stream in asked:
                    http.send_headers(stream, self._head, end_stream=True)
                asked = []
            connection.sendall(http.data_to_send())
