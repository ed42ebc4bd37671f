"""Of the deliveries that went well as many are logged as the setting says; of the others every attempt."""

import logging
import re
from dataclasses import replace

import pytest

from tests.delivery.deliveries import Make
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import Answer, RecordingSink
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store


@pytest.mark.parametrize(("every", "lines"), [(1, 5), (2, 2), (0, 0)])
def test_of_deliveries_as_many_are_logged_as_the_setting_says_and_every_failure(
    sink: RecordingSink,
    store: Store,
    settings: Settings,
    make_driver: Make,
    caplog: pytest.LogCaptureFixture,
    every: int,
    lines: int,
) -> None:
    caplog.set_level(logging.INFO)
    made = created(store, sink=sink.url)
    append(store, *(invitation(number) for number in range(1, 7)))
    sink.answer = lambda _: Answer(400) if len(sink.requests) == 3 else Answer()
    make_driver(settings=replace(settings, log_deliveries=every)).run()
    pattern = rf"attempt event={made.id}\.\d type=session-invitation .*outcome=(\w+)"
    outcomes = re.findall(pattern, caplog.text)
    assert outcomes.count("drop") == 1
    assert outcomes.count("delivered") == lines
