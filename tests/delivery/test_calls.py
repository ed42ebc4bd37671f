"""Every recorded call, from the gateway's lines to what three subscribers receive."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import created
from tests.harness.sinks import RecordingSink
from webrtc_events.contract.documents import load_network
from webrtc_events.core.model import EventType, Status, TerminationReason
from webrtc_events.local.sink.second_validator import SecondValidator
from webrtc_events.services.events import Events
from webrtc_events.store.store import Store

CALLS = sorted(path.stem for path in (Path(__file__).parents[1] / "data" / "calls").glob("*.ndjson"))
SUBSCRIBABLE = (EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)


def expected(call: list[dict[str, Any]], event_type: EventType, registration: str) -> list[dict[str, Any]]:
    """The data that a subscriber of `registration` must receive, by the recording alone."""
    return [
        event["data"]
        for event in call
        if event["type"] == event_type and event.get("subject", registration) == registration
    ]


@pytest.mark.parametrize("name", CALLS)
def test_three_subscribers_receive_the_whole_call(
    name: str, store: Store, sink: RecordingSink, make_driver: Callable[..., DispatcherDriver], calls: Path
) -> None:
    call = [json.loads(line) for line in (calls / f"{name}.ndjson").read_text().splitlines()]
    registration = call[0]["subject"]
    session = call[0]["data"]["mediaSessionId"]
    made = {
        event_type: created(
            store,
            sink=sink.url_of(f"/{event_type.rpartition('.')[2]}"),
            registration=registration,
            event_type=event_type,
            session=session if event_type is EventType.SESSION_STATUS else None,
        )
        for event_type in SUBSCRIBABLE
    }
    results = Events(store, load_network()).accept(call)
    assert {result["status"] for result in results} == {"accepted"}
    make_driver().run()
    for subscription in made.values():
        store.subscriptions.end(
            subscription.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
    make_driver().run()

    validator = SecondValidator(strict=False)
    assert [validator.fault(request.headers, request.body) for request in sink.requests] == [None] * len(
        sink.requests
    )
    for event_type, subscription in made.items():
        path = f"/{event_type.rpartition('.')[2]}"
        received = [request.json for request in sink.requests if request.path == path]
        *events, end = received
        delivered = [
            {name: value for name, value in event["data"].items() if name != "subscriptionId"}
            for event in events
        ]
        assert delivered == expected(call, event_type, registration)
        assert [event["id"] for event in received] == [
            f"{subscription.id}.{number}" for number in range(1, len(received) + 1)
        ]
        assert {event["data"]["subscriptionId"] for event in received} == {subscription.id}
        assert end["data"]["terminationReason"] == "NETWORK_TERMINATED"
