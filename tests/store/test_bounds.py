"""The store stays bounded: outboxes, dead letters, attempts, memory."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.conftest import contents, servers_of
from tests.harness.builders import all_of, append, created, invitation, new_subscription, session_status
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, Status
from webrtc_events.core.outcomes import ScheduledRetry, SinkResult
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import partition_of
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.settlements import DroppedEvent, Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
DAY_S = 24 * 3600


@pytest.fixture
def bounded(settings: Settings) -> Iterator[Callable[..., Store]]:
    """Opens the store with other bounds, its clock shifted by some seconds."""
    opened: list[Store] = []

    def connect(seconds: float = 0, **bounds: int) -> Store:
        changed = dataclasses.replace(settings, **bounds)  # type: ignore[arg-type]
        opened.append(Store.connect(changed, StoreOptions(offset_ms=round(seconds * 1000))))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


def claim_one(store: Store, events: int = 8) -> Claim:
    (found,) = store.claims.claim([P], subscriptions=9, events=events)
    return found


def numbers(found: Claim) -> list[int]:
    return [item.number for item in found.items]


def dead_letters(raw_store: "redis.Redis") -> list[tuple[str, int]]:
    """Reason and outbox number of each."""
    return [(fields["reason"], int(fields["entry"].split()[0])) for _, fields in raw_store.xrange(P.dead)]


def settle(store: Store, found: Claim, **values: object) -> str:
    values.setdefault("through", found.items[0].number - 1)
    (result,) = store.claims.settle([Settlement(found, **values)])  # type: ignore[arg-type]
    return result


# Outboxes


def test_a_full_outbox_gives_up_its_oldest_event(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = bounded(outbox_length=4)
    created(store)
    assert append(store, *(invitation(number) for number in range(1, 7))) == [(True, 1)] * 6
    assert numbers(claim_one(store)) == [3, 4, 5, 6]
    assert dead_letters(raw_store) == [("outbox_full", 1), ("outbox_full", 2)]


def test_what_is_on_its_way_is_not_given_up(bounded: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = bounded(outbox_length=4)
    created(store)
    append(store, *(invitation(number) for number in range(1, 5)))
    leased = claim_one(store, events=2)
    append(store, invitation(5), invitation(6), invitation(7))
    assert [number for _, number in dead_letters(raw_store)] == [3, 4, 5]
    assert settle(store, leased, through=2) == "due"
    assert numbers(claim_one(store)) == [6, 7]


def test_after_a_lease_ran_out_what_it_held_may_be_given_up(bounded: Callable[..., Store]) -> None:
    store, later = bounded(outbox_length=3), bounded(31, outbox_length=3)
    created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    claim_one(store)
    append(later, invitation(4))
    assert numbers(claim_one(later)) == [2, 3, 4]


def test_a_lease_that_does_not_say_how_far_it_reaches_is_left_alone(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    """As the release before wrote it."""
    store = bounded(outbox_length=3)
    made = created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    settle(store, claim_one(store, events=1))
    claim_one(store)
    # Another claim than the one that wrote the lease.
    raw_store.hincrby(P.subscription(made.id), "fence", 1)
    append(store, invitation(4))
    raw_store.hdel(P.subscription(made.id), "leased_through", "leased_fence")
    append(store, invitation(5))
    assert dead_letters(raw_store) == []


def test_an_event_that_waited_too_long_makes_room_for_the_next(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store, later = bounded(outbox_age_s=100), bounded(101, outbox_age_s=100)
    created(store)
    append(store, invitation(1), invitation(2))
    append(bounded(50, outbox_age_s=100), invitation(3))
    append(later, invitation(4))
    assert numbers(claim_one(later)) == [3, 4]
    assert dead_letters(raw_store) == [("outbox_full", 1), ("outbox_full", 2)]


def test_a_retry_keeps_its_delay_when_its_event_was_not_the_one_given_up(
    bounded: Callable[..., Store],
) -> None:
    store = bounded(outbox_length=3)
    created(store)
    append(store, invitation(1), invitation(2), invitation(3))
    leased = claim_one(store, events=1)
    append(store, invitation(4))
    assert settle(store, leased, follow_up=ScheduledRetry(5_000, 1, 1)) == "due"
    assert store.claims.claim([P], subscriptions=9, events=8) == []
    again = claim_one(bounded(6, outbox_length=3))
    assert (numbers(again), again.attempts) == ([1, 3, 4], 1)


def test_the_maximum_counts_what_was_given_up(bounded: Callable[..., Store]) -> None:
    store = bounded(outbox_length=2)
    made = created(store, max_events=5)
    append(store, *(invitation(number) for number in range(1, 8)))
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.EXPIRED
    assert numbers(claim_one(store)) == [4, 5]


# Sinks that only fail


def failing(store: Store, *, delay_ms: int = 0) -> str:
    found = claim_one(store)
    number = found.items[0].number
    return settle(
        store, found, follow_up=ScheduledRetry(delay_ms, found.attempts + 1, number), sink=SinkResult.FAILED
    )


def test_a_sink_that_only_fails_ends_its_subscription(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    made = created(bounded())
    append(bounded(), invitation(1))
    assert failing(bounded()) == "due"
    # Well before: a day after the first event came in it would be too old for an outbox.
    assert failing(bounded(DAY_S - 60)) == "due"
    append(bounded(DAY_S - 60), invitation(2))
    assert failing(bounded(DAY_S)) == "due"
    found = bounded().subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.EXPIRED
    end = claim_one(bounded(DAY_S))
    assert [(item.end, item.payload) for item in end.items] == [(True, "NETWORK_TERMINATED")]
    assert end.end_once
    assert [reason for reason, _ in dead_letters(raw_store)] == ["subscription_ended"] * 2


def test_one_event_taken_sets_its_time_to_nothing(bounded: Callable[..., Store]) -> None:
    made = created(bounded())
    append(bounded(), invitation(1), invitation(2))
    failing(bounded())
    found = claim_one(bounded(DAY_S / 2), events=1)
    assert settle(bounded(DAY_S / 2), found, through=1, sink=SinkResult.DELIVERED) == "due"
    assert failing(bounded(DAY_S)) == "due"
    assert failing(bounded(1.5 * DAY_S - 1)) == "due"
    now = bounded().subscriptions.get(made.id)
    assert now is not None
    assert now.status is Status.ACTIVE
    failing(bounded(2 * DAY_S))
    ended = bounded().subscriptions.get(made.id)
    assert ended is not None
    assert ended.status is Status.EXPIRED


def test_what_was_not_asked_did_not_fail(bounded: Callable[..., Store]) -> None:
    made = created(bounded())
    append(bounded(), invitation(1))
    failing(bounded())
    late = bounded(2 * DAY_S)
    assert settle(late, claim_one(late), follow_up=ScheduledRetry(0, 1, 1)) == "due"
    found = bounded().subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.ACTIVE


def test_what_the_sink_did_for_the_release_before_is_not_known(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    """Its claims raise the fence and do not say what came of them: perhaps the sink took events."""
    made = created(bounded())
    append(bounded(), invitation(1))
    failing(bounded())
    raw_store.hincrby(P.subscription(made.id), "fence", 1)
    assert failing(bounded(DAY_S)) == "due"
    found = bounded().subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.ACTIVE


def test_a_sink_may_be_allowed_to_fail_for_ever(bounded: Callable[..., Store]) -> None:
    made = created(bounded(sink_failure_s=0))
    append(bounded(sink_failure_s=0), invitation(1))
    failing(bounded(sink_failure_s=0))
    failing(bounded(300 * DAY_S, sink_failure_s=0))
    found = bounded().subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.ACTIVE


# Dead letters and attempts


def drop_all(store: Store) -> None:
    while found := store.claims.claim([P], subscriptions=9, events=8):
        for leased in found:
            dead = tuple(DroppedEvent(item.number, "refused", "") for item in leased.items)
            tried = tuple({"event": str(item.number)} for item in leased.items)
            store.claims.settle([Settlement(leased, leased.items[-1].number, dead=dead, attempts=tried)])


def test_dead_letters_and_attempts_are_capped(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = bounded(dead_letters=5, attempts=7)
    created(store)
    append(store, *(invitation(number) for number in range(1, 21)))
    drop_all(store)
    assert [number for _, number in dead_letters(raw_store)] == [16, 17, 18, 19, 20]
    assert raw_store.xlen(P.attempts) == 7


def run_of(numbers: Sequence[int]) -> dict[str, Any]:
    return {"numbers": list(numbers)} if len(numbers) > 1 else {"event": str(numbers[0])}


def test_of_runs_each_attempt_counts(bounded: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = bounded(attempts=20)
    created(store)
    append(store, invitation(1))
    # As a release before wrote them: what they have is their number.
    for number in range(3):
        raw_store.xadd(P.attempts, {"subscription": "s", "attempt": f'{{"event": "old-{number}"}}'})

    def keep(*runs: Sequence[int]) -> list[list[Any]]:
        settle(store, claim_one(store), attempts=tuple(map(run_of, runs)))
        kept = [json.loads(fields["attempt"]) for _, fields in raw_store.xrange(P.attempts)]
        return [record.get("numbers", record.get("event")) for record in kept]

    assert keep([1], range(2, 7)) == ["old-0", "old-1", "old-2", "1", [2, 3, 4, 5, 6]]
    raw_store.xtrim(P.attempts, maxlen=2, approximate=False)
    # Without the oldest there are twenty still, without the second not.
    assert keep(range(7, 23)) == [[2, 3, 4, 5, 6], [*range(7, 23)]]
    assert keep([23], [24], [25]) == [[2, 3, 4, 5, 6], [*range(7, 23)], "23", "24", "25"]
    assert keep([26]) == [[*range(7, 23)], "23", "24", "25", "26"]
    assert keep(range(27, 43), range(43, 59)) == [[*range(27, 43)], [*range(43, 59)]]
    assert keep(*([number] for number in range(60, 80)))[0] == "60"


def test_old_ones_go_even_when_nothing_new_comes(
    bounded: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = bounded()
    created(store)
    append(store, invitation(1))
    drop_all(store)
    bounded(6 * DAY_S).expiry.sweep()
    assert (raw_store.xlen(P.dead), raw_store.xlen(P.attempts)) == (1, 1)
    bounded(7 * DAY_S + 1, attempts_s=8 * DAY_S).expiry.sweep()
    assert (raw_store.xlen(P.dead), raw_store.xlen(P.attempts)) == (0, 1)
    bounded(8 * DAY_S + 1, attempts_s=8 * DAY_S).expiry.sweep()
    assert raw_store.xlen(P.attempts) == 0
    assert 0 < raw_store.pttl(P.dead) <= 7 * DAY_S * 1000


# Memory


@contextmanager
def memory_used(raw_store: "redis.Redis", percent: float) -> Iterator[None]:
    """Sets maxmemory so that so much of it is used."""
    for server in servers_of(raw_store):
        server.config_set("maxmemory", round(server.info("memory")["used_memory"] * 100 / percent))
    try:
        yield
    finally:
        raw_store.config_set("maxmemory", "0")


def test_above_its_watermark_the_store_takes_nothing_new(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    append(store, invitation(1))
    before = contents(raw_store)
    with memory_used(raw_store, 95):
        with pytest.raises(Unavailable, match="full"):
            append(store, invitation(2))
        with pytest.raises(Unavailable, match="full"):
            store.session_states.record([session_status(3, registration="r1")])
        assert contents(raw_store) == before
        with pytest.raises(Unavailable, match="full"):
            store.subscriptions.create(new_subscription(), sink="https://a.example/", headers={}, sealed=None)
        # Above it, everything gets out.
        assert settle(store, claim_one(store), through=1) == "idle"
    assert [subscription.id for subscription in all_of(store)] == [made.id]


def test_below_its_watermark_the_store_takes_events(store: Store, raw_store: "redis.Redis") -> None:
    created(store)
    with memory_used(raw_store, 80):
        assert append(store, invitation(1)) == [(True, 1)]


def test_a_higher_watermark_takes_more(bounded: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = bounded(store_watermark=99)
    created(store)
    with memory_used(raw_store, 95):
        assert append(store, invitation(1)) == [(True, 1)]
