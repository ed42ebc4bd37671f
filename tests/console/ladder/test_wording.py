"""How times and durations are written."""

import pytest

from webrtc_events.console.ladder.wording import clock_time, count, date_time, duration


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (12_490, "12.4 s"),
        (59_999, "59.9 s"),
        (60_000, "1 min 00 s"),
        (3_599_000, "59 min 59 s"),
        (3_720_000, "1 h 02 min"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_durations(ms: int, written: str) -> None:
    assert duration(ms) == written


def test_moments_are_in_utc() -> None:
    assert clock_time(1_773_134_042_318) == "09:14:02.318"
    assert date_time(1_773_134_042_318) == "2026-03-10 09:14:02.318 UTC"


def test_counts() -> None:
    assert count(1, "entry", "entries") == "1 entry"
    assert count(2_000, "entry", "entries") == "2,000 entries"
    assert count(0, "lane") == "0 lanes"
