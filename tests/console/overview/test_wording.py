"""Numbers, spans and sizes as people read them."""

import pytest

from webrtc_events.console.overview import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.85, "850 ms"),
        (1, "1 s"),
        (2.54, "2.5 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7505, "2 h 5 min"),
        (86_400 * 3 + 7200 + 59, "3 d 2 h"),
    ],
)
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert wording.span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (740, "740 B"), (1200, "1.2 kB"), (137_000_000, "137 MB"), (4.6e15, "4600 TB")],
)
def test_a_size_is_in_thousands(number: int, text: str) -> None:
    assert wording.size(number) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.004, "0.4 %"), (0.0996, "10 %"), (1.2, "120 %")])
def test_a_share_is_in_percent(share: float, text: str) -> None:
    assert wording.percent(share) == text


def test_a_number_has_its_word() -> None:
    assert wording.plural(1, "host") == "1 host"
    assert wording.plural(1234, "host") == "1,234 hosts"
    assert wording.plural(2, "event waits", "events wait") == "2 events wait"


def test_a_time_is_in_utc() -> None:
    assert wording.clock_time(1_800_000_065_999) == "08:01"
    assert wording.clock_time(1_800_000_065_999, seconds=True) == "08:01:05"
