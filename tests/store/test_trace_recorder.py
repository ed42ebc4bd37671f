"""Recording waits for nothing, is bounded, survives an outage of the store, and says what it lost."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.clocks import SteppedClock
from tests.harness.valkeys import ValkeyServer, eventually
from tests.store.call_notes import AT, LIMITS, Note, accepted, attempt, recorder_of
from webrtc_events.core.call_trace import GapEntry, TraceLevel
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import call_trace_key
from webrtc_events.store.store import Store
from webrtc_events.store.trace_buffer import BufferLimits, TraceBuffer
from webrtc_events.store.trace_facts import TraceFacts
from webrtc_events.store.trace_recorder import TraceRecorder
from webrtc_events.store.trace_writes import Noted, TraceBatch, TraceWrites


def ids(store: Store, session: str = "s1") -> list[Any]:
    """The ids of accepted events, gaps by their count."""
    return [
        entry.count if isinstance(entry, GapEntry) else getattr(entry, "id", "attempt")
        for entry in store.call_traces.read(session).entries
    ]


def numbered(count: int, **values: Any) -> list[Note]:
    return [accepted(id=f"e{number}", at=AT + number, **values) for number in range(count)]


def gaps(store: Store, session: str = "s1") -> int:
    entries = store.call_traces.read(session).entries
    return sum(entry.count for entry in entries if isinstance(entry, GapEntry))


@pytest.fixture
def start() -> Iterator[Callable[[TraceRecorder], None]]:
    """Starts a recorder's thread, and ends it after the test."""
    started: list[TraceRecorder] = []

    def begin(recorder: TraceRecorder) -> None:
        started.append(recorder)
        recorder.loop.start()

    yield begin
    for recorder in started:
        recorder.loop.ask_to_stop()
        assert recorder.loop.join(10)


def test_nothing_is_recorded_unless_it_is_asked_for(store: Store, settings: Settings) -> None:
    assert TraceRecorder.of(settings, store.connection, SystemClock()) is None


@pytest.mark.parametrize("level", ["metadata", "full"])
def test_the_setting_says_how_much_is_recorded(store: Store, settings: Settings, level: str) -> None:
    changed = dataclasses.replace(settings, call_traces=level)
    recorder = TraceRecorder.of(changed, store.connection, SystemClock())
    assert recorder is not None
    assert recorder.level is TraceLevel(level)


def test_to_record_asks_nothing_of_the_store(store: Store, sent: list[int]) -> None:
    recorder = recorder_of(store)
    recorder.record(numbered(3))
    assert sent == []


def test_nothing_is_asked_of_the_store_while_there_is_nothing_to_write(store: Store, sent: list[int]) -> None:
    recorder = recorder_of(store)
    recorder.flush()
    recorder.record([Note(None, accepted().noted)])
    recorder.flush()
    sent.clear()
    recorder.flush()
    assert sent == []


def test_what_is_no_matter_of_a_call_is_not_kept(store: Store, raw_store: "redis.Redis") -> None:
    recorder = recorder_of(store)
    recorder.record([Note(None, accepted().noted), accepted("s2")])
    recorder.flush()
    assert raw_store.keys("session:*") == [call_trace_key("s2")]


def test_the_thread_writes_what_was_recorded(store: Store, start: Callable[[TraceRecorder], None]) -> None:
    recorder = recorder_of(store)
    start(recorder)
    recorder.record(numbered(3))
    eventually(lambda: ids(store) == ["e0", "e1", "e2"], "the entries are written")


def test_the_last_round_of_the_thread_writes_what_is_left(store: Store) -> None:
    recorder = recorder_of(store)
    recorder.loop.start()
    recorder.record(numbered(3))
    recorder.loop.ask_to_stop()
    assert recorder.loop.join(10)
    assert ids(store) == ["e0", "e1", "e2"]


def test_several_threads_may_record(store: Store, start: Callable[[TraceRecorder], None]) -> None:
    recorder = recorder_of(store)
    start(recorder)

    def work(name: int) -> None:
        for number in range(50):
            recorder.record([accepted(id=f"{name}-{number}")])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {f"{name}-{number}" for name in range(4) for number in range(50)}
    eventually(lambda: set(ids(store)) == wanted, "all entries are written")
    assert len(ids(store)) == 200


@pytest.mark.parametrize("limits", [BufferLimits(notes=3, size=10_000), BufferLimits(notes=99, size=300)])
def test_what_does_not_fit_into_the_buffer_is_a_gap_of_its_session(
    store: Store, caplog: pytest.LogCaptureFixture, limits: BufferLimits
) -> None:
    recorder = recorder_of(store, buffer=limits)
    for _ in range(3):
        recorder.record([*numbered(3), accepted("s2"), accepted("s1", id="late")])
        recorder.flush()
    assert [entry for entry in ids(store) if isinstance(entry, str)] == ["e0"] * 3 + ["e1"] * 3 + ["e2"] * 3
    assert gaps(store, "s1") == 3
    assert gaps(store, "s2") == 3
    summary = store.call_traces.summary("s1")
    assert summary is not None
    assert summary.lost == 3
    # A line a minute says so.
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "the buffer is full" in caplog.text
    assert "s1" not in caplog.text


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), max_size=40),
    st.integers(0, 8),
    st.integers(0, 200),
)
def test_the_buffer_keeps_no_more_than_it_may_and_counts_the_rest(
    given_notes: list[tuple[str, int]], notes: int, size: int
) -> None:
    buffer = TraceBuffer(SteppedClock(), BufferLimits(notes=notes, size=size))
    offered = [Note(session, accepted(session).noted, size=bytes_) for session, bytes_ in given_notes]
    buffer.add(offered)
    kept, lost = buffer.take(), buffer.take_losses()
    assert len(kept) <= notes
    assert sum(note.size for note in kept) <= size
    for session in "abc":
        count = lost[session].count if session in lost else 0
        assert count + sum(note.session() == session for note in kept) == sum(
            note.of == session for note in offered
        )
    assert not buffer


def test_losses_of_very_many_sessions_are_counted_in_bounded_memory() -> None:
    buffer = TraceBuffer(SteppedClock(), BufferLimits(notes=0, size=0))
    buffer.add(accepted(f"s{number}") for number in range(3000))
    assert len(buffer.take_losses()) == 1000
    assert buffer.take_reasons() == {"the buffer is full": 3000}


def test_above_the_watermark_nothing_is_recorded_and_later_there_is_a_gap(
    store: Store, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    clock = SteppedClock()
    recorder = recorder_of(store, clock=clock)
    used = max(int(server["used_memory"]) for server in infos(store))
    raw_store.config_set("maxmemory", int(used * 1.05))
    try:
        recorder.record(numbered(4))
        recorder.flush()
        assert store.call_traces.read("s1").entries == []
    finally:
        raw_store.config_set("maxmemory", "0")
    clock.sleep(5)
    recorder.record([attempt()])
    recorder.flush()
    assert set(ids(store)) == {"attempt", 4}
    assert "watermark" in caplog.text


def infos(store: Store) -> list[dict[str, Any]]:
    return [answers[0] for answers in store.client.ask_each(("INFO", "memory")).values()]


class Cut(TraceWrites):
    """The real writes, cut off: before the store has them, or before its answer, or some of its answers."""

    cut: list[str]

    def write(self, batches: Sequence[TraceBatch]) -> list[bool]:
        kind = self.cut.pop(0) if self.cut else ""
        if kind == "request":
            raise Unavailable
        done = super().write(batches)
        if kind == "answer":
            raise Unavailable
        return [False] * len(batches) if kind == "some answers" else done


@pytest.mark.parametrize("kind", ["request", "answer", "some answers"])
def test_what_the_store_did_not_answer_is_written_again_and_is_there_once(store: Store, kind: str) -> None:
    recorder = recorder_of(store)
    recorder._writes.__class__ = Cut
    recorder._writes.cut = [kind, "", kind]  # type: ignore[attr-defined]
    recorder.record(numbered(2))
    for number in range(5):
        try:
            recorder.flush()
        except Unavailable:
            assert kind != "some answers"
        if number == 1:
            recorder.record([accepted(id="e2", at=AT + 2)])
    assert ids(store) == ["e0", "e1", "e2"]
    assert [call.session for call in store.call_traces.recent().calls] == ["s1"]


def test_what_the_store_does_not_answer_for_long_is_bounded(store: Store, raw_store: "redis.Redis") -> None:
    recorder = recorder_of(store)
    recorder._writes.__class__ = Cut
    recorder._writes.cut = ["request"] * 10  # type: ignore[attr-defined]
    for _ in range(10):
        recorder.record(numbered(1000))
        with pytest.raises(Unavailable):
            recorder.flush()
        assert sum(batch.entries for batch in recorder._unanswered) <= 5000
    for _ in range(3):
        recorder.flush()
    written, lost = map(int, raw_store.hmget(call_trace_key("s1"), "accepted", "gap"))
    assert 4000 <= written <= 5000
    assert written + lost == 10_000


def test_a_store_that_is_away_holds_up_nothing_and_gets_what_fits_once_it_is_back(
    tmp_path: Path,
    settings: Settings,
    start: Callable[[TraceRecorder], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ValkeyServer(tmp_path) as server:
        url = dataclasses.replace(
            settings, redis_url=Settings.from_environ(least_environ(server.url)).redis_url
        )
        store = Store.connect(url)
        recorder = recorder_of(store, buffer=BufferLimits(notes=5, size=100_000))
        start(recorder)
        recorder.record([accepted(id="before")])
        eventually(lambda: ids(store) == ["before"], "the first is written")
        server.kill()
        recorder.record(numbered(8))
        server.start()
        server.wait_ready()
        eventually(lambda: len(ids(store)) > 1, "it goes on")
        kept = [name for name in ids(store) if isinstance(name, str)]
        assert kept == ["before", "e0", "e1", "e2", "e3", "e4"]
        assert gaps(store) == 3
        assert "s1" not in caplog.text
        recorder.loop.ask_to_stop()
        assert recorder.loop.join(10)
        store.close()


def least_environ(url: str) -> dict[str, str]:
    return {
        "WEBRTC_EVENTS_REDIS_URL": url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/.well-known/openid-configuration",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
    }


def test_a_restart_of_the_process_goes_on_with_the_trace(store: Store) -> None:
    for number in range(3):
        recorder = recorder_of(store)
        recorder.record([accepted(id=f"e{number}", at=AT + number)])
        recorder.flush()
    assert ids(store) == ["e0", "e1", "e2"]


def test_a_batch_of_another_writer_with_the_same_number_is_another(store: Store) -> None:
    for name in ("e0", "e1"):
        writes = TraceWrites(store.connection, LIMITS, TraceLevel.FULL)
        assert writes.write([*writes.batches("s1", [Noted(accepted(id=name).noted)])]) == [True]
    assert ids(store) == ["e0", "e1"]


@pytest.mark.parametrize("seconds", [0, 3600])
def test_the_store_s_time_is_carried_on_and_is_never_ahead(
    store_at: Callable[..., Store], raw_store: "redis.Redis", seconds: float
) -> None:
    store = store_at(seconds)
    clock = SystemClock()
    facts = TraceFacts(store.connection, clock, 90)
    facts.refresh()
    found = facts.store_ms(clock.monotonic())
    now_s, micros = raw_store.time()
    assert now_s * 1000 + micros // 1000 - 5_000 < found - seconds * 1000 <= now_s * 1000 + micros // 1000
