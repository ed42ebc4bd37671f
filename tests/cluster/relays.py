"""Relays between a client and the store: one adds TLS, others hold answers up, lose or change them."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["EditingRelay", "HalvingRelay", "LossyRelay", "TlsRelay"]

# Source: RFC 8446, section 5.1.
_TLS_HANDSHAKE = b"\x16"


class _Relay:
    """Listens on a free loopback port and passes on to `target`, which may be set later.

    It is a port, or the path of a socket.
    """

    def __init__(self, target: int | str) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(plain,), daemon=True).start()

    def _relay(self, plain: socket.socket) -> None:
        with (
            suppress(OSError),
            self._wrapped(plain) as outer,
            self._connected() as inner,
        ):
            while True:
                pending = isinstance(outer, ssl.SSLSocket) and outer.pending()
                for readable in [outer] if pending else select.select([outer, inner], [], [])[0]:
                    data = readable.recv(65536)
                    if not data or (readable is inner and self._loses()):
                        return
                    if readable is outer:
                        inner.sendall(data)
                    else:
                        self._answer(outer, self._edited(data))

    def _connected(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.target)
        return connection

    def _answer(self, outer: socket.socket, data: bytes) -> None:
        outer.sendall(data)

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        return plain

    def _loses(self) -> bool:
        return False

    def _edited(self, data: bytes) -> bytes:
        return data


class EditingRelay(_Relay):
    """Passes on another answer than the server gave, as `edit` has it."""

    def __init__(self, target: int, edit: Callable[[bytes], bytes]) -> None:
        self.edit = edit
        super().__init__(target)

    def _edited(self, data: bytes) -> bytes:
        return self.edit(data)


class HalvingRelay(_Relay):
    """Stops in the middle of each answer that has `mark` in it, until `go_on` is set; then it may break off.

    `halved` is set once a first half was sent.
    """

    def __init__(self, target: int | str) -> None:
        self.mark = b""
        self.breaks_off = False
        self.halved, self.go_on = threading.Event(), threading.Event()
        super().__init__(target)

    def _answer(self, outer: socket.socket, data: bytes) -> None:
        if not self.mark or self.mark not in data:
            outer.sendall(data)
            return
        self.mark = b""
        half = len(data) // 2
        outer.sendall(data[:half])
        self.halved.set()
        self.go_on.wait(30)
        if self.breaks_off:
            raise ConnectionAbortedError
        outer.sendall(data[half:])


class LossyRelay(_Relay):
    """Breaks a connection instead of relaying what the server sends, as often as `to_lose` says."""

    to_lose = 0

    def _loses(self) -> bool:
        self.to_lose -= 1
        return self.to_lose >= 0


class TlsRelay(_Relay):
    """Who speaks no TLS is passed on too; `secure` counts the connections of the others."""

    def __init__(self, context: ssl.SSLContext, target: int | str = 0) -> None:
        self.secure = 0
        self._context = context
        super().__init__(target)

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        if plain.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
            return plain
        outer = self._context.wrap_socket(plain, server_side=True)
        self.secure += 1
        return outer
