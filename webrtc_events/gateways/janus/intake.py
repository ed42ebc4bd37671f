"""A POST of Janus's event handler: read, worked on and kept in one transaction of the journal."""

import logging
from typing import Final
from urllib.parse import quote

import msgspec

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.gateways.call_signals import HungUp, Lost, Mark, Signal
from webrtc_events.gateways.janus.calls import Calls
from webrtc_events.gateways.janus.events import Damaged, EventKind, JanusEvent, SipData, read_batch
from webrtc_events.gateways.janus.records import Handle, Records, handle_key, session_prefix
from webrtc_events.gateways.janus.registrations import Registrations
from webrtc_events.gateways.janus.sip_signals import OF_CALLS
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.receiver_figures import ReceiverFigures
from webrtc_events.gateways.sip_message import parse_sip

__all__ = ["Intake"]

log = logging.getLogger(__name__)

_HOUR_MS: Final = 3_600_000
_OVER_FOR_MS: Final = _HOUR_MS
_SILENT_FOR_MS: Final = 24 * _HOUR_MS
# Longer than any registration lasts without a renewal.
_UNHEARD_FOR_MS: Final = 8 * 24 * _HOUR_MS
_REGISTRATION_ENDS: Final = frozenset({"unregistered", "registration_failed"})
_GONE: Final = {"started": "The gateway has been started anew", "shutdown": "The gateway has been shut down"}


class Intake:
    """`source` is that of all events; None: one for each Janus, by its name. For one thread at a time."""

    def __init__(
        self, journal: Journal, registrations: Registrations, calls: Calls, clock: Clock, source: str | None
    ) -> None:
        self._journal = journal
        self._registrations = registrations
        self._calls = calls
        self._clock = clock
        self._source = source
        self._lines = LineLimit(clock)
        self.figures = ReceiverFigures()

    def take(self, body: bytes) -> None:
        """All events of a batch, durable when it returns; a damaged one is left out, and logged.

        Raises:
            ValueError: it is no batch.
            QueueFull, JournalUnwritable: nothing of it is kept.
        """
        found = read_batch(body, round(self._clock.now() * 1_000_000))
        repeated = 0
        with self._journal.transaction() as transaction:
            records = Records(transaction)
            for event in found:
                if isinstance(event, JanusEvent):
                    if transaction.is_new(event.fingerprint):
                        self._work_on(records, event)
                    else:
                        repeated += 1
        damaged = [event for event in found if isinstance(event, Damaged)]
        for event in damaged:
            if (left_out := self._lines.admit("damaged")) is not None:
                log.error(
                    "an event of a batch of %d cannot be read and is left out: %s%s",
                    len(found),
                    event.reason,
                    f" ({left_out} more such lines left out)" if left_out else "",
                )
        self.figures.damaged += len(damaged)
        self.figures.repeated += repeated
        self.figures.taken += len(found) - len(damaged) - repeated

    def tidy(self) -> None:
        """Forgets what is over. To be called now and then.

        Raises:
            JournalUnwritable: nothing has changed.
        """
        with self._journal.transaction() as transaction:
            records = Records(transaction)
            records.forget_calls(_OVER_FOR_MS)
            records.forget_endpoints(_UNHEARD_FOR_MS)
            self._calls.end_silent(records, _SILENT_FOR_MS, self._source or "/janus")

    def _work_on(self, records: Records, event: JanusEvent) -> None:
        match event.kind:
            case EventKind.CORE if event.name in _GONE:
                self._all_gone(records, event, session_prefix(event.emitter), Lost(_GONE[event.name]))
            case EventKind.SESSION if event.name in ("destroyed", "timeout"):
                self._all_gone(records, event, session_prefix(event.emitter, event.session), _away())
            case EventKind.HANDLE if event.name == "detached":
                self._all_gone(records, event, handle_key(event), _away())
            case EventKind.PLUGIN if event.sip is not None:
                self._plugin(records, event, event.sip)

    def _plugin(self, records: Records, event: JanusEvent, data: SipData) -> None:
        key = handle_key(event)
        known = records.handle(key) or Handle(opaque_id=event.opaque_id)
        handle = msgspec.structs.replace(known, time_us=max(known.time_us, event.time_us))
        if data.event in ("sip-in", "sip-out"):
            message = parse_sip(data.sip or "")
            if message is not None and message.method == "REGISTER":
                incoming = data.event == "sip-in"
                handle = self._registrations.registering(handle, message, incoming=incoming)
                records.put_handle(key, handle)
            elif message is not None and message.method in OF_CALLS:
                self._calls.message(records, key, message, self._mark(event), incoming=data.event == "sip-in")
            return
        if data.event == "registered":
            handle = self._registrations.registered(records, key, handle, event, data)
        elif data.event in _REGISTRATION_ENDS:
            words = f"{data.event}: {data.code or ''} {data.reason or ''}".strip(": ")
            handle = self._registrations.ended(records, key, handle, event.emitter, words, self._mark(event))
        else:
            self._calls.event(records, key, handle, data, self._mark(event))
            return
        records.put_handle(key, handle)

    def _all_gone(self, records: Records, event: JanusEvent, prefix: str, signal: Signal) -> None:
        """The handles whose keys begin so are no more; what Janus said of them later is of others."""
        number = 0
        for key, handle in list(records.handles(prefix)):
            if handle.time_us > event.time_us:
                continue
            for session_id in handle.calls:
                self._calls.lost(records, key, session_id, signal, self._mark(event, number))
                number += 1
            words = signal.reason or "gone"  # type: ignore[union-attr]
            self._registrations.ended(records, key, handle, event.emitter, words, self._mark(event, number))
            number += 1
            records.remove_handle(key)

    def _mark(self, event: JanusEvent, number: int = 0) -> Mark:
        source = self._source or f"/janus/{quote(event.emitter, safe='')}"
        event_id = event.fingerprint.hex()
        return Mark(source, f"{event_id}-{number}" if number else event_id, event.time_us // 1000)


def _away() -> HungUp:
    return HungUp(None, "The endpoint has gone away")
