"""However notifications come, a handler sees each once, and knows what is old."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events_client.consumer import Receiver, ReceiverSettings, Refuse

TYPED = {"content-type": "application/cloudevents+json"}


def body(number: int) -> bytes:
    return json.dumps(
        {
            "id": f"s.{number}",
            "source": "/s",
            "specversion": "1.0",
            "type": "org.camaraproject.webrtc-events.v0.session-status",
            "time": "2027-01-15T08:00:00Z",
            "data": {
                "mediaSessionId": "m",
                "status": "Ringing",
                "subscriptionId": "s",
                "sequenceNumber": number,
            },
        }
    ).encode()


@given(
    st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["works", "works", "fails", "refuses"]))),
    st.booleans(),
)
def test_each_once_and_what_is_old_is_marked_or_dropped(
    arrivals: list[tuple[int, str]], drop_stale: bool
) -> None:
    """Each arrival is the number of an event, perhaps again, and how its handler would end."""
    handled: list[tuple[int, bool]] = []
    ends = ""

    def handle(delivery: Any) -> None:
        if ends == "fails":
            raise OSError("away")
        if ends == "refuses":
            raise Refuse
        handled.append((delivery.notification.session.sequence_number, delivery.is_stale))

    receiver = Receiver(handle, ReceiverSettings(allow_unverified=True, drop_stale=drop_stale))
    settled: list[int] = []
    for number, ends in arrivals:
        is_old = any(number < other for other in settled)
        reaches = number not in settled and not (is_old and drop_stale)
        request = ("POST", "/", TYPED, body(number))
        if reaches and ends == "fails":
            with pytest.raises(OSError, match="away"):
                receiver.receive(*request)
            continue
        answer = receiver.receive(*request)
        assert answer.status == (422 if reaches and ends == "refuses" else 204)
        if reaches and ends == "works":
            assert handled[-1] == (number, is_old)
        if answer.status == 204 and number not in settled:
            settled.append(number)
    numbers = [number for number, _ in handled]
    assert len(numbers) == len(set(numbers))
    in_time = [number for number, is_stale in handled if not is_stale]
    assert in_time == sorted(in_time)
    if drop_stale:
        assert numbers == in_time
