"""A process that is scraped."""

from collections.abc import Iterator

import pytest

from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.listener import listen


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """Of a worker and an API in one process."""
    found = Exporter(("worker", "api"), SystemClock(), listen(HostPort("127.0.0.1", 0)))
    found.start()
    yield found
    found.stop()
