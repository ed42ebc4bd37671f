"""A reader of a channel over a WebSocket, as `new WebSocket(url, [..])` in a browser is one."""

import json
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.harness.event_streams import EventReader, SentEvent, narrow
from tests.harness.valkeys import eventually

__all__ = ["SUBPROTOCOL", "SocketReader", "offers"]

SUBPROTOCOL = "webrtc-events.channels.v0"


def offers(token: str, last_id: str = "") -> list[str]:
    """What a reader offers."""
    after = [f"webrtc-events.after.{last_id}"] if last_id else []
    return [SUBPROTOCOL, f"webrtc-events.token.{token}", *after]


class SocketReader(EventReader):
    """Reads in a thread until the WebSocket is closed. Raises InvalidStatus if it is not opened.

    `takes`: without it nothing is read before `start`, but for some kB. `replies`: the other messages.
    """

    def __init__(
        self, url: str, offered: Sequence[str], *, takes: bool = True, origin: str | None = None
    ) -> None:
        super().__init__()
        parts = urlsplit(url)
        assert parts.hostname is not None
        opening = connect(
            url.replace("http", "ws", 1),
            sock=None if takes else narrow(parts.hostname, parts.port or 80),
            subprotocols=[Subprotocol(name) for name in offered],
            origin=None if origin is None else Origin(origin),
            compression=None,
            max_queue=1,
            ping_interval=None,
            close_timeout=10,
            proxy=None,
        )
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(opening)
        self.headers = None if self._socket.response is None else self._socket.response.headers
        self.subprotocol = self._socket.subprotocol
        self.replies: list[Any] = []
        self.code: int | None = None
        self.reason = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        if takes:
            self.start()

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def send(self, message: str | bytes) -> None:
        self._socket.send(message)

    def acknowledge(self, cursor: str) -> Any:
        """The answer."""
        count = len(self.replies)
        self.send(json.dumps({"cursor": cursor}))
        eventually(lambda: len(self.replies) > count, "an answer")
        return self.replies[count]

    def is_answered(self, timeout_s: float) -> bool:
        """Whether a ping is within that time, and the WebSocket is not closed."""
        try:
            return self._socket.ping().wait(timeout_s)
        except ConnectionClosed:
            return False

    def close(self) -> None:
        self._stack.close()
        if self._thread.ident is not None:
            self._thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        try:
            for text in self._socket:
                message = json.loads(text)
                if message["event"] in ("acknowledged", "error"):
                    self.replies.append(message)
                else:
                    data = json.dumps(message["data"])
                    self.events.append(SentEvent(message["id"], message["event"], data))
        except ConnectionClosed:
            pass
        self.code, self.reason = self._socket.close_code, self._socket.close_reason or ""
        self.ended = True
