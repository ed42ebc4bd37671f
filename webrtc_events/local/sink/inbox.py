"""What the local sink has received: judged, kept in memory, told to whoever waits for it."""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import Clock, format_time, parse_time
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.local.plain_text import printable

__all__ = ["Inbox", "Received", "describe", "styled"]

_KEPT = 1000
_KEPT_BYTES = 64 * 1024 * 1024
# Ids remembered to tell a repeated delivery from a first one.
_KEPT_IDS = 20_000
_LONGEST_VERDICT = 320


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
    """One aligned line: time, type, subscription, what happened, sequence number, verdict.

    It is safe on a terminal, whatever was sent: no control characters, no part of any length.
    """
    return "  ".join(
        [
            received.time[11:23],
            f"{printable(received.type, 36):<18}",
            f"{printable(received.data.get('subscriptionId', '-'), 36):<36}",
            f"{printable(received.state, 36):<20}",
            f"{printable(received.data.get('sequenceNumber', '-'), 12):>4}",
            printable(received.verdict, _LONGEST_VERDICT),
        ]
    )


def styled(received: Received) -> str:
    """The same with a colour for what stands out, for `click.echo`, which knows where to leave it out."""
    ended = received.type == "subscription-ended"
    return click.style(describe(received), fg="red" if received.fault else "cyan" if ended else None)


@dataclass(frozen=True, slots=True)
class _Kept:
    received: Received
    body: bytes


class Inbox:
    """Keeps the last 1,000, and no more than 64 MiB. Any number of threads may take in and wait.

    `identity` is another for each inbox: its numbers begin anew.
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
            self._keep(_Kept(received, body))
            self._report(received)
            self._changed.notify_all()
        return received

    @property
    def cleared(self) -> int:
        """The number of the last one that `clear` put away, 0 if there is none."""
        return self._cleared

    def clear(self) -> None:
        """Puts away what is there for those who look anew; who reads on from a number misses nothing."""
        with self._changed:
            self._cleared = self._last

    def body(self, number: int) -> bytes | None:
        """What was sent; None if it is no longer kept."""
        with self._changed:
            return next((each.body for each in self._kept if each.received.number == number), None)

    def after(self, number: int | None, path: str = "/", wait_s: float = 0.0) -> Sequence[Received]:
        """What came after `number` at paths beginning with `path`; waits for the first, at most `wait_s`.

        None for `number` begins after what was cleared.
        """
        first = self._cleared if number is None else number

        def found() -> list[Received]:
            kept = (each.received for each in self._kept)
            return [each for each in kept if each.number > first and each.path.startswith(path)]

        with self._changed:
            self._changed.wait_for(lambda: self._closed or found(), timeout=wait_s)
            return found()

    def close(self) -> None:
        """Sends everybody away who waits."""
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
