"""Relays between a client and the store: one adds TLS, one loses answers, one changes them."""

import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

__all__ = ["EditingRelay", "LossyRelay", "TlsRelay"]

# Source: RFC 8446, section 5.1.
_TLS_HANDSHAKE = b"\x16"


class _Relay:
    """Listens on a free loopback port and passes on to `target`, a port that may be set later."""

    def __init__(self, target: int) -> None:
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
            socket.create_connection(("127.0.0.1", self.target)) as inner,
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
                        outer.sendall(self._edited(data))

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


class LossyRelay(_Relay):
    """Breaks a connection instead of relaying what the server sends, as often as `to_lose` says."""

    to_lose = 0

    def _loses(self) -> bool:
        self.to_lose -= 1
        return self.to_lose >= 0


class TlsRelay(_Relay):
    """Who speaks no TLS is passed on too; `secure` counts the connections of the others."""

    def __init__(self, context: ssl.SSLContext, target: int = 0) -> None:
        self.secure = 0
        self._context = context
        super().__init__(target)

    def _wrapped(self, plain: socket.socket) -> socket.socket:
        if plain.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
            return plain
        outer = self._context.wrap_socket(plain, server_side=True)
        self.secure += 1
        return outer
