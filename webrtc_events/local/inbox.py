"""What the local sink has received: judged, kept in memory, told to whoever waits for it."""

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from webrtc_events.clock import Clock, format_time, parse_time

__all__ = ["Inbox", "Received", "describe"]

_KEPT = 1000
# Ids remembered to tell a repeated delivery from a first one.
_KEPT_IDS = 20_000


@dataclass(frozen=True, slots=True)
class Received:
    """One POST. `number` counts from 1; `fault` is None for a valid notification.

    `event` is the body when it is a JSON object. `repeated`: the same `id` came before.
    """

    number: int
    at_ms: int
    path: str
    correlator: str | None
    event: dict[str, Any] | None
    fault: str | None
    repeated: bool

    @property
    def type(self) -> str:
        """The last part of the event's type, such as `session-status`."""
        return str((self.event or {}).get("type", "?")).rpartition(".")[2]

    @property
    def data(self) -> dict[str, Any]:
        data = (self.event or {}).get("data")
        return data if isinstance(data, dict) else {}

    @property
    def state(self) -> str:
        """What the event says happened: a session's status, or why something ended."""
        return str(self.data.get("status") or self.data.get("terminationReason") or "")

    @property
    def time(self) -> str:
        return format_time(self.at_ms)

    @property
    def verdict(self) -> str:
        word = "ok" if self.fault is None else f"INVALID: {self.fault}"
        return f"{word} (repeated)" if self.repeated else word

    @classmethod
    def from_json(cls, item: dict[str, Any]) -> "Received":
        """Of what `as_json` gave."""
        return cls(
            number=item["number"],
            at_ms=parse_time(item["receivedAt"]),
            path=item["path"],
            correlator=item["xCorrelator"],
            event=item["event"],
            fault=item["fault"],
            repeated=item["repeated"],
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "receivedAt": self.time,
            "path": self.path,
            "xCorrelator": self.correlator,
            "event": self.event,
            "fault": self.fault,
            "repeated": self.repeated,
        }


def describe(received: Received) -> str:
    """One aligned line: time, type, subscription, what happened, sequence number, verdict."""
    subscription = str(received.data.get("subscriptionId", "-"))
    sequence = received.data.get("sequenceNumber", "-")
    return (
        f"{received.time[11:23]}  {received.type:<18}  {subscription:<36.36}  "
        f"{received.state:<20}  {sequence!s:>4}  {received.verdict}"
    )


class Inbox:
    """Keeps the last 1,000. Any number of threads may take in and wait."""

    def __init__(self, clock: Clock, report: Callable[[Received], None]) -> None:
        self._clock = clock
        self._report = report
        self._kept: deque[Received] = deque(maxlen=_KEPT)
        self._ids: dict[str, None] = {}
        self._last = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, path: str, correlator: str | None, body: bytes, fault: str | None) -> Received:
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
            )
            self._kept.append(received)
            self._report(received)
            self._changed.notify_all()
        return received

    def newest_first(self) -> list[Received]:
        with self._changed:
            return list(reversed(self._kept))

    def after(self, number: int, path: str, wait_s: float) -> Sequence[Received]:
        """What came after `number` at paths beginning with `path`; waits for the first, at most `wait_s`."""

        def found() -> list[Received]:
            return [each for each in self._kept if each.number > number and each.path.startswith(path)]

        with self._changed:
            self._changed.wait_for(lambda: self._closed or found(), timeout=wait_s)
            return found()

    def close(self) -> None:
        """Sends everybody away who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

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
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
