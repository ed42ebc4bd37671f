"""Entries of traces as values: what is not what it should be counts as left out."""

from typing import Any

import pytest
from hypothesis import given

from tests.console.ladder.hostile import entries
from tests.console.ladder.traces import failing, healthy, played
from webrtc_events.console.ladder.entries import (
    Accepted,
    Attempt,
    AttemptOutcome,
    Gap,
    Item,
    Unreadable,
    read_entries,
)


def one(**members: Any) -> Item:
    (item,) = read_entries([members])
    return item


def test_an_accepted_event_is_read() -> None:
    item = read_entries(played("declined"))[0]
    assert isinstance(item.entry, Accepted)
    assert (item.entry.type, item.entry.status, item.entry.sequence) == ("session-invitation", "Initial", 1)
    assert item.entry.bodies == ("offer",)
    assert item.entry.subscriptions == 1


def test_an_attempt_is_read_with_what_its_notification_carried() -> None:
    found = [item.entry for item in read_entries(played("answered", [healthy, healthy]))]
    sent = [entry for entry in found if isinstance(entry, Attempt)]
    assert sent[0].host == "https://localhost:8443"
    assert {entry.bodies for entry in sent} == {("offer",), (), ("offer", "answer")}


def test_without_content_nothing_is_carried() -> None:
    found = read_entries(played("answered", [healthy, healthy], full=False))
    assert all(getattr(item.entry, "bodies", ()) == () for item in found)


@pytest.mark.parametrize("value", ["later", None, True, -1, 1.5, [], 2**70])
def test_an_entry_without_a_usable_time_has_that_of_the_one_before(value: Any) -> None:
    first, second = read_entries([{"kind": "gap", "at": 7}, {"kind": "gap", "at": value}])
    assert (first.at, first.guessed) == (7, False)
    assert (second.at, second.guessed) == (7, True)


@pytest.mark.parametrize(
    ("member", "value", "read"),
    [
        ("http", "204", None),
        ("http", 0, None),
        ("attempt", True, None),
        ("sequence", -3, None),
        ("status", 5, ""),
        ("reason", "line\none", "line\ufffdone"),
        ("host", "x" * 1000, "x" * 299 + "…"),
        ("outcome", ["delivered"], AttemptOutcome.UNKNOWN),
        ("outcome", "vanished", AttemptOutcome.UNKNOWN),
        ("last", 1, False),
        ("body", '{"data": ', ()),
        ("body", '{"data": {"offer": {"sdp": "v=0"}}}', ("offer",)),
        ("body", "[" * 5_000, ()),
    ],
)
def test_a_member_of_another_kind_counts_as_left_out(member: str, value: Any, read: Any) -> None:
    entry = one(kind="attempt", at=1, **{member: value}).entry
    assert isinstance(entry, Attempt)
    assert getattr(entry, "bodies" if member == "body" else member) == read


@pytest.mark.parametrize("raw", [None, 7, "text", [], {}, {"kind": 7}, {"kind": "later"}])
def test_an_entry_of_no_known_kind_is_unreadable(raw: object) -> None:
    (item,) = read_entries([raw])
    assert isinstance(item.entry, Unreadable)


def test_what_is_there_twice_is_marked_and_has_a_name_of_its_own() -> None:
    attempt = {"kind": "attempt", "at": 5, "event": "a.1", "attempt": 1, "outcome": "delivered"}
    items = read_entries([attempt, attempt, {**attempt, "at": 6}, {**attempt, "at": 7, "attempt": 2}])
    assert [item.repeated for item in items] == [False, True, True, False]
    assert len({item.key for item in items}) == 4


def test_a_key_names_the_same_entry_when_older_ones_are_gone() -> None:
    trace = played("answered", [healthy, failing])
    whole, rest = read_entries(trace), read_entries(trace[5:])
    assert [item.key for item in rest] == [item.key for item in whole[5:]]


def test_a_gap_says_how_much_is_missing() -> None:
    assert one(kind="gap", at=1, count=12).entry == Gap(12)
    assert one(kind="gap", at=1, count="many").entry == Gap(None)


@given(entries())
def test_whatever_is_stored_each_entry_is_one_item(stored: list[Any]) -> None:
    items = read_entries(stored)
    assert [item.number for item in items] == list(range(1, len(stored) + 1))
    assert len({item.key for item in items}) == len(stored)
