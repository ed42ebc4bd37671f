"""What the metrics say of the store, read by one process now and then."""

import pytest
import redis

from tests.harness.builders import append, created, invitation
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.store import Store
from webrtc_events.store.store_figures import StoreFigures


@pytest.fixture
def figures(store: Store) -> StoreFigures:
    return StoreFigures(store, 90, SystemClock())


def test_of_an_empty_store_nothing_waits(figures: StoreFigures) -> None:
    assert figures.values == {}
    figures.step()
    waiting = {name: value for name, value in figures.values.items() if not name.startswith("store_memory")}
    names = ("outbox_events", "outbox_subscriptions", "outbox_oldest_seconds", "outbox_late_seconds")
    assert waiting == dict.fromkeys((*names, "dead_letters"), 0)


def test_what_waits_is_said_with_its_age(figures: StoreFigures, store: Store) -> None:
    for _ in range(2):
        created(store, sink="https://127.0.0.1/")
    append(store, invitation(1), invitation(2))
    figures.step()
    assert (figures.values["outbox_events"], figures.values["outbox_subscriptions"]) == (4, 2)
    assert figures.values["outbox_oldest_seconds"] >= 0


def test_memory_is_said_beside_its_watermark_if_there_is_one(
    figures: StoreFigures, raw_store: "redis.Redis"
) -> None:
    figures.step()
    assert figures.values["store_memory_bytes"] > 100_000
    assert "store_memory_watermark_bytes" not in figures.values
    raw_store.config_set("maxmemory", 1_000_000_000)
    try:
        figures.step()
        assert figures.values["store_memory_watermark_bytes"] == 900_000_000
    finally:
        raw_store.config_set("maxmemory", 0)


def test_in_an_outage_nothing_is_said_rather_than_what_was_so(
    figures: StoreFigures, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures.step()

    def away() -> None:
        raise Unavailable

    monkeypatch.setattr(store.backlog, "read", away)
    with pytest.raises(Unavailable):
        figures.step()
    assert figures.values == {}
