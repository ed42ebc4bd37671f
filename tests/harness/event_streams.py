"""A reader of Server-Sent Events, as `fetch` in a browser is one."""

import http.client
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.harness.valkeys import eventually

__all__ = ["EventReader", "SentEvent", "StreamReader", "narrow"]


@dataclass(frozen=True)
class SentEvent:
    id: str
    type: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class EventReader:
    """What a reader has got, whichever way it came; somebody else fills it, in a thread."""

    def __init__(self) -> None:
        self.events: list[SentEvent] = []
        self.ended = False

    @property
    def last_id(self) -> str:
        return next((event.id for event in reversed(self.events) if event.id), "")

    @property
    def types(self) -> list[str]:
        return [event.type.rpartition(".")[2] for event in self.events]

    def numbers(self) -> list[Any]:
        """The sequence numbers of the events, an end of a subscription by its reason."""
        data = [event.json.get("data", {}) for event in self.events if event.type not in ("gap", "end")]
        return [fields.get("sequenceNumber", fields.get("terminationReason")) for fields in data]

    def close(self) -> None:
        raise NotImplementedError

    def wait_events(self, count: int, timeout_s: float = 30) -> Self:
        eventually(lambda: len(self.events) >= count, f"{count} events, {len(self.events)} so far", timeout_s)
        return self

    def wait_end(self, timeout_s: float = 30) -> Self:
        """Until the server has ended it."""
        eventually(lambda: self.ended, "the end of the stream", timeout_s)
        return self


class StreamReader(EventReader):
    """Reads in a thread until the stream ends or it is closed. `status` is known at once.

    `takes`: without it nothing is read behind the head before `start`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        last_id: str = "",
        *,
        takes: bool = True,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        if not takes:
            # So that little of what it does not take is on its way.
            self._connection.sock = narrow(parts.hostname, parts.port or 80)
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        if last_id:
            sent["Last-Event-ID"] = last_id
        self._connection.request("GET", parts.path, headers=sent)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = self._answer.headers
        self.body = b"" if self.status == 200 else self._answer.read()
        self.heartbeats = 0
        self.retry = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.status == 200 and takes:
            self.start()

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        # The answer holds a reference to the socket: this ends a read that is under way.
        sock = self._connection.sock or getattr(getattr(self._answer.fp, "raw", None), "_sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(2)
        if self._thread.ident is not None:
            self._thread.join(10)
        self._answer.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for raw in self._answer:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.heartbeats += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    self.events.append(SentEvent(fields.get("id", ""), fields["event"], fields["data"]))
                    fields = {}
                elif "retry" in fields:
                    self.retry, fields = int(fields["retry"]), {}
        except (OSError, http.client.HTTPException, AttributeError, ValueError):
            # The connection was cut, here or there.
            pass
        self.ended = True


def narrow(host: str, port: int) -> socket.socket:
    """A connection that takes in little before it is read from."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(60)
    made.connect((host, port))
    return made
