"""A journal, and an intake that is made anew for each batch, as after a crash."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.recorded import events_of, new_intake
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.kamailio.intake import Batch

BOOT = "1800000000.1.100"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "queue", SystemClock())) as journal:
        yield journal


@pytest.fixture
def play(journal: Journal) -> Callable[..., list[dict[str, Any]]]:
    """Takes records, each as a batch; returns all events that wait."""

    def take(*records: bytes) -> list[dict[str, Any]]:
        for data in records:
            intake = new_intake(journal, SystemClock())
            number = intake.position().number + 1
            assert intake.take(Batch(BOOT, number, number, [(number, data)])) == 0
        return events_of(journal)

    return take
