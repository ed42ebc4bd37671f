"""A sink's token: who sees it, and what a 401 means."""

import logging
from collections.abc import Callable

import pytest
import redis

from tests.conftest import everything
from tests.delivery.deliveries import Make, dead_letters, sequence
from tests.harness.builders import append, created_with_token, invitation
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store


def test_401_to_a_credentialed_delivery_ends_it_and_the_end_is_tried_once(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1), invitation(2))
    sink.answer = [401]
    make_driver().run()
    assert sequence(sink.requests) == [1, "ACCESS_TOKEN_EXPIRED"]
    assert [reason for reason, _ in dead_letters(raw_store)] == [
        "refused",
        "subscription_ended",
        "end_refused",
    ]
    assert make_driver().dispatcher.idle


def test_the_end_after_a_401_is_tried_once_whatever_is_answered(
    store: Store, settings: Settings, sink: RecordingSink, make_driver: Make
) -> None:
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1))
    sink.answer = [401, 500, 204]
    make_driver().run()
    assert sequence(sink.requests) == [1, "ACCESS_TOKEN_EXPIRED"]


def test_a_token_is_seen_by_the_sink_alone(
    store: Store,
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    created_with_token(store, settings, sink=sink.url)
    append(store, invitation(1), invitation(2), invitation(3))
    sink.answer = [204, 500, 400, 401]
    make_driver().run()
    assert [request.header("authorization") for request in sink.requests] == ["Bearer t0ken"] * 5
    assert "http_500" in caplog.text
    assert "t0ken" not in caplog.text + everything(raw_store)


def test_an_expired_token_is_not_sent(
    store: Store,
    store_at: Callable[..., Store],
    settings: Settings,
    sink: RecordingSink,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    created_with_token(
        store, settings, sink=sink.url, expires_at_ms=round(SystemClock().now() * 1000) + 20_000
    )
    append(store, invitation(1))
    make_driver(store_at(21)).run()
    assert sink.requests == []
    assert dead_letters(raw_store) == [("access_token_expired", "")]
