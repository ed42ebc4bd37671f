"""What processes count comes together, minute by minute, and an outage of the store loses nothing of it."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import redis

from tests.cluster.conftest import settings_at
from tests.harness.clocks import SteppedClock
from tests.harness.valkeys import ValkeyServer, eventually
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.process_report import WorkerReport
from webrtc_events.core.settings import Settings
from webrtc_events.store.activity_log import Minute
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.keys import activity_key, process_key
from webrtc_events.store.reporter import EVERY_S, Reporter
from webrtc_events.store.store import Store

MINUTE_S = 60.0


class Counting:
    """A process that counts, driven by the test's own thread."""

    def __init__(self, watch: StoreWatch, clock: SteppedClock, role: str = "api") -> None:
        self.activity = Activity()
        worker = (lambda: WorkerReport(2, 1)) if role == "worker" else None
        self.reporter = Reporter(watch, self.activity, clock, role=role, worker=worker)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def watch(settings: Settings) -> Iterator[StoreWatch]:
    running = StoreWatch.connect(settings, SystemClock())
    yield running
    running.store.close()


@pytest.fixture
def process(watch: StoreWatch, clock: SteppedClock) -> Callable[..., Counting]:
    return lambda role="api": Counting(watch, clock, role)


def minutes(store: Store) -> dict[int, Minute]:
    """Those of which something is known, by how far they are from this one."""
    now = store.processes.now_ms() // 60_000
    return {
        minute.number - now: minute
        for minute in store.processes.minutes(now + 5, 70)
        if minute.by_process or minute.waiting is not None
    }


def total(store: Store) -> Mapping[str, int]:
    counted: dict[str, int] = {}
    for minute in minutes(store).values():
        for name, count in minute.counts.items():
            counted[name] = counted.get(name, 0) + count
    return counted


def test_what_was_counted_is_written_once(store: Store, process: Callable[..., Counting]) -> None:
    one = process()
    one.activity.accepted += 2
    one.activity.rejected += 1
    for _ in range(3):
        one.reporter.step()
    assert total(store) == {"accepted": 2, "rejected": 1}
    one.activity.accepted += 1
    one.reporter.step()
    assert total(store) == {"accepted": 3, "rejected": 1}


def test_counts_of_several_processes_add_up(store: Store, process: Callable[..., Counting]) -> None:
    one, two = process(), process()
    one.activity.accepted += 2
    two.activity.accepted += 3
    two.activity.deliveries["session-status"] += 1
    for counting in (one, two, one):
        counting.reporter.step()
    assert total(store) == {"accepted": 5, "delivered": 1}
    found = [minute.by_process for minute in minutes(store).values()]
    assert {name: counts for minute in found for name, counts in minute.items()} == {
        one.reporter.name: {"accepted": 2},
        two.reporter.name: {"accepted": 3, "delivered": 1},
    }


def test_counts_are_of_the_minute_in_which_they_were_made(
    store: Store, process: Callable[..., Counting], clock: SteppedClock
) -> None:
    """By the store's time, carried on by the monotonic clock: here that runs ahead between two reports."""
    one = process()
    one.activity.accepted += 1
    one.reporter.step()
    clock.elapsed += 2 * MINUTE_S
    one.activity.accepted += 5
    one.reporter.step()
    assert sorted(minute.counts["accepted"] for minute in minutes(store).values()) == [1, 5]


def test_an_outage_loses_nothing_and_doubles_nothing(tmp_path: Path, clock: SteppedClock) -> None:
    with ValkeyServer(tmp_path) as server:
        watch = StoreWatch.connect(settings_at(server.url), SystemClock())
        one = Counting(watch, clock)
        one.activity.accepted += 1
        one.reporter.step()
        server.kill()
        for _ in range(3):
            one.activity.accepted += 10
            clock.elapsed += MINUTE_S
            with pytest.raises(Unavailable):
                one.reporter.step()
        server.start()
        server.wait_ready()
        eventually(lambda: one.reporter.step() or True, "the store takes reports")
        one.reporter.step()
        found = {number: minute.counts for number, minute in minutes(watch.store).items()}
        assert sum(counts["accepted"] for counts in found.values()) == 31
        # Each in the minute in which it was counted.
        assert [counts["accepted"] for _, counts in sorted(found.items())][-3:] == [10, 10, 10]
        watch.store.close()


def test_what_was_written_though_its_answer_was_lost_is_not_doubled(
    store: Store, process: Callable[..., Counting], watch: StoreWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = process()
    one.reporter.step()
    one.activity.deliveries["session-status"] += 4
    say = watch.store.processes.say

    def lost(*args: object) -> int:
        say(*args)  # type: ignore[arg-type]
        raise Unavailable

    monkeypatch.setattr(watch.store.processes, "say", lost)
    with pytest.raises(Unavailable):
        one.reporter.step()
    monkeypatch.undo()
    one.reporter.step()
    assert total(store) == {"delivered": 4}


def test_a_worker_says_once_a_minute_how_many_subscriptions_wait(
    store: Store, process: Callable[..., Counting], raw_store: "redis.Redis", clock: SteppedClock
) -> None:
    raw_store.zadd("{3}:due", {"a": 1, "b": 2})
    raw_store.zadd("{4}:due", {"c": 1})
    worker = process("worker")
    worker.reporter.step()
    raw_store.zadd("{4}:due", {"d": 1})
    worker.reporter.step()
    process().reporter.step()
    assert [minute.waiting for minute in minutes(store).values()] == [3]
    clock.elapsed += MINUTE_S
    worker.reporter.step()
    assert [minute.waiting for minute in minutes(store).values()] == [3, 4]


def test_a_report_says_who_speaks(store: Store, process: Callable[..., Counting]) -> None:
    worker = process("worker")
    worker.activity.deliveries["session-status"] += 7
    worker.reporter.step()
    (said,) = store.processes.read().reports.values()
    assert (said.role, said.pid, said.counts["delivered"]) == ("worker", os.getpid(), 7)
    assert said.worker == WorkerReport(2, 1)
    assert said.memory_bytes > 1_000_000
    assert said.started_ms <= said.at_ms


def test_a_value_that_cannot_be_read_is_counted_and_the_others_add_up(
    store: Store, process: Callable[..., Counting], raw_store: "redis.Redis"
) -> None:
    one = process()
    one.activity.accepted += 2
    one.reporter.step()
    (number,) = (minute.number for minute in minutes(store).values())
    raw_store.hset(activity_key(number), mapping={"x": "{", "y": '{"accepted":"1"}', "z": '{"later":3}'})
    found = store.processes.minutes(number, 1)[0]
    assert (found.counts["accepted"], found.damaged) == (2, 2)


def test_counts_are_kept_for_two_hours_and_no_longer(
    store: Store, process: Callable[..., Counting], raw_store: "redis.Redis"
) -> None:
    one = process()
    one.activity.accepted += 1
    one.reporter.step()
    (number,) = (minute.number for minute in minutes(store).values())
    assert 7_200_000 <= raw_store.pttl(activity_key(number)) <= 7_500_000


def test_one_that_stops_says_what_it_counted_last_and_leaves(
    store: Store, watch: StoreWatch, raw_store: "redis.Redis"
) -> None:
    activity = Activity()
    reporter = Reporter(watch, activity, SystemClock(), role="api")
    reporter.loop.start()
    eventually(lambda: raw_store.exists(process_key(reporter.name)), "it reports")
    activity.accepted += 3
    reporter.loop.ask_to_stop()
    assert reporter.loop.join(5 * EVERY_S)
    assert store.processes.read().reports == {}
    assert total(store) == {"accepted": 3}


def test_what_is_found_wrong_with_the_store_is_said(tmp_path: Path, clock: SteppedClock) -> None:
    with ValkeyServer(tmp_path, aof="no") as server:
        watch = StoreWatch.connect(settings_at(server.url), SystemClock())
        Counting(watch, clock).reporter.step()
        (said,) = watch.store.processes.read().reports.values()
        assert said.troubles == (watch.durability().detail,)
        watch.store.close()
