"""When a worker's sweeper does what time does, and how several take turns."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.clocks import SteppedClock
from tests.store.claiming import P, StoreAt, claim_one, delete, now_ms, settle
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.model import Status
from webrtc_events.store.keys import SWEEPER_TURN
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.store import Store
from webrtc_events.store.sweep_schedule import WHOLE_ROUND_S
from webrtc_events.store.sweeper import Sweeper

IDLE_S = 1.0


class Turns:
    """Sweepers whose clock stands still, and a turn that is over whenever a test says so."""

    def __init__(self, raw_store: "redis.Redis") -> None:
        self.raw_store = raw_store
        self.clock = SteppedClock()

    def sweeper(self, store: Store) -> Sweeper:
        sweeper = Sweeper(store, self.clock)
        self.until_idle(sweeper)
        return sweeper

    def until_idle(self, sweeper: Sweeper) -> None:
        """A round, and those that follow at once."""
        self.raw_store.delete(SWEEPER_TURN)
        while sweeper.step() == 0.0:
            pass


@pytest.fixture
def turns(raw_store: "redis.Redis") -> Turns:
    return Turns(raw_store)


def status_of(store: Store, subscription_id: str) -> Status | None:
    found = store.subscriptions.get(subscription_id)
    return found.status if found else None


def bring_forward(raw_store: "redis.Redis", subscription_id: str) -> None:
    """As if its last moment had come."""
    raw_store.hset(P.subscription(subscription_id), "expires_at", now_ms(raw_store) - 60_000)
    raw_store.zadd(P.ends, {subscription_id: now_ms(raw_store) - 60_000})


def test_what_was_made_after_a_round_ends_in_time(
    store: Store, turns: Turns, raw_store: "redis.Redis"
) -> None:
    sweeper = turns.sweeper(store)
    made = created(store, expires_at_ms=now_ms(raw_store) + 3_600_000)
    other = created(store, expires_at_ms=now_ms(raw_store) + 3_600_000)
    turns.until_idle(sweeper)
    bring_forward(raw_store, made.id)
    turns.until_idle(sweeper)
    assert (status_of(store, made.id), status_of(store, other.id)) == (Status.EXPIRED, Status.ACTIVE)


def test_what_was_deleted_leaves_nothing_in_the_next_round(store: Store, turns: Turns) -> None:
    made = created(store)
    sweeper = turns.sweeper(store)
    delete(store, made.id)
    assert settle(store, claim_one(store)) == "ended"
    turns.until_idle(sweeper)
    assert status_of(store, made.id) is None


def test_a_partition_with_nothing_due_is_swept_all_the_same(
    store: Store, turns: Turns, raw_store: "redis.Redis"
) -> None:
    sweeper = turns.sweeper(store)
    raw_store.xadd(P.attempts, {"subscription": "s"}, id="1-1")
    for _ in range(round(WHOLE_ROUND_S)):
        turns.until_idle(sweeper)
    assert raw_store.xlen(P.attempts) == 0


def test_a_damaged_index_is_made_anew_in_the_next_round(
    store: Store, turns: Turns, raw_store: "redis.Redis"
) -> None:
    made = created(store, expires_at_ms=now_ms(raw_store) + 3_600_000)
    sweeper = turns.sweeper(store)
    raw_store.delete(P.ends)
    raw_store.set(P.ends, "damaged")
    turns.until_idle(sweeper)
    assert raw_store.zrange(P.ends, 0, -1) == [made.id]


def test_when_the_clock_of_the_store_is_set_all_is_looked_at_at_once(
    store: Store, store_at: StoreAt, turns: Turns, raw_store: "redis.Redis"
) -> None:
    made = created(store, expires_at_ms=now_ms(raw_store) + 3_600_000)
    sweeper = turns.sweeper(store)
    sweeper._store = store_at(7200)
    turns.until_idle(sweeper)
    assert status_of(store, made.id) is Status.EXPIRED


def test_one_sweeps_while_others_rest_and_another_takes_over_when_it_is_gone(
    store: Store, turns: Turns, raw_store: "redis.Redis"
) -> None:
    first, other = turns.sweeper(store), turns.sweeper(store)
    raw_store.delete(SWEEPER_TURN)
    assert first.step() == IDLE_S
    assert 0.0 < other.step() <= IDLE_S
    assert 0 < raw_store.pttl(SWEEPER_TURN) <= 1000
    # The first is gone, and its turn runs out.
    raw_store.delete(SWEEPER_TURN)
    assert other.step() == IDLE_S


@pytest.mark.parametrize("damage", ["no TTL", "too long", "no string"])
def test_a_damaged_turn_keeps_nobody_from_sweeping(
    store: Store, turns: Turns, raw_store: "redis.Redis", damage: str
) -> None:
    sweeper = turns.sweeper(store)
    ways: dict[str, Callable[[], object]] = {
        "no TTL": lambda: raw_store.set(SWEEPER_TURN, "x"),
        "too long": lambda: raw_store.set(SWEEPER_TURN, "x", ex=3600),
        "no string": lambda: raw_store.lpush(SWEEPER_TURN, "x"),
    }
    raw_store.delete(SWEEPER_TURN)
    ways[damage]()
    assert sweeper.step() == IDLE_S
    assert 0 < raw_store.pttl(SWEEPER_TURN) <= 1000


def test_partitions_where_nothing_waits_are_not_claimed_from(store: Store) -> None:
    created(store)
    assert store.claims.look([P]) == []
    append(store, invitation(1))
    assert store.claims.look([P]) == [P.number]


class PassesWithEachBatch:
    """A clock that goes with the store's, by `seconds` more with each batch that the store sweeps."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.ahead_s = 0.0
        self.swept: list[int] = []
        run_some = store.scripts.run_some

        def slow(calls: Sequence[Call], **options: Any) -> list[Any]:
            self.ahead_s += seconds
            found = run_some(calls, **options)
            self.swept.append(len(calls))
            # The store's time has passed as well.
            return [
                [*before, time_ms + round(self.ahead_s * 1000), *behind]
                for *before, time_ms, given_up, device_ends, left in found
                for behind in [(given_up, device_ends, left)]
            ]

        monkeypatch.setattr(store.scripts, "run_some", slow)

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.ahead_s

    def now(self) -> float:
        return SystemClock().now() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        self.ahead_s += seconds


def test_a_sweep_that_takes_long_is_not_taken_for_a_clock_that_was_set(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = PassesWithEachBatch(store, monkeypatch, 1.5)
    sweeper = Sweeper(store, clock)
    for _ in range(8):
        raw_store.delete(SWEEPER_TURN)
        sweeper.step()
    # All at first, which took 12 s, then a few in each round.
    assert sum(clock.swept) == store.partitions + 7
