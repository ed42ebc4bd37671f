"""Recorded events as if they happened now."""

import pytest

from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.fresh_events import FreshEvents
from webrtc_events.local.recordings import load_recording

_CALL = load_recording("answered")


class _At(SystemClock):
    """Shows the given times, in seconds since the epoch, one after the other."""

    def __init__(self, *times: float) -> None:
        self._times = iter(times)

    def now(self) -> float:
        return next(self._times)


def test_time_is_that_of_the_clock() -> None:
    fresh = FreshEvents(_At(1_800_000_000.25))
    assert fresh.renew(_CALL[0])["time"] == "2027-01-15T08:00:00.250000Z"


def test_times_rise_where_the_clock_stands_still_or_goes_back() -> None:
    fresh = FreshEvents(_At(1_800_000_000.0, 1_800_000_000.0, 1_799_999_000.0, 1_800_000_001.0))
    assert [fresh.renew(event)["time"] for event in _CALL[:4]] == [
        "2027-01-15T08:00:00.000000Z",
        "2027-01-15T08:00:00.000001Z",
        "2027-01-15T08:00:00.000002Z",
        "2027-01-15T08:00:01.000000Z",
    ]


def test_each_run_has_new_ids_and_one_for_each_source_and_id() -> None:
    event = _CALL[0]
    runs = [FreshEvents(SystemClock()) for _ in range(2)]
    same = [run.renew(event)["id"] for run in runs for _ in range(2)]
    assert same[0] == same[1]
    assert same[2] == same[3]
    elsewhere = runs[0].renew(event | {"source": "/another"})["id"]
    assert len({event["id"], elsewhere, *same}) == 4


@pytest.mark.parametrize("event", _CALL, ids=lambda event: event["id"])
def test_all_but_id_and_time_stays(event: dict[str, object]) -> None:
    renewed = FreshEvents(SystemClock()).renew(event)
    assert renewed | {"id": event["id"], "time": event["time"]} == event
    assert list(renewed) == list(event)
