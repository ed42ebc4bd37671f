"""What the trace of a call says of an accepted event: noted at once, put into words when it is written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from webrtc_events.core.call_trace import AcceptedEntry, TraceLevel
from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.trace_recorder import TraceRecorder

__all__ = ["EventNotes"]

# What a note takes beside its texts.
_NOTE_BYTES = 400


class EventNotes:
    """`now_s` is the moment of what is noted."""

    def __init__(self, recorder: TraceRecorder) -> None:
        self.now_s = recorder.now_s
        self._is_full = recorder.level is TraceLevel.FULL
        self._record = recorder.record

    def add(
        self,
        came_s: float,
        raw: Sequence[Mapping[str, Any]],
        events: Sequence[NetworkEvent],
        results: Sequence[AppendResult],
    ) -> None:
        """Events that came at that moment, as they were given and as they were read, with what was done."""
        self._record(self._notes(came_s, raw, events, results))

    def _notes(
        self,
        came_s: float,
        raw: Sequence[Mapping[str, Any]],
        events: Sequence[NetworkEvent],
        results: Sequence[AppendResult],
    ) -> Iterator["_EventNote"]:
        for given, event, result in zip(raw, events, results, strict=True):
            if event.session is not None:
                yield _EventNote(came_s, given["time"], given["data"], event, result, self._is_full)


class _EventNote:
    __slots__ = ("_came_s", "_data", "_event", "_is_full", "_result", "_time", "registration", "size")

    def __init__(
        self,
        came_s: float,
        time: str,
        data: Mapping[str, Any],
        event: NetworkEvent,
        result: AppendResult,
        is_full: bool,
    ) -> None:
        self._came_s = came_s
        self._time = time
        self._data = data
        self._event = event
        self._result = result
        self._is_full = is_full
        self.registration = event.registration
        self.size = _NOTE_BYTES + len(event.payload)

    def session(self) -> str | None:
        return self._event.session

    def entry(self, session: str, store_ms: Callable[[float], int]) -> AcceptedEntry:
        event, data = self._event, self._data
        return AcceptedEntry(
            at=store_ms(self._came_s),
            session=session,
            id=event.id,
            source=event.source,
            time=self._time,
            type=event.type.rpartition(".")[2],
            subscriptions=self._result.subscriptions,
            registration=event.registration,
            status=data.get("status"),
            sequence=data.get("sequenceNumber"),
            duplicate=not self._result.new,
            data=dict(data) if self._is_full else None,
        )
