"""What the store gives up by itself, as its scripts say: counted by reason, noted for the traces of calls."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from webrtc_events.core.activity import Activity
from webrtc_events.core.call_trace import AttemptEntry
from webrtc_events.core.model import OutboxItem
from webrtc_events.core.sink_hosts import host_of
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.trace_buffer import TraceNote

__all__ = ["GivenUp"]

# Source: lua/shared/endings.lua, which notes only the first of a run in full.
_NOTED: Final = 9
_NOTE_BYTES: Final = 600


class _Recorder(Protocol):
    """Of traces. `now_s` is the monotonic clock."""

    @property
    def now_s(self) -> Callable[[], float]: ...

    @property
    def record(self) -> Callable[[Iterable[TraceNote]], None]: ...


class GivenUp:
    """May be used by any thread. Until `tell` nobody is told."""

    def __init__(self) -> None:
        self._activity: Activity | None = None
        self._recorder: _Recorder | None = None

    def tell(self, activity: Activity, recorder: _Recorder | None) -> None:
        """Who counts, and who keeps traces of calls, if anybody does."""
        self._activity, self._recorder = activity, recorder

    def report(self, rows: Iterable[Sequence[str]]) -> None:
        """Source: lua/shared/endings.lua. What was said in an answer that was lost is not said again."""
        rows = list(rows)
        if not rows:
            return
        if self._activity is not None:
            for reason, count in Counter(row[1] for row in rows).items():
                self._activity.give_up(reason, count)
        if self._recorder is not None:
            now_s = self._recorder.now_s()
            self._recorder.record(_notes(rows, now_s))


@dataclass(frozen=True, slots=True)
class _GivenUpNote:
    """What was in the outbox of a subscription, whose fields these are. A `TraceNote`."""

    subscription: str
    reason: str
    registration: str
    type: str
    client: str
    sink: str
    media_session: str
    channel: bool
    item: OutboxItem
    now_s: float
    size: int = _NOTE_BYTES

    def session(self) -> str:
        return self.media_session

    def entry(self, session: str, store_ms: Callable[[float], int]) -> AttemptEntry:
        item = self.item
        return AttemptEntry(
            at=store_ms(self.now_s),
            session=session,
            subscription=self.subscription,
            event=f"{self.subscription}.{item.event_number}",
            type="subscription-ended" if item.end else self.type.rpartition(".")[2],
            accepted_at=item.accepted_ms,
            attempt=1,
            outcome="drop",
            host=_host_of(self.sink),
            client=self.client,
            sequence=item.sequence or None,
            reason=self.reason,
            channel=self.channel,
            last=item.end,
        )


def _notes(rows: Iterable[Sequence[str]], now_s: float) -> Iterator[TraceNote]:
    """Of those that belong to a call and can be read."""
    for row in rows:
        if len(row) != _NOTED or not row[6]:
            continue
        subscription, reason, registration, type_, client, sink, session, entry_start, channel = row
        try:
            item = parse_entry(entry_start)
        except ValueError:
            # A dead letter has it, of no call.
            continue
        yield _GivenUpNote(
            subscription, reason, registration, type_, client, sink, session, bool(channel), item, now_s
        )


def _host_of(sink: str) -> str:
    """What was damaged names none."""
    try:
        return host_of(sink)
    except ValueError:
        return ""
