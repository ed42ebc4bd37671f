"""After a loss no event gets the id of another. How it is noticed: test_marks.py."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import redis

from tests.harness.builders import append, created, invitation
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.core.store_url import parse_store_url
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
P = partition_of("r1", 64)


def waiting(store: Store) -> list[int]:
    (found,) = store.claims.claim([P], subscriptions=9, events=8)
    return [item.number for item in found.items]


def test_after_a_restart_of_the_store_no_number_comes_again(tmp_path: Path, settings: Settings) -> None:
    """The latest writes may be lost then, and with them numbers that sinks have seen."""
    server = Valkey(tmp_path, SystemClock())
    server.start()
    server.wait_ready()
    try:
        store = Store.connect(replace(settings, redis_url=parse_store_url(server.url)))
        made = created(store, max_events=3)
        append(store, invitation(1))
        # What the store forgets below.
        append(store, invitation(2))
        raw = redis.Redis.from_url(server.url)
        raw.hset(P.subscription(made.id), mapping={"number": 1, "appended": 1})
        raw.ltrim(P.outbox(made.id), 0, 0)
        server.stop()
        server.start()
        server.wait_ready()
        append(store, invitation(3), invitation(4))
        assert waiting(store) == [1, 1_000_001, 1_000_002]
        raw.close()
        store.close()
    finally:
        server.stop()


def test_a_subscription_of_the_release_before_goes_on_counting(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    append(store, invitation(1))
    raw_store.hdel(P.subscription(made.id), "epoch")
    append(store, invitation(2), invitation(3))
    assert waiting(store) == [1, 2, 3]
