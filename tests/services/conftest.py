"""The use cases on a real store."""

from collections.abc import Callable

import pytest

from tests.services.world import StoreAt, World
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store


@pytest.fixture
def world(store: Store, settings: Settings) -> World:
    return World(store, settings)


@pytest.fixture
def world_at(store_at: StoreAt, settings: Settings) -> Callable[[float], World]:
    return lambda seconds: World(store_at(seconds), settings)
