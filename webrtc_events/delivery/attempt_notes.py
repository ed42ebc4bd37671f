"""What the trace of a call says of an attempt: noted at once, put into words when it is written."""

from collections.abc import Callable
from typing import Final

import msgspec

from webrtc_events.core.call_trace import AttemptEntry, TraceLevel
from webrtc_events.core.model import OutboxKind
from webrtc_events.core.outcomes import Drop, End, Outcome, Refused, Retry
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.outbox_entries import registrations_in
from webrtc_events.store.trace_buffer import TraceNote
from webrtc_events.store.trace_recorder import TraceRecorder

__all__ = ["AttemptNotes"]

# What a note takes beside its texts.
_NOTE_BYTES: Final = 600


class AttemptNotes:
    """`keeps_content`: it must know what is sent, `DeliveryTask.body`."""

    def __init__(self, recorder: TraceRecorder) -> None:
        self.keeps_content: Final = recorder.level is TraceLevel.FULL
        self._record = recorder.record

    def add(
        self, task: DeliveryTask, outcome: Outcome, status: int | None, elapsed_ms: int | None, now_ms: int
    ) -> None:
        """Records `note`."""
        self._record((_AttemptNote(task, outcome, status, elapsed_ms, now_ms, self.keeps_content),))

    def note(
        self, task: DeliveryTask, outcome: Outcome, status: int | None, elapsed_ms: int | None, now_ms: int
    ) -> TraceNote:
        """Of the attempt at the task's event; `elapsed_ms` None: it was given up without a try."""
        return _AttemptNote(task, outcome, status, elapsed_ms, now_ms, self.keeps_content)

    def record(self, note: TraceNote) -> None:
        self._record((note,))


class _AttemptNote:
    """A task goes on with its next event: what is of this one is taken from it."""

    __slots__ = (
        "_attempt",
        "_body",
        "_channel",
        "_claim",
        "_content",
        "_elapsed_ms",
        "_host",
        "_is_full",
        "_item",
        "_now_ms",
        "_outcome",
        "_status",
        "_type",
        "registration",
        "size",
    )

    def __init__(
        self,
        task: DeliveryTask,
        outcome: Outcome,
        status: int | None,
        elapsed_ms: int | None,
        now_ms: int,
        is_full: bool,
    ) -> None:
        self._claim = task.claim
        self._item = task.item
        self._host = task.host
        self._channel = bool(task.channel)
        self._type = task.event_type
        self._attempt = task.attempt
        self._now_ms = now_ms
        self._body = task.body
        self._outcome = outcome
        self._status = status
        self._elapsed_ms = elapsed_ms
        self._is_full = is_full
        self._content: _Data | None = None
        self.registration = task.claim.registration or _registration_of(task)
        self.size = _NOTE_BYTES + len(task.item.payload) + len(task.body)

    def session(self) -> str | None:
        if self._item.kind is not OutboxKind.EVENT:
            # Of one that is to a session; the end of another is no matter of a call.
            return self._claim.session or None
        if self._content is None:
            try:
                self._content = _decode(self._item.payload).data
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                # What is damaged is a dead letter, of no call.
                return None
        return self._content.session

    def entry(self, session: str, store_ms: Callable[[float], int]) -> AttemptEntry:  # noqa: ARG002 (the claim has it)
        claim, item, outcome = self._claim, self._item, self._outcome
        content = self._content or _NOTHING
        return AttemptEntry(
            at=self._now_ms,
            session=session,
            subscription=claim.subscription_id,
            event=f"{claim.subscription_id}.{item.event_number}",
            type=self._type.rpartition(".")[2],
            accepted_at=item.accepted_ms,
            attempt=self._attempt,
            outcome=type(outcome).__name__.lower(),
            host=self._host,
            client=claim.client,
            ms=None if self._channel else self._elapsed_ms,
            status=content.status,
            sequence=item.sequence or content.sequence,
            reason=str(outcome.reason) if isinstance(outcome, Drop | End | Refused | Retry) else "",
            detail=outcome.detail if isinstance(outcome, Drop | Refused | Retry) else "",
            http=None if self._channel else self._status,
            delay_ms=outcome.delay_ms if isinstance(outcome, Retry) else None,
            channel=self._channel,
            last=item.end,
            sink=claim.sink if self._is_full else None,
            body=self._body.decode(errors="replace") if self._is_full and self._body else None,
        )


def _registration_of(task: DeliveryTask) -> str:
    """Of an event for a subscription to a device: the first of those that it concerns."""
    concerned = registrations_in(task.item.payload) if task.claim.device else []
    return concerned[0] if concerned else ""


class _Data(msgspec.Struct):
    """Of the event's `data`, what identifies it in its call."""

    session: str | None = msgspec.field(name="mediaSessionId", default=None)
    status: str | None = None
    sequence: int | None = msgspec.field(name="sequenceNumber", default=None)


class _Payload(msgspec.Struct):
    data: _Data


_NOTHING: Final = _Data()
_decode: Final = msgspec.json.Decoder(_Payload).decode
