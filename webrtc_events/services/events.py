"""Network events: each is read, and accepted once every matching outbox holds it."""

import asyncio
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webrtc_events.contract.faults import summary
from webrtc_events.contract.network_events_types import EventResult
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.activity import Activity
from webrtc_events.core.ascii_json import ascii_json
from webrtc_events.core.clock import parse_time
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.core.model import EventType, NetworkEvent
from webrtc_events.core.trace_context import TraceContext
from webrtc_events.services.event_notes import EventNotes
from webrtc_events.services.event_traces import EventTraces
from webrtc_events.store.appends import AppendResult
from webrtc_events.store.awaited_steps import InThread
from webrtc_events.store.outbox_entries import payload_with_trace
from webrtc_events.store.single_appends import SingleAppends
from webrtc_events.store.store import Store

__all__ = ["Events", "event_payload"]

log = logging.getLogger(__name__)

# Source: network-events.yaml, EventResult.id. A rejected event's own id may be anything.
_MAX_ID_LENGTH = 256
# A gateway's developer reads it: the event went nowhere, and more of the kind will.
_NAMES_NOBODY = (
    "$.subject: is missing, and no event of this session named a registration: "
    "no subscription to a device gets this one"
)
# Source: webrtc-events.yaml, MediaSession.status: after these a session has no other.
_LAST_STATUSES = frozenset(
    {"Terminated", "SessionCancelled", "Declined", "Failed", "NoAnswer", "NotReachable", "Busy"}
)


class Events:
    """`event_bytes`: how many bytes an event may have as it is kept; None: any.

    `activity` counts them. `notes`: for the traces of calls; `traces`: those of OpenTelemetry. `in_thread`:
    how an event loop has something done that blocks.
    """

    def __init__(
        self,
        store: Store,
        contract: Contract,
        event_bytes: int | None = None,
        notes: EventNotes | None = None,
        activity: Activity | None = None,
        traces: EventTraces | None = None,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._activity = Activity() if activity is None else activity
        self._counting = threading.Lock()
        self._store = store
        self._singles = SingleAppends(store.events, in_thread)
        self._event_bytes = event_bytes
        self._notes = notes
        self._traces = EventTraces() if traces is None else traces
        self._validator = contract.validator("NetworkEvent")

    def accept(self, events: Sequence[Any], *, conform: bool = False) -> list[EventResult]:
        """One result for each event, in order; a bad event never stops the good ones.

        `conform`: each was held to the contract's NetworkEvent already.

        Raises:
            Unavailable: some outbox may lack some event. To give all again completes it and changes nothing
                else.
        """
        came_s = self._now_s()
        with self._traces.appending(events) as traced:
            read = [
                self._read(event, trace, conforms=conform)
                for event, trace in zip(events, traced.contexts, strict=True)
            ]
            appended = self._store.events.accept(_valid(read))
            traced.appended(read, appended)
        return self._results(came_s, events, read, appended)

    async def accept_single(self, event: Any) -> EventResult:
        """The same for one that was held to the contract already, on an event loop.

        It is appended with others that come at the same time, and waits for none of them.
        """
        came_s = self._now_s()
        with self._traces.appending([event]) as traced:
            read = [self._read(event, traced.contexts[0], conforms=True)]
            appended = [await self._singles.append(valid) for valid in _valid(read)]
            traced.appended(read, appended)
        return self._results(came_s, [event], read, appended)[0]

    def _now_s(self) -> float:
        return 0.0 if self._notes is None else self._notes.now_s()

    def _results(
        self,
        came_s: float,
        events: Sequence[Any],
        read: Sequence[NetworkEvent | EventResult],
        appended: Sequence[AppendResult],
    ) -> list[EventResult]:
        """Of each event, once the valid ones are appended; notes and counts them."""
        valid = _valid(read)
        if self._notes is not None:
            given = [raw for raw, event in zip(events, read, strict=True) if isinstance(event, NetworkEvent)]
            self._notes.add(came_s, given, valid, appended)
        accepted = map(_accepted, valid, appended)
        results = [next(accepted) if isinstance(event, NetworkEvent) else event for event in read]
        self._count([result["status"] for result in results], appended)
        if log.isEnabledFor(logging.DEBUG):
            for raw, result in zip(events, results, strict=True):
                _log(raw, result)
        return results

    def _count(self, statuses: list[str], appended: Sequence[AppendResult]) -> None:
        # Requests are worked on by several threads.
        with self._counting:
            self._activity.matched += sum(result.subscriptions for result in appended if result.new)
            self._activity.accepted += statuses.count("accepted")
            self._activity.duplicates += statuses.count("duplicate")
            self._activity.rejected += statuses.count("rejected")

    def _read(
        self, raw: Any, trace: TraceContext | None = None, *, conforms: bool
    ) -> NetworkEvent | EventResult:
        if not conforms and not self._validator.is_valid(raw):
            return _rejected(raw, summary(list(self._validator.faults(raw))))
        event_type, data, subject = EventType(raw["type"]), raw["data"], raw.get("subject")
        if event_type is EventType.REGISTRATION_ENDS and subject not in (None, data["registrationId"]):
            return _rejected(raw, "$.subject: is not data.registrationId")
        try:
            time_ms = parse_time(raw["time"])
        except ValueError:
            return _rejected(raw, "$.time: is out of range")
        payload = event_payload(event_type, raw["time"], data)
        if self._event_bytes is not None and len(payload) > self._event_bytes:
            return _rejected(
                raw,
                f"$: has {len(payload)} bytes as it is kept, and an event may have {self._event_bytes} "
                "(WEBRTC_EVENTS_EVENT_BYTES)",
            )
        return NetworkEvent(
            id=raw["id"],
            source=raw["source"],
            type=event_type,
            registration=data["registrationId"] if event_type is EventType.REGISTRATION_ENDS else subject,
            session=data.get("mediaSessionId"),
            time_ms=time_ms,
            numbered="sequenceNumber" in data,
            last=data.get("status") in _LAST_STATUSES,
            payload=payload if trace is None else payload_with_trace(payload, trace),
        )


def _valid(read: Iterable[NetworkEvent | EventResult]) -> list[NetworkEvent]:
    return [event for event in read if isinstance(event, NetworkEvent)]


def _log(raw: Any, result: EventResult) -> None:
    if result["status"] == "rejected":
        log.debug("rejected event=%s: %s", result.get("id"), result.get("message"))
        return
    data = raw["data"]
    log.debug(
        "%s event=%s source=%s type=%s registration=%s session=%s status=%s "
        "originator=%s (%s) receiver=%s (%s) subscriptions=%d",
        result["status"],
        raw["id"],
        raw["source"],
        raw["type"].rpartition(".")[2],
        PersonalData(raw.get("subject") or data.get("registrationId")),
        data.get("mediaSessionId"),
        data.get("status"),
        PersonalData(data.get("originatorAddress")),
        PersonalData(data.get("originatorName")),
        PersonalData(data.get("receiverAddress")),
        PersonalData(data.get("receiverName")),
        result["subscriptions"],
    )


def event_payload(event_type: EventType, time: str, data: Mapping[str, Any]) -> str:
    """An event as it is kept."""
    return ascii_json({"type": event_type.value, "time": time, "data": data})


def _accepted(event: NetworkEvent, result: AppendResult) -> EventResult:
    accepted: EventResult = {
        "id": event.id,
        "status": "accepted" if result.new else "duplicate",
        "subscriptions": result.subscriptions,
    }
    if result.new and result.names_nobody and not result.subscriptions:
        accepted["message"] = _NAMES_NOBODY
    return accepted


def _rejected(raw: Any, message: str) -> EventResult:
    result: EventResult = {"status": "rejected", "subscriptions": 0, "message": message}
    event_id = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(event_id, str) and 1 <= len(event_id) <= _MAX_ID_LENGTH:
        result["id"] = event_id
    return result
