"""What the trace of a call says of accepted events: as the gateway gave them, duplicates too."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.harness.builders import created
from tests.store.call_notes import recorder_of
from webrtc_events.contract.documents import load_network
from webrtc_events.core.call_trace import AcceptedEntry, TraceLevel
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType
from webrtc_events.services.event_notes import EventNotes
from webrtc_events.services.events import Events
from webrtc_events.store.keys import call_trace_key
from webrtc_events.store.store import Store


@pytest.fixture
def call(calls: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (calls / "answered.ndjson").read_text().splitlines()]


def session_of(event: dict[str, Any]) -> str:
    return str(event["data"]["mediaSessionId"])


def accept(
    store: Store, events: list[dict[str, Any]], level: TraceLevel = TraceLevel.FULL
) -> list[AcceptedEntry]:
    """Accepts the events; the entries that the trace of the first one's session then has."""
    recorder = recorder_of(store, level=level)
    Events(store, load_network(), notes=EventNotes(recorder)).accept(events)
    recorder.flush()
    entries = store.call_traces.read(session_of(events[0])).entries
    assert all(isinstance(entry, AcceptedEntry) for entry in entries)
    return entries  # type: ignore[return-value]


def test_every_accepted_event_of_a_call_is_in_its_trace(store: Store, call: list[dict[str, Any]]) -> None:
    registration = call[0]["subject"]
    created(store, registration=registration, event_type=EventType.SESSION_INVITATION)
    entries = accept(store, call)
    of_call = [event for event in call if event["data"].get("mediaSessionId") == session_of(call[0])]
    assert [entry.id for entry in entries] == [event["id"] for event in of_call]
    first, event = entries[0], call[0]
    assert first == AcceptedEntry(
        at=first.at,
        session=session_of(event),
        id=event["id"],
        source=event["source"],
        time=event["time"],
        type=event["type"].rpartition(".")[2],
        registration=registration,
        subscriptions=1,
        status=event["data"].get("status"),
        sequence=event["data"].get("sequenceNumber"),
        data=event["data"],
    )


def test_metadata_has_nothing_of_what_was_said(
    store: Store, call: list[dict[str, Any]], raw_store: "redis.Redis"
) -> None:
    entries = accept(store, call, TraceLevel.METADATA)
    assert {entry.data for entry in entries} == {None}
    stored = repr(raw_store.hgetall(call_trace_key(session_of(call[0]))))
    assert call[0]["data"]["originatorAddress"] not in stored
    given = call[: len(entries)]
    assert [entry.status for entry in entries] == [event["data"].get("status") for event in given]


def test_a_duplicate_is_an_entry_of_its_own(store: Store, call: list[dict[str, Any]]) -> None:
    accept(store, call[:1])
    entries = accept(store, call[:1])
    assert [entry.duplicate for entry in entries] == [False, True]
    summary = store.call_traces.summary(session_of(call[0]))
    assert summary is not None
    assert (summary.accepted, summary.duplicates) == (2, 1)


def test_rejected_events_leave_the_others_where_they_are(store: Store, call: list[dict[str, Any]]) -> None:
    bad = copy.deepcopy(call[0]) | {"id": ""}
    entries = accept(store, [call[0], bad, *call[1:3]])
    assert [entry.id for entry in entries] == [event["id"] for event in call[:3]]


def test_what_was_not_accepted_is_in_no_trace(
    store: Store, call: list[dict[str, Any]], raw_store: "redis.Redis"
) -> None:
    store.guard.close()
    with pytest.raises(Unavailable):
        accept(store, call)
    store.guard.open()
    assert raw_store.keys("session:*:trace") == []


def test_an_event_of_no_session_is_no_matter_of_a_call(store: Store, raw_store: "redis.Redis") -> None:
    recorder = recorder_of(store)
    event = {
        "id": "e1",
        "source": "/gateway",
        "specversion": "1.0",
        "type": EventType.REGISTRATION_ENDS.value,
        "time": "2026-03-10T09:00:00.000Z",
        "data": {"registrationId": "r1", "terminationReason": "REGISTRATION_EXPIRED"},
    }
    results = Events(store, load_network(), notes=EventNotes(recorder)).accept([event])
    assert results[0]["status"] == "accepted", results
    recorder.flush()
    assert raw_store.keys("session:*:trace") == []
