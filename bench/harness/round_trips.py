"""Counts round trips to the store exactly: a proxy before its socket that sees who speaks when.

The store's own counters cannot tell: it reads a long pipeline in pieces, and two short ones at once.
"""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["CountingProxy"]

_PIECE = 1 << 20
# A client that says nothing for so long has said all: a long pipeline comes in pieces.
_SILENCE_S = 0.02


class CountingProxy:
    """`turns` is how often a client has spoken, on any connection, until it waited for the answer."""

    def __init__(self, path: Path, store: Path) -> None:
        self.path = path
        self.turns = 0
        self._store = store
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def before(cls, store: Path, path: Path) -> "Iterator[CountingProxy]":
        """Listens at `path` for the store at `store`."""
        proxy = cls(path, store)
        threading.Thread(target=proxy._accept, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy._listener.close()

    def _accept(self) -> None:
        # Closing the listener ends it.
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as store, selectors.DefaultSelector() as selector:
            store.connect(str(self._store))
            selector.register(client, selectors.EVENT_READ)
            selector.register(store, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is store:
                        said = store.recv(_PIECE)
                        client.sendall(said)
                    else:
                        said = _all_that_it_says(client)
                        with self._lock:
                            self.turns += 1
                        store.sendall(said)
                    if not said:
                        return


def _all_that_it_says(client: socket.socket) -> bytes:
    said = piece = client.recv(_PIECE)
    client.settimeout(_SILENCE_S)
    with suppress(TimeoutError):
        while piece:
            piece = client.recv(_PIECE)
            said += piece
    client.settimeout(None)
    return said
