"""A dead letter that is redelivered reaches its sink as the event that it was."""

from collections.abc import Callable

from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, RecordingSink
from webrtc_events.core.settings import Settings
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.store import Store


def test_a_redelivered_event_is_the_same_but_for_its_number(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Callable[..., DispatcherDriver]
) -> None:
    created(store, sink=sink.url, max_events=3)
    append(store, invitation(1), invitation(2))
    sink.answer = [400, 204]
    make_driver().run()
    dead_letters = DeadLetters(store)
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter())
    assert dead_letters.redeliver(dead_letter).outcome == "redelivered"
    append(store, invitation(3))
    make_driver().run()
    first, second, again, third, end = [request.json for request in sink.requests]
    assert again == first
    assert [event["data"].get("sequenceNumber") for event in (second, third)] == [2, 3]
    assert end["data"]["terminationReason"] == "MAX_EVENTS_REACHED"
    assert list(dead_letters.newest_first(DeadLetterFilter())) == []


def test_attempts_on_it_are_found_by_its_id(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Callable[..., DispatcherDriver]
) -> None:
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = lambda received: Answer(400 if received.json["data"]["sequenceNumber"] == 1 else 204)
    make_driver().run()
    dead_letters = DeadLetters(store)
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter())
    dead_letters.redeliver(dead_letter)
    make_driver().run()
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter())
    assert [attempt["status"] for attempt in dead_letters.attempts(dead_letter)] == [400, 400]
