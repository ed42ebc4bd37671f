"""Traces of calls are read as they were written, page by page, and calls are listed with their outcome."""

import json
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.call_notes import AT, LIMITS, Note, accepted, attempt, recorded, recorder_of
from webrtc_events.core.call_trace import CallOutcome, GapEntry, TraceEntry, encode_entry, in_order
from webrtc_events.store.call_traces import CallFilter, CallTraces
from webrtc_events.store.damaged_records import DamagedRecords
from webrtc_events.store.keys import RECENT_CALLS_KEY, call_trace_key
from webrtc_events.store.store import Store
from webrtc_events.store.trace_writes import TraceLimits


@pytest.fixture
def traces(store: Store) -> CallTraces:
    return store.call_traces


def entries(*notes: Note) -> list[TraceEntry]:
    return [note.noted for note in notes]


def sessions(traces: CallTraces, **options: Any) -> list[str]:
    """Of all pages."""
    found: list[str] = []
    cursor = None
    while True:
        page = traces.recent(cursor, **options)
        found += [call.session for call in page.calls]
        if page.cursor is None:
            return found
        cursor = page.cursor


def test_a_trace_is_in_order_of_time_whoever_wrote_it_when(store: Store, traces: CallTraces) -> None:
    first, second, third, other = accepted(), attempt(at=AT + 9), accepted(at=AT + 3), accepted("s2")
    recorded(store, second, other)
    recorded(store, first, third)
    page = traces.read("s1")
    assert page.entries == entries(first, third, second)
    assert (page.damaged, page.more) == (0, False)


def test_entries_of_one_moment_are_in_the_order_in_which_they_were_written(
    store: Store, traces: CallTraces
) -> None:
    notes = [accepted(id=f"e{number}") for number in range(5)]
    recorded(store, *notes)
    assert traces.read("s1").entries == entries(*notes)


def test_a_session_without_a_trace_has_no_entries(traces: CallTraces) -> None:
    assert traces.read("s1").entries == []
    assert traces.summary("s1") is None


def test_pages_follow_one_another_and_later_ones_have_what_is_new(store: Store, traces: CallTraces) -> None:
    notes = [accepted(id=f"e{number}", at=AT + number) for number in range(5)]
    recorded(store, *notes)
    page = traces.read("s1", limit=3)
    assert (page.entries, page.more) == (entries(*notes[:3]), True)
    page = traces.read("s1", page.cursor, limit=3)
    assert (page.entries, page.more) == (entries(*notes[3:]), False)
    assert traces.read("s1", page.cursor).entries == []
    earlier = attempt(at=AT - 7)
    recorded(store, earlier)
    page = traces.read("s1", page.cursor)
    assert page.entries == entries(earlier)
    assert traces.read("s1", page.cursor).cursor == page.cursor


@pytest.mark.parametrize("cursor", ["x", "1-2", "1-x", "-", "9" * 50])
def test_a_cursor_of_another_trace_begins_anew(store: Store, traces: CallTraces, cursor: str) -> None:
    recorded(store, accepted())
    assert traces.read("s1", cursor).entries == entries(accepted())


def test_the_oldest_entries_go_and_the_trace_says_how_many(store: Store, traces: CallTraces) -> None:
    notes = [accepted(id=f"e{number}", at=AT + number) for number in range(8)]
    limits = TraceLimits(sessions=9, age_ms=60_000, entries=5)
    recorder = recorder_of(store, limits=limits)
    recorder.record(notes[:4])
    recorder.flush()
    page = traces.read("s1", limit=2)
    recorder.record(notes[4:])
    recorder.flush()
    assert traces.read("s1").entries == [GapEntry(at=AT + 3, session="s1", count=3), *entries(*notes[3:])]
    # What went between two pages is a gap too.
    later = traces.read("s1", page.cursor).entries
    assert later == [GapEntry(at=AT + 3, session="s1", count=1), *entries(*notes[3:])]
    summary = traces.summary("s1")
    assert summary is not None
    assert (summary.accepted, summary.lost) == (8, 3)


@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(AT, AT + 99), st.integers(0, 400)), min_size=1, max_size=12),
        max_size=8,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_trace_keeps_the_latest_that_fit_in_order_and_counts_the_rest(
    store: Store, raw_store: "redis.Redis", batches: list[list[tuple[int, int]]]
) -> None:
    raw_store.delete(call_trace_key("s1"))
    limits = TraceLimits(sessions=9, age_ms=60_000, entries=10, size=2_000)
    recorder = recorder_of(store, limits=limits)
    model: list[TraceEntry] = []
    for batch in batches:
        notes = [accepted(at=at, source="x" * length) for at, length in batch]
        recorder.record(notes)
        recorder.flush()
        model += entries(*notes)
    kept = model[:]
    while len(kept) > limits.entries or (len(kept) > 1 and sum(map(size_of, kept)) > limits.size):
        del kept[0]
    found = store.call_traces.read("s1").entries
    lost = len(model) - len(kept)
    gap = [GapEntry(at=min(entry.at for entry in kept), session="s1", count=lost)] if lost else []
    assert found == in_order([*gap, *kept])
    assert len(raw_store.hkeys(call_trace_key("s1"))) <= limits.entries + 15


def size_of(entry: TraceEntry) -> int:
    return len(encode_entry(entry))


def test_what_cannot_be_read_is_left_out_and_counted(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    recorded(store, *(accepted(id=f"e{number}") for number in range(3)))
    raw_store.hset(call_trace_key("s1"), "e:2", b"\xff{")
    raw_store.hset(call_trace_key("s1"), "delivered", "many")
    page = traces.read("s1")
    assert page.entries == entries(accepted(id="e0"), accepted(id="e2"))
    assert (page.damaged, page.more) == (1, False)
    summary = traces.summary("s1")
    assert summary is not None
    assert summary.delivered == 0


@pytest.mark.parametrize("value", [b"", b"\xff", b"-7", b"1e300", b"9" * 16, b"9" * 400])
@pytest.mark.parametrize(
    "field",
    ["format", "from", "next", "born", "bytes", "first", "last", "status", "status_at", "accepted", "level"],
)
def test_a_damaged_field_ends_nothing(
    store: Store, traces: CallTraces, raw_store: "redis.Redis", field: str, value: bytes
) -> None:
    recorded(store, accepted(status="Ringing"))
    raw_store.hset(call_trace_key("s1"), field, value)
    traces.read("s1")
    traces.recent()
    recorded(store, accepted(status="Ringing"), accepted("s2"))
    assert traces.read("s1").entries
    assert traces.summary("s1") is not None
    assert traces.read("s2").entries


def test_a_key_of_another_type_is_no_trace_and_stops_no_other(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    recorded(store, accepted("s1"), accepted("s2"))
    raw_store.delete(call_trace_key("s1"))
    raw_store.set(call_trace_key("s1"), "x")
    recorded(store, accepted("s1"), accepted("s2"))
    assert traces.read("s1").entries == []
    assert len(traces.read("s2").entries) == 2
    assert sessions(traces) == ["s2"]
    assert raw_store.get(call_trace_key("s1")) == "x"


def test_keys_of_another_type_are_found_and_dropped(store: Store, raw_store: "redis.Redis") -> None:
    records = DamagedRecords(store)
    recorded(store, accepted("s1"))
    assert list(records.find()) == []
    for key in (call_trace_key("s2"), RECENT_CALLS_KEY):
        raw_store.set(key, "x")
        (found,) = records.find()
        assert found.key == key
        assert records.drop(found.name)
        assert list(records.find()) == []


def test_an_index_of_another_type_is_made_anew(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    raw_store.set(RECENT_CALLS_KEY, "x")
    assert sessions(traces) == []
    recorded(store, accepted())
    assert sessions(traces) == ["s1"]


def test_a_trace_of_a_newer_release_is_left_alone(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    recorded(store, accepted())
    raw_store.hset(call_trace_key("s1"), "format", 99)
    before = raw_store.hgetall(call_trace_key("s1"))
    recorded(store, attempt())
    assert raw_store.hgetall(call_trace_key("s1")) == before


def test_a_summary_says_what_came_of_a_call(store: Store, traces: CallTraces) -> None:
    notes = [
        accepted(at=AT, status="Ringing"),
        accepted(at=AT + 4, status="Ringing", duplicate=True),
        accepted(at=AT + 8, status="InProgress"),
        *(attempt(at=AT + 20, outcome=outcome) for outcome in ("retry", "retry", "delivered", "drop", "end")),
    ]
    recorded(store, *reversed(notes))
    summary = traces.summary("s1")
    assert summary is not None
    assert (summary.first_ms, summary.last_ms, summary.status) == (AT, AT + 20, "InProgress")
    assert (summary.accepted, summary.duplicates, summary.delivered) == (3, 1, 1)
    assert (summary.retries, summary.dropped, summary.ended, summary.lost) == (2, 1, 1, 0)
    assert summary.level == "full"


@pytest.mark.parametrize(
    ("outcomes", "outcome"),
    [
        ([], CallOutcome.NOT_TRIED),
        (["delivered"], CallOutcome.DELIVERED),
        (["delivered", "retry"], CallOutcome.RETRIED),
        (["delivered", "retry", "drop"], CallOutcome.FAILED),
        (["end"], CallOutcome.FAILED),
        (["refused"], CallOutcome.FAILED),
        (["agreed"], CallOutcome.NOT_TRIED),
    ],
)
def test_the_worst_that_came_of_a_call_is_its_outcome(
    store: Store, traces: CallTraces, outcomes: list[str], outcome: CallOutcome
) -> None:
    recorded(store, accepted(), *(attempt(outcome=word) for word in outcomes))
    summary = traces.summary("s1")
    assert summary is not None
    assert summary.outcome is outcome


def test_calls_are_listed_by_their_latest_entry(store: Store, traces: CallTraces) -> None:
    recorded(store, *(accepted(f"s{number}", at=AT + number) for number in range(7)))
    recorded(store, attempt("s2", at=AT + 100))
    assert sessions(traces, limit=3) == ["s2", "s6", "s5", "s4", "s3", "s1", "s0"]


def test_calls_of_one_moment_are_all_listed_once(store: Store, traces: CallTraces) -> None:
    names = ["a-1", "é", "z", *(f"s{number}" for number in range(130))]
    recorded(store, *(accepted(name) for name in names), limits=TraceLimits(sessions=500, age_ms=60_000))
    found = sessions(traces, limit=10)
    assert len(found) == len(names)
    assert set(found) == set(names)


def test_a_page_of_calls_takes_two_round_trips(store: Store, traces: CallTraces, sent: list[int]) -> None:
    recorded(store, *(accepted(f"s{number}", at=AT + number) for number in range(60)))
    sent.clear()
    assert len(traces.recent(limit=50).calls) == 50
    assert len(sent) == 2
    sent.clear()
    traces.read("s1")
    assert len(sent) == 2


def test_calls_are_found_by_session_registration_and_outcome(store: Store, traces: CallTraces) -> None:
    recorded(
        store,
        accepted("a-1", registration="r1"),
        accepted("a-2", registration="r2"),
        attempt("a-2", outcome="retry"),
        accepted("b-1", registration="r1"),
        attempt("b-1"),
    )

    def found(**wanted: Any) -> set[str]:
        return set(sessions(traces, wanted=CallFilter(**wanted)))

    assert found() == {"a-1", "a-2", "b-1"}
    assert found(session_prefix="a-") == {"a-1", "a-2"}
    assert found(registration="r1") == {"a-1", "b-1"}
    assert found(outcome=CallOutcome.RETRIED) == {"a-2"}
    assert found(registration="r1", outcome=CallOutcome.DELIVERED) == {"b-1"}
    assert found(registration="r3") == set()


def test_a_filter_looks_at_a_bounded_number_of_calls(
    store: Store, traces: CallTraces, sent: list[int]
) -> None:
    many = [accepted(f"s{number}", at=AT + number) for number in range(1200)]
    recorded(store, *many, limits=TraceLimits(sessions=2000, age_ms=60_000))
    sent.clear()
    page = traces.recent(wanted=CallFilter(session_prefix="s0"))
    assert page.calls == []
    assert len(sent) <= 10
    page = traces.recent(page.cursor, wanted=CallFilter(session_prefix="s0"))
    assert [call.session for call in page.calls] == ["s0"]
    assert page.cursor is None


def test_what_falls_out_of_the_list_loses_its_trace(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    limits = TraceLimits(sessions=3, age_ms=60_000)
    recorder = recorder_of(store, limits=limits)
    for number in range(6):
        recorder.record([accepted(f"s{number}", at=AT + number)])
        recorder.flush()
    assert sessions(traces) == ["s5", "s4", "s3"]
    assert raw_store.exists(*[call_trace_key(f"s{number}") for number in range(3)]) == 0
    assert raw_store.exists(call_trace_key("s3")) == 1


def test_a_trace_goes_with_its_age(store: Store, raw_store: "redis.Redis") -> None:
    recorded(store, accepted(), limits=TraceLimits(sessions=3, age_ms=60_000))
    for key in (call_trace_key("s1"), RECENT_CALLS_KEY):
        assert 0 < raw_store.pttl(key) <= 60_000


def test_calls_that_are_over_for_long_are_listed_no_more(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    recorded(store, accepted("s1"))
    raw_store.zadd(RECENT_CALLS_KEY, {"long ago": 5})
    recorded(store, accepted("s2"))
    assert raw_store.zscore(RECENT_CALLS_KEY, "long ago") is None
    assert set(sessions(traces)) == {"s1", "s2"}


def test_a_call_whose_trace_is_gone_is_not_listed(
    store: Store, traces: CallTraces, raw_store: "redis.Redis"
) -> None:
    recorded(store, accepted("s1"), accepted("s2", at=AT + 1))
    raw_store.delete(call_trace_key("s1"))
    assert sessions(traces) == ["s2"]


@pytest.mark.parametrize("session", ["}", "}x", "{", "a b", "é:trace", "a}:trace", "*"])
def test_any_session_id_has_a_trace_of_its_own(store: Store, traces: CallTraces, session: str) -> None:
    recorded(store, accepted(session), accepted("other"))
    assert traces.read(session).entries == entries(accepted(session))
    assert session in sessions(traces)


def test_an_entry_that_is_very_long_is_kept_without_its_content(store: Store, traces: CallTraces) -> None:
    recorded(store, accepted(data={"sdp": "x" * 200_000}))
    assert traces.read("s1").entries == entries(accepted())


def test_many_entries_at_once_are_written_in_several_runs(store: Store, traces: CallTraces) -> None:
    notes = [accepted(id=f"e{number}", source="x" * 900) for number in range(499)]
    recorded(store, *notes)
    assert traces.read("s1").entries == entries(*notes)


def test_the_stored_form_is_that_of_docs_and_lua(store: Store, raw_store: "redis.Redis") -> None:
    recorded(store, accepted(registration="r1", status="Ringing"), attempt(), limits=LIMITS)
    stored = raw_store.hgetall(call_trace_key("s1"))
    (writer,) = [name for name in stored if name.startswith("batch:")]
    assert stored.pop(writer) == "1"
    assert int(stored.pop("born")) > 0
    texts = [json.loads(stored.pop(f"e:{number}")) for number in (1, 2)]
    assert [text["kind"] for text in texts] == ["accepted", "attempt"]
    assert int(stored.pop("bytes")) == size_of(accepted(registration="r1", status="Ringing").noted) + size_of(
        attempt().noted
    )
    assert stored == {
        "format": "1",
        "level": "full",
        "first": str(AT),
        "last": str(AT + 5),
        "status": "Ringing",
        "status_at": str(AT),
        "from": "1",
        "next": "3",
        "accepted": "1",
        "delivered": "1",
        "r:r1": "",
    }
