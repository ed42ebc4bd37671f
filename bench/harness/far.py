"""A service that is some way off: connections are passed on, and each byte is late, either way."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

__all__ = ["far"]

_PIECE = 1 << 16


@contextmanager
def far(port: int, round_trip_s: float) -> Iterator[int]:
    """A port of this machine that leads to the other one."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listener, port, round_trip_s / 2), daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _accept(listener: socket.socket, port: int, late_s: float) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            other = socket.create_connection(("127.0.0.1", port))
            for end in (near, other):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((near, other), (other, near)):
                _pass_on(source, target, late_s)


def _pass_on(source: socket.socket, target: socket.socket, late_s: float) -> None:
    """Two threads: what has been read waits for its time, while more is read."""
    waiting: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

    def read() -> None:
        piece = b"-"
        while piece:
            try:
                piece = source.recv(_PIECE)
            except OSError:
                piece = b""
            waiting.put((time.monotonic() + late_s, piece))

    def write() -> None:
        with suppress(OSError):
            while True:
                at_s, piece = waiting.get()
                time.sleep(max(0.0, at_s - time.monotonic()))
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)

    for work in (read, write):
        threading.Thread(target=work, daemon=True).start()
