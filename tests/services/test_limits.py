"""Limits of a client: its quota of subscriptions and its rate of requests."""

import contextlib
import threading

import pytest
import redis

from tests.harness.builders import listed
from tests.services.subscription_requests import APP, SCOPES
from tests.services.world import StoreAt, World
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import TooManyRequests
from webrtc_events.core.model import Caller
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store


def test_a_client_has_a_quota_of_active_subscriptions(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "2"})
    world = World(Store.connect(settings), settings)
    first, _ = world.subscribe(), world.subscribe()
    with pytest.raises(TooManyRequests) as caught:
        world.subscribe()
    assert caught.value.code == "QUOTA_EXCEEDED"
    assert world.subscribe(caller=Caller("other", None, SCOPES))
    world.subscriptions.delete(APP, first)
    assert world.subscribe()
    assert len(listed(world.subscriptions, APP)) == 2
    world.store.close()


def test_a_quota_holds_for_creates_at_once(store: Store, environ: dict[str, str]) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "5"})
    worlds = [World(Store.connect(settings), settings) for _ in range(12)]
    start = threading.Barrier(len(worlds))

    def create(world: World) -> None:
        start.wait()
        with contextlib.suppress(TooManyRequests):
            world.subscribe()

    threads = [threading.Thread(target=create, args=(instance,)) for instance in worlds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = len(listed(worlds[0].subscriptions, APP))
    assert made <= 5
    for _ in range(5 - made):
        worlds[0].subscribe()
    with pytest.raises(TooManyRequests):
        worlds[0].subscribe()
    for instance in worlds:
        instance.store.close()


def test_a_create_that_failed_half_way_takes_no_quota_for_long(
    store: Store, environ: dict[str, str], raw_store: "redis.Redis"
) -> None:
    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_MAX_SUBSCRIPTIONS": "1"})
    world = World(Store.connect(settings), settings)
    orphan = "0" * 32 + "-00"
    raw_store.zadd("client:{app}", {orphan: SystemClock().now()})
    with pytest.raises(TooManyRequests):
        world.subscribe()
    raw_store.zadd("client:{app}", {orphan: SystemClock().now() - 61})
    assert world.subscribe()
    assert raw_store.zscore("client:{app}", orphan) is None
    world.store.close()


def test_a_client_has_a_rate_of_requests(store_at: StoreAt, environ: dict[str, str]) -> None:
    limits = {"WEBRTC_EVENTS_REQUESTS_PER_S": "1", "WEBRTC_EVENTS_REQUESTS_AT_ONCE": "3"}
    settings = Settings.from_environ(environ | limits)
    world = World(Store.connect(settings), settings)
    for _ in range(3):
        world.subscriptions.count_request(APP)
    with pytest.raises(TooManyRequests) as caught:
        world.subscriptions.count_request(APP)
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("TOO_MANY_REQUESTS", "1")
    world.subscriptions.count_request(Caller("other", None, SCOPES))
    world.store.close()
