"""Stores of several servers, made for one test, which may break them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.clusters import Cluster, three_node_cluster
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

Connect = Callable[..., Store]
Build = Callable[..., Worker]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with three_node_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[Cluster]:
    with three_node_cluster(tmp_path, replicas=True) as cluster:
        yield cluster


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


def settings_at(url: str, **changes: str) -> Settings:
    """With a store at that URL; changes by their names without prefix."""
    environ = {
        "WEBRTC_EVENTS_REDIS_URL": url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    }
    return Settings.from_environ(
        environ | {f"WEBRTC_EVENTS_{name}": value for name, value in changes.items()}
    )


@pytest.fixture
def connect() -> Iterator[Connect]:
    """A store by its URL; settings by their names without prefix."""
    opened: list[Store] = []

    def make(url: str, **changes: str) -> Store:
        opened.append(Store.connect(settings_at(url, **changes)))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def build(sink: RecordingSink) -> Iterator[Build]:
    """A running worker on the store at a URL."""
    made: list[Worker] = []

    def make(url: str, **changes: str) -> Worker:
        settings = settings_at(url, SINK_CA_FILE=str(sink.ca_file), **changes)
        made.append(Worker.build(settings, SystemClock()))
        made[-1].start()
        return made[-1]

    yield make
    for worker in made:
        worker.stop()
