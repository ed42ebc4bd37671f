"""A registration is erased while its events are being delivered."""

import logging
from collections import defaultdict
from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents
from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.store import Store


def test_deliveries_under_way_end_and_the_others_go_on(
    store: Store,
    raw_store: "redis.Redis",
    sink: RecordingSink,
    make_driver: Callable[..., DispatcherDriver],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    made = {number: created(store, sink=sink.url, registration=f"r{number}") for number in range(1, 6)}
    for number in made:
        append(store, *(invitation(event, registration=f"r{number}") for event in range(1, 21)))
    erased: list[int] = []

    def answer(request: Received) -> Answer:
        data = request.json["data"]
        if (data["subscriptionId"], data["sequenceNumber"]) == (made[1].id, 3):
            erasure = Erasure(store)
            erasure.erase(erasure.find("r1"))
            erased.append(len(sink.requests))
        return Answer(204)

    sink.answer = answer
    make_driver().run()
    received = defaultdict(list)
    for request in sink.requests:
        received[request.json["data"]["subscriptionId"]].append(request.json["data"]["sequenceNumber"])
    gone = received.pop(made[1].id)
    assert erased
    assert gone == list(range(1, len(gone) + 1))
    assert len(gone) < 20
    assert dict(received) == {made[number].id: list(range(1, 21)) for number in range(2, 6)}
    assert "lease lost" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert made[1].id not in repr(contents(raw_store))
