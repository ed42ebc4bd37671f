"""What a page says of a whole call."""

from typing import Any

import pytest

from tests.console.ladder.traces import Sink, failing, gone, hanging, healthy, played
from webrtc_events.console.calls.call_facts import call_facts, outcome_of, parties
from webrtc_events.console.ladder.entries import read_entries
from webrtc_events.core.call_trace import CallOutcome


def facts(trace: list[Any]) -> dict[str, str]:
    return {fact.label: fact.value for fact in call_facts(read_entries(trace))}


def test_a_call_that_went_well() -> None:
    assert facts(played("declined", [healthy, healthy])) == {
        "First seen": "2026-03-10 11:42:37.089 UTC",
        "Lasted": "5.7 s",
        "Latest status": "Declined",
        "Events": "4",
        "Delivered": "4",
        "Accepted to delivered": "10 ms, at most 12 ms",
    }


def test_what_went_wrong_is_counted() -> None:
    found = facts(played("answered", [healthy, healthy, failing, hanging, gone]))
    assert {name: found[name] for name in ("Delivered", "Retries", "Given up", "Ended")} == {
        "Delivered": "27",
        "Retries": "3",
        "Given up": "9",
        "Ended": "1",
    }


def test_duplicates_gaps_and_what_cannot_be_read_are_counted() -> None:
    first, *rest = played("declined")
    trace = [
        first,
        {**first, "duplicate": True},
        {"kind": "gap", "at": 1, "count": 7},
        {"kind": "new"},
        *rest,
    ]
    found = facts(trace)
    assert found["Events"] == "5, 1 duplicate"
    assert (found["Not kept"], found["Unreadable"]) == ("7", "1")


def test_a_duplicate_is_no_new_status() -> None:
    first, *rest = [entry for entry in played("declined") if entry["kind"] == "accepted"]
    assert facts([first, *rest, {**rest[0], "duplicate": True}])["Latest status"] == "Declined"


def test_of_nothing_there_is_nothing_to_say() -> None:
    assert facts([]) == {}
    assert outcome_of([]) is CallOutcome.NOT_TRIED


@pytest.mark.parametrize(
    ("sinks", "outcome"),
    [
        ([healthy, healthy], CallOutcome.DELIVERED),
        ([healthy, failing], CallOutcome.RETRIED),
        ([healthy, hanging], CallOutcome.FAILED),
        ([healthy, gone], CallOutcome.FAILED),
    ],
)
def test_the_worst_counts(sinks: list[Sink], outcome: CallOutcome) -> None:
    assert outcome_of(read_entries(played("answered", sinks))) is outcome


def test_parties_are_those_of_the_first_event_that_names_them() -> None:
    found = {fact.label: fact.value for fact in parties([{"kind": "gap"}, 7, *played("declined")])}
    assert found == {
        "From": "Carol Lindqvist, sip:carol.lindqvist@example.com",
        "To": "sip:dave@voice.example.com",
    }


@pytest.mark.parametrize("data", [None, [], {}, {"originatorAddress": 5}, {"originatorAddress": ""}])
def test_without_names_there_are_no_parties(data: object) -> None:
    assert parties([{"data": data}]) == []
