"""A call that is played through `serve`, as it comes: its trace has what was accepted, retried, ended."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.builders import settings_without_store
from tests.harness.commands import Running, eventually
from tests.harness.sinks import RecordingSink
from webrtc_events.core.call_trace import AcceptedEntry, AttemptEntry, CallOutcome, TraceEntry
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import Event, load_recording, played_anew
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.store import Store

PREFIX = "org.camaraproject.webrtc-events.v0."


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.fixture
def store(start_serve: Callable[..., Running], sink: RecordingSink, data: Path) -> Iterator[Store]:
    """That of a running `serve`."""
    start_serve(WEBRTC_EVENTS_SINK_CA_FILE=str(sink.ca_file))
    opened = Store.connect(settings_without_store(WEBRTC_EVENTS_REDIS_URL=Valkey(data, SystemClock()).url))
    yield opened
    opened.close()


@pytest.fixture
def call() -> list[Event]:
    """Only its events of the session."""
    played = played_anew(load_recording("answered"), round(SystemClock().now() * 1000))
    return [event for event in played if "mediaSessionId" in event["data"]]


def subscribe(api: HttpClient, data: Path, sink: str, call: list[Event], kind: str) -> str:
    detail = {"registrationId": call[0]["subject"]}
    if kind == "session-status":
        detail["sessionId"] = call[0]["data"]["mediaSessionId"]
    request = {
        "protocol": "HTTP",
        "sink": sink,
        "types": [PREFIX + kind],
        "config": {"subscriptionDetail": detail},
    }
    response = api.expect({201}, "POST", f"{Endpoints.read(data).public}/subscriptions", json=request)
    return str(response.json()["id"])


def publish(api: HttpClient, data: Path, *events: Event) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    for event in events:
        api.expect({202}, "POST", f"{Endpoints.read(data).network}/events", json=event, headers=headers)


def attempts(entries: list[TraceEntry]) -> list[AttemptEntry]:
    return [entry for entry in entries if isinstance(entry, AttemptEntry)]


def test_a_call_is_in_its_trace(
    store: Store, sink: RecordingSink, api: HttpClient, data: Path, call: list[Event]
) -> None:
    session = call[0]["data"]["mediaSessionId"]
    sink.answer = [204, 500, 204]
    subscribe(api, data, sink.url_of("/"), call, "session-invitation")
    watched = subscribe(api, data, sink.url_of("/"), call, "session-status")
    publish(api, data, *call[:2])
    sink.wait_for(3, timeout_s=20)

    def entries() -> list[TraceEntry]:
        return store.call_traces.read(session).entries

    found = eventually(lambda: len(entries()) == 5 and entries())
    accepted = [entry for entry in found if isinstance(entry, AcceptedEntry)]
    assert [entry.id for entry in accepted] == [event["id"] for event in call[:2]]
    assert [entry.subscriptions for entry in accepted] == [1, 1]
    assert accepted[0].data == call[0]["data"]
    assert [(entry.outcome, entry.http, entry.attempt) for entry in attempts(found)] == [
        ("delivered", 204, 1),
        ("retry", 500, 1),
        ("delivered", 204, 2),
    ]
    for entry in attempts(found):
        (cause,) = [event for event in accepted if event.type == entry.type]
        assert cause.at <= entry.accepted_at <= entry.at
    (summary,) = store.call_traces.recent().calls
    assert (summary.session, summary.outcome) == (session, CallOutcome.RETRIED)

    sink.answer = [410]
    publish(api, data, call[2])
    found = eventually(lambda: any(entry.outcome == "end" for entry in attempts(entries())) and entries())
    (end,) = [entry for entry in attempts(found) if entry.outcome == "end"]
    assert (end.http, end.subscription) == (410, watched)
    (summary,) = store.call_traces.recent().calls
    assert (summary.outcome, summary.status) == (CallOutcome.FAILED, call[2]["data"]["status"])


def test_what_was_recorded_last_is_written_when_serve_stops(
    start_serve: Callable[..., Running],
    sink: RecordingSink,
    api: HttpClient,
    data: Path,
    call: list[Event],
) -> None:
    serve = start_serve(WEBRTC_EVENTS_SINK_CA_FILE=str(sink.ca_file))
    subscribe(api, data, sink.url_of("/"), call, "session-invitation")
    publish(api, data, call[0])
    sink.wait_for(1)
    assert serve.stop() == 0
    start_serve()
    store = Store.connect(settings_without_store(WEBRTC_EVENTS_REDIS_URL=Valkey(data, SystemClock()).url))
    found = store.call_traces.read(call[0]["data"]["mediaSessionId"]).entries
    store.close()
    assert [type(entry) for entry in found] == [AcceptedEntry, AttemptEntry]
