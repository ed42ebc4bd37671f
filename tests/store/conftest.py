"""The store with other settings: a quota, or another clock."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness.builders import settings_without_store
from tests.harness.channels import BASE
from tests.harness.valkeys import ValkeyServer
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.settings import Settings
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.client import Client
from webrtc_events.store.script_options import StoreOptions
from webrtc_events.store.store import Store


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Of a deployment that has channels."""
    return environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE}


@pytest.fixture
def limited(settings: Settings) -> Iterator[Callable[..., Store]]:
    """Opens the store with a quota."""
    opened: list[Store] = []

    def connect(max_subscriptions: int, **changes: int) -> Store:
        changed = dataclasses.replace(settings, max_subscriptions=max_subscriptions, **changes)  # type: ignore[arg-type]
        opened.append(Store.connect(changed))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


@pytest.fixture
def store_with(settings: Settings) -> Iterator[StoreWith]:
    """Opens the store with other settings, its clock shifted by some seconds."""
    opened: list[Store] = []

    def connect(seconds: float = 0, work: int = 50, **changes: Any) -> Store:
        options = StoreOptions(offset_ms=round(seconds * 1000), work=work)
        # So that a claim has several of a subscription.
        changed = dataclasses.replace(settings, **({"event_bytes": 1_000_000} | changes))
        opened.append(Store.connect(changed, options))
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands were sent in each round trip."""
    counts: list[int] = []
    run = Client.run

    def counted(client: Client, commands: Sequence[Any], **options: Any) -> list[Any]:
        counts.append(len(commands))
        return run(client, commands, **options)

    monkeypatch.setattr(Client, "run", counted)
    return counts


@pytest.fixture
def one_node(store: Store) -> Store:
    if store.client.nodes.has_slots:
        pytest.skip("where the store has slots each event goes alone")
    return store


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many scripts were sent in each step that was begun."""
    counts: list[int] = []
    begin = Client.begin

    def counted(client: Client, commands: Any) -> Begun | None:
        found = begin(client, commands)
        if found is not None:
            counts.append(len(commands))
        return found

    monkeypatch.setattr(Client, "begin", counted)
    return counts


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that a test may stop."""
    with ValkeyServer(tmp_path, aof="no") as running:
        yield running


@pytest.fixture
def own_store(own_server: ValkeyServer) -> Iterator[Store]:
    store = Store.connect(settings_without_store(WEBRTC_EVENTS_REDIS_URL=own_server.url))
    yield store
    store.close()
