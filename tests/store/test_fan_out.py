"""Events for more subscriptions than one script may go through, and times at which many end at once."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from tests.harness.builders import (
    SINK,
    Interrupted,
    append,
    created,
    invitation,
    new_subscription,
    no_damage,
    session_status,
)
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import (
    EventType,
    NetworkEvent,
    Registration,
    Status,
    Subscription,
    TerminationReason,
)
from webrtc_events.core.settings import Settings
from webrtc_events.store.appends import AppendOptions, append_events
from webrtc_events.store.keys import partition_of
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.redis.scripts import Part
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
WORK = 4
ENDS = EventType.REGISTRATION_ENDS
EXPIRY = '{"type":"org.camaraproject.webrtc-events.v0.registration-ends"}'


@pytest.fixture
def sliced(settings: Settings) -> Iterator[Callable[..., Store]]:
    """Opens a store whose scripts go through few subscriptions."""
    opened: list[Store] = []

    def connect(seconds: float = 0, work: int = WORK, **changes: Any) -> Store:
        options = StoreOptions(offset_ms=round(seconds * 1000), work=work)
        opened.append(Store.connect(dataclasses.replace(settings, **changes), options))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


class Counted:
    def __init__(self, store: Store) -> None:
        self._scripts = store.scripts
        self.calls = 0

    def run_parts(self, script: str, args: Any, runs: Sequence[Sequence[Part]], **options: Any) -> list[Any]:
        self.calls += len(runs)
        return self._scripts.run_parts(script, args, runs, **options)


def interrupted(store: Store, settings: Settings, calls: int, *events: NetworkEvent) -> None:
    options = AppendOptions.of(settings, shared_from=0)
    with pytest.raises(Unavailable):
        append_events(Interrupted(store, calls), options, {P.number: events}, no_damage)  # type: ignore[arg-type]


def waiting(raw_store: "redis.Redis", made: Subscription) -> list[str]:
    """What its outbox holds: the session of an event with its number, or why it ends."""
    items = [parse_entry(entry) for entry in raw_store.lrange(P.outbox(made.id), 0, -1)]
    return [item.payload if item.end else _name(item.payload) for item in items]


def _name(payload: str) -> str:
    _, found, after = payload.partition('"sequenceNumber": ')
    return "e" + after.partition("}")[0] if found else "end of registration"


def ends(number: int) -> NetworkEvent:
    return dataclasses.replace(invitation(number), type=ENDS, session=None, payload=EXPIRY)


def leftovers(raw_store: "redis.Redis") -> list[str]:
    return [
        key for kind in ("lacking", "matched", "ending") for key in raw_store.scan_iter(f"{P.tag}:{kind}:*")
    ]


def test_an_event_for_many_is_in_every_outbox_once_and_in_order(
    sliced: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    store = sliced()
    made = [created(store) for _ in range(3 * WORK + 1)]
    events = [invitation(number) for number in range(1, 6)]
    assert append(store, *events) == [(True, len(made))] * 5
    assert append(store, *events) == [(False, 0)] * 5
    assert [waiting(raw_store, subscription) for subscription in made] == [
        ["e1", "e2", "e3", "e4", "e5"]
    ] * len(made)
    assert leftovers(raw_store) == []


@pytest.mark.parametrize("calls", range(1, 9))
def test_a_repeat_goes_on_where_an_answer_was_lost(
    sliced: Callable[..., Store], settings: Settings, raw_store: "redis.Redis", calls: int
) -> None:
    store = sliced()
    made = [created(store) for _ in range(2 * WORK + 1)]
    events = [invitation(number) for number in range(1, 4)]
    # Three calls an event.
    interrupted(store, settings, calls, *events)
    done, remainder = divmod(calls, 3)
    lengths = sorted(raw_store.llen(P.outbox(subscription.id)) for subscription in made)
    assert lengths == sorted(
        [done + 1] * min(remainder * WORK, len(made)) + [done] * (len(made) - remainder * WORK)
    )
    expected = [(False, 0)] * done + [(True, len(made))] * (3 - done)
    assert append(sliced(), *events) == expected
    assert [waiting(raw_store, subscription) for subscription in made] == [["e1", "e2", "e3"]] * len(made)
    assert leftovers(raw_store) == []


def test_an_event_that_began_is_not_begun_again_by_another_bound(
    sliced: Callable[..., Store], settings: Settings, raw_store: "redis.Redis"
) -> None:
    """As by a release that lets a script do more."""
    store = sliced()
    made = [created(store) for _ in range(2 * WORK)]
    interrupted(store, settings, 1, invitation(1))
    assert append(sliced(work=100), invitation(1)) == [(True, len(made))]
    assert [waiting(raw_store, subscription) for subscription in made] == [["e1"]] * len(made)
    assert leftovers(raw_store) == []


def test_gateways_at_once_double_and_lose_nothing(
    sliced: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    made = [created(sliced()) for _ in range(5 * WORK)]
    stores = [sliced() for _ in range(4)]
    start = threading.Barrier(len(stores))
    results: list[list[tuple[bool, int]]] = [[] for _ in stores]

    def publish(index: int) -> None:
        start.wait()
        # Each has a separate one, and all have one that they share.
        results[index] = append(stores[index], invitation(10 + index), invitation(1))

    threads = [threading.Thread(target=publish, args=(index,)) for index in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [own for own, _ in results] == [(True, len(made))] * 4
    assert sorted(shared for _, shared in results) == [(False, 0)] * 3 + [(True, len(made))]
    for subscription in made:
        assert sorted(waiting(raw_store, subscription)) == ["e1", "e10", "e11", "e12", "e13"]
    assert leftovers(raw_store) == []


def test_who_comes_or_goes_between_two_slices(
    sliced: Callable[..., Store], settings: Settings, raw_store: "redis.Redis"
) -> None:
    store = sliced()
    made = [created(store) for _ in range(3 * WORK)]
    interrupted(store, settings, 1, invitation(1))
    lacking = raw_store.smembers(P.lacking("/gateway", "e1"))
    gone = next(subscription for subscription in made if subscription.id in lacking)
    store.subscriptions.end(
        gone.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    late = created(store)
    wishes = dataclasses.replace(new_subscription(), initial_event=True)
    store.subscriptions.create(wishes, sink=SINK, headers={}, sealed=None)
    assert waiting(raw_store, wishes) == ["e1"]
    assert append(store, invitation(1)) == [(True, len(made) - 1)]
    assert (waiting(raw_store, gone), waiting(raw_store, late)) == (["SUBSCRIPTION_DELETED"], [])
    assert waiting(raw_store, wishes) == ["e1"]


def test_every_one_ends_at_its_maximum(sliced: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = sliced()
    made = [created(store, max_events=2) for _ in range(2 * WORK + 1)]
    results = append(store, *(invitation(number) for number in range(1, 4)))
    assert results == [(True, len(made)), (True, len(made)), (True, 0)]
    for subscription in made:
        assert waiting(raw_store, subscription) == ["e1", "e2", "MAX_EVENTS_REACHED"]


def test_a_session_with_many_subscriptions(sliced: Callable[..., Store], raw_store: "redis.Redis") -> None:
    store = sliced()
    made = [
        created(store, event_type=EventType.SESSION_STATUS, session="s1", registration=registration)
        for registration in ["r1"] * (2 * WORK) + ["r1"]
    ]
    events = [session_status(1), session_status(2, registration="r1"), session_status(3, registration="r2")]
    # Events of another registration are not for these.
    assert append(store, *events, to=P.number) == [(True, len(made)), (True, len(made)), (True, 0)]
    assert [waiting(raw_store, subscription) for subscription in made] == [["e1", "e2"]] * len(made)


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_registration_ends_with_many_subscriptions(
    sliced: Callable[..., Store], settings: Settings, raw_store: "redis.Redis", calls: int
) -> None:
    store = sliced()
    notified = [created(store, event_type=ENDS) for _ in range(2 * WORK)]
    others = [created(store) for _ in range(2 * WORK)]
    interrupted(store, settings, calls, ends(1))
    late = dataclasses.replace(new_subscription(event_type=ENDS), initial_event=True)
    store.subscriptions.create(late, sink=SINK, headers={}, sealed=None)
    assert append(store, ends(1)) == [(True, len(notified))]
    for subscription in (*notified, late):
        assert waiting(raw_store, subscription) == ["end of registration", "NETWORK_TERMINATED"]
    assert [waiting(raw_store, other) for other in others] == [["NETWORK_TERMINATED"]] * len(others)
    assert leftovers(raw_store) == []


def test_a_long_payload_is_appended_to_fewer_at_once(
    sliced: Callable[..., Store], settings: Settings
) -> None:
    store = sliced(work=10)
    for _ in range(8):
        created(store)
    calls = []
    for number, size in ((1, 100), (2, 50_000)):
        scripts = Counted(store)
        event = dataclasses.replace(invitation(number), payload="x" * size)
        append_events(scripts, AppendOptions.of(settings, shared_from=0), {P.number: [event]}, no_damage)  # type: ignore[arg-type]
        calls.append(scripts.calls)
    # 50,000 bytes are as much work as seven matches.
    assert calls == [1, 8]


# What time ends


def expiring(store: Store, raw_store: "redis.Redis") -> None:
    registration = Registration("r1", "d", "app", None, None)
    soon = raw_store.time()[0] * 1000 + 60_000
    store.registrations.put(registration, expires_at_ms=soon, end=EXPIRY)


def test_a_registration_with_many_subscriptions_expires(
    sliced: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    notified = [created(sliced(), event_type=ENDS) for _ in range(2 * WORK)]
    others = [created(sliced()) for _ in range(WORK)]
    expiring(sliced(), raw_store)
    later = sliced(61)
    assert [later.expiry.sweep() for _ in range(4)] == [1, 1, 1, 0]
    assert [waiting(raw_store, other) for other in others] == [["NETWORK_TERMINATED"]] * len(others)
    for subscription in notified:
        assert waiting(raw_store, subscription) == ["end of registration", "NETWORK_TERMINATED"]
    assert leftovers(raw_store) == []
    assert raw_store.zscore(P.ends, "registration:r1") is None


def test_a_registration_that_is_renewed_while_it_ends_keeps_who_is_left(
    sliced: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    made = [created(sliced()) for _ in range(3 * WORK)]
    expiring(sliced(), raw_store)
    later = sliced(61)
    assert later.expiry.sweep() == 1
    later.registrations.put(Registration("r1", "d", "app", None, None), expires_at_ms=None, end="")
    assert [later.expiry.sweep(), leftovers(raw_store)] == [0, []]
    assert append(later, invitation(1)) == [(True, len(made) - WORK)]


def test_subscriptions_that_end_at_the_same_moment_make_way_for_others(
    sliced: Callable[..., Store], raw_store: "redis.Redis"
) -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    made = [created(sliced(), expires_at_ms=soon) for _ in range(3 * WORK)]
    later = sliced(61)
    assert [later.expiry.sweep() for _ in range(4)] == [WORK, WORK, WORK, 0]
    assert [waiting(raw_store, subscription) for subscription in made] == [["SUBSCRIPTION_EXPIRED"]] * len(
        made
    )
