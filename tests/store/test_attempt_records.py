"""What is read of the attempts that are kept: one, or a run of deliveries."""

import json
from typing import Any

import pytest

from webrtc_events.delivery.delivered_run import DeliveredRun
from webrtc_events.store.attempt_records import count_attempts, read_attempts


def run_of(*numbers: int) -> dict[str, Any]:
    run = DeliveredRun("s-1", "https://sink.example:443", "session-status", 204)
    for number in numbers:
        run.add(number, 10 + number, 1000 + number, f"c-{number}")
    return run.record()


def attempt(number: int) -> dict[str, Any]:
    return {
        "event": f"s-1.{number}",
        "type": "session-status",
        "attempt": 1,
        "outcome": "delivered",
        "reason": "",
        "status": 204,
        "ms": 10 + number,
        "at": 1000 + number,
        "host": "https://sink.example:443",
        "correlator": f"c-{number}",
    }


def read(record: Any) -> list[dict[str, Any]]:
    return read_attempts({"subscription": "s-1", "attempt": json.dumps(record), "registration": "r1"})


def test_one_delivery_is_an_attempt_as_any_other() -> None:
    assert run_of(4) == attempt(4)
    assert read(run_of(4)) == [attempt(4)]


def test_a_run_is_an_attempt_for_each_event_in_order() -> None:
    assert read(run_of(4, 5, 9)) == [attempt(4), attempt(5), attempt(9)]


def test_each_delivery_of_a_run_counts() -> None:
    assert [count_attempts(run_of(4)), count_attempts(run_of(4, 5, 9))] == [1, 3]


@pytest.mark.parametrize(
    "record",
    [
        *("x", 7, [], {}, None, {"event": "s-1.4"}),
        {"numbers": 4},
        run_of(4, 5) | {"ms": [1]},
        run_of(4, 5) | {"correlators": None},
        {name: value for name, value in run_of(4, 5).items() if name != "status"},
    ],
)
def test_what_is_no_attempt_is_passed_over(record: Any) -> None:
    assert read(record) == []


@pytest.mark.parametrize("fields", [{}, {"attempt": "{"}, {"attempt": json.dumps(run_of(4, 5))}])
def test_an_entry_without_its_fields_has_none(fields: dict[str, str]) -> None:
    assert read_attempts(fields) == []
