"""What the local sink has received: kept in memory, and given to whoever waits for it."""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.local.sink.behaviours import Answer
from webrtc_events.local.sink.received import Received

__all__ = ["Inbox"]

_KEPT = 1000
_KEPT_BYTES = 64 * 1024 * 1024
# Ids that tell a repeated delivery from a first one.
_KEPT_IDS = 20_000


@dataclass(frozen=True, slots=True)
class _Kept:
    received: Received
    body: bytes


class Inbox:
    """Keeps the last 1,000 notifications, at most 64 MiB. Any number of threads may take in and wait.

    Each inbox has another `identity`: its numbers start again at 1.
    """

    def __init__(self, clock: Clock, report: Callable[[Received], None]) -> None:
        self.identity = uuid.uuid4().hex
        self._clock = clock
        self._report = report
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._ids: dict[str, None] = {}
        self._last = 0
        self._cleared = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(
        self, path: str, correlator: str | None, body: bytes, fault: str | None, answered: Answer
    ) -> Received:
        event = _object(body)
        with self._changed:
            self._last += 1
            received = Received(
                number=self._last,
                at_ms=round(self._clock.now() * 1000),
                path=path,
                correlator=correlator,
                event=event,
                fault=fault,
                repeated=self._is_repeated(event),
                answered=answered,
            )
            self._keep(_Kept(received, body))
            self._report(received)
            self._changed.notify_all()
        return received

    @property
    def cleared(self) -> int:
        """The number of the last notification that `clear` hid, 0 if there is none."""
        return self._cleared

    def clear(self) -> None:
        """Hides what is there from those who begin to read; who reads on from a number misses nothing."""
        with self._changed:
            self._cleared = self._last

    def body(self, number: int) -> bytes | None:
        """What was sent; None if it is no longer kept."""
        with self._changed:
            return next((kept.body for kept in self._kept if kept.received.number == number), None)

    def after(self, number: int | None, path: str = "/", wait_s: float = 0.0) -> Sequence[Received]:
        """What came after `number` at paths beginning with `path`; waits for the first, at most `wait_s`.

        None for `number` begins after what was cleared.
        """
        first = self._cleared if number is None else number

        def found() -> list[Received]:
            return [
                kept.received
                for kept in self._kept
                if kept.received.number > first and kept.received.path.startswith(path)
            ]

        with self._changed:
            self._changed.wait_for(lambda: self._closed or found(), timeout=wait_s)
            return found()

    def close(self) -> None:
        """Ends every wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self._bytes += len(kept.body)
        while len(self._kept) > _KEPT or self._bytes > _KEPT_BYTES:
            self._bytes -= len(self._kept.popleft().body)

    def _is_repeated(self, event: dict[str, Any] | None) -> bool:
        """`source` is the service's alone here, so `id` identifies the event."""
        identity = (event or {}).get("id")
        if not isinstance(identity, str):
            return False
        known = identity in self._ids
        self._ids[identity] = None
        if len(self._ids) > _KEPT_IDS:
            del self._ids[next(iter(self._ids))]
        return known


def _object(body: bytes) -> dict[str, Any] | None:
    """Nothing that could not be written as JSON again."""
    try:
        value = parse_json(body)
    except InvalidArgument:
        return None
    return value if isinstance(value, dict) else None
