"""Entries of a trace as JSON: members that do not apply are left out, and what was written is read again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.call_trace import (
    AcceptedEntry,
    AttemptEntry,
    GapEntry,
    TraceEntry,
    decode_entry,
    encode_entry,
    in_order,
    without_content,
)

ACCEPTED: dict[str, Any] = {
    "at": 1_800_000_000_000,
    "session": "s1",
    "id": "e1",
    "source": "/gateway",
    "time": "2026-03-10T09:00:00.000Z",
    "type": "session-status",
    "subscriptions": 2,
}
ATTEMPT: dict[str, Any] = {
    "at": 1_800_000_000_012,
    "session": "s1",
    "subscription": "i-2a",
    "event": "i-2a.1",
    "type": "session-status",
    "accepted_at": 1_800_000_000_001,
    "attempt": 1,
    "outcome": "delivered",
    "host": "https://app.example:443",
    "client": "app",
}

texts = st.text(max_size=20)
counts = st.integers(0, 2**53)
moments = st.integers(0, 4 * 10**12)
values = st.recursive(texts | counts | st.booleans() | st.none(), lambda inner: st.lists(inner, max_size=3))
entries: st.SearchStrategy[TraceEntry] = st.one_of(
    st.builds(GapEntry, at=moments, session=texts, count=counts),
    st.builds(
        AcceptedEntry,
        **dict.fromkeys(("session", "id", "source", "time", "type"), texts),
        at=moments,
        subscriptions=counts,
        registration=st.none() | texts,
        status=st.none() | texts,
        sequence=st.none() | counts,
        duplicate=st.booleans(),
        data=st.none() | st.dictionaries(texts, values, max_size=3),
    ),
    st.builds(
        AttemptEntry,
        **dict.fromkeys(("session", "subscription", "event", "type", "outcome", "host", "client"), texts),
        at=moments,
        accepted_at=moments,
        attempt=counts,
        ms=st.none() | counts,
        reason=texts,
        http=st.none() | st.integers(100, 599),
        delay_ms=st.none() | counts,
        last=st.booleans(),
        body=st.none() | texts,
    ),
)


@given(entries)
def test_what_was_written_is_read_again(entry: TraceEntry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


def test_members_that_do_not_apply_are_left_out() -> None:
    assert json.loads(encode_entry(AcceptedEntry(**ACCEPTED))) == {"kind": "accepted"} | ACCEPTED
    assert json.loads(encode_entry(AttemptEntry(**ATTEMPT))) == {"kind": "attempt"} | ATTEMPT
    gap = GapEntry(at=1, session="s1", count=3)
    assert json.loads(encode_entry(gap)) == {"kind": "gap", "at": 1, "session": "s1", "count": 3}


def test_a_request_that_took_no_time_is_told_from_one_that_was_not_made() -> None:
    assert json.loads(encode_entry(AttemptEntry(**ATTEMPT, ms=0)))["ms"] == 0


def test_members_of_a_later_release_are_passed_over() -> None:
    text = json.dumps({"kind": "gap", "at": 1, "session": "s1", "count": 3, "why": "?"})
    assert decode_entry(text) == GapEntry(at=1, session="s1", count=3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"kind":"gap"}',
        '{"kind":"other","at":1}',
        '{"kind":"gap","at":"secret","session":"s1","count":1}',
        '{"kind":"gap","at":1,"session":"\\udcff","count":1}',
        "[" * 100_000,
    ],
)
def test_what_is_no_entry_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="no entry of a trace") as caught:
        decode_entry(text)
    assert "secret" not in str(caught.value)


def test_text_of_a_damaged_record_can_be_written_and_no_reader_takes_it() -> None:
    with pytest.raises(ValueError, match="no entry"):
        decode_entry(encode_entry(GapEntry(at=1, session="\udcff", count=1)))


@given(st.lists(entries, max_size=8))
def test_entries_of_one_moment_keep_their_order(found: list[TraceEntry]) -> None:
    alone = [entry for entry in found if not isinstance(entry, AttemptEntry)]
    ordered = in_order(alone)
    assert [entry.at for entry in ordered] == sorted(entry.at for entry in alone)
    found = alone
    for moment in {entry.at for entry in found}:
        assert [e for e in ordered if e.at == moment] == [e for e in found if e.at == moment]


def test_attempts_of_a_subscription_stay_as_they_were_made_where_the_time_is_not_exact() -> None:
    def attempt(at: int, subscription: str = "s") -> AttemptEntry:
        return AttemptEntry(**ATTEMPT | {"at": at, "subscription": subscription})

    event, end, other, late = attempt(1_000), attempt(997), attempt(998, "other"), attempt(700)
    assert in_order([event, end, other]) == [other, event, attempt(1_000)]
    # Written later by another worker.
    assert in_order([event, late]) == [late, event]


def test_without_content_nothing_is_left_of_what_was_said() -> None:
    accepted = AcceptedEntry(**ACCEPTED, data={"sdp": "secret"})
    attempt = AttemptEntry(**ATTEMPT, sink="https://app.example/secret", body="secret")
    for entry in (accepted, attempt):
        assert b"secret" not in encode_entry(without_content(entry))
    assert without_content(accepted) == AcceptedEntry(**ACCEPTED)
