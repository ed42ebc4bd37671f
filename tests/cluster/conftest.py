"""Stores of several servers, made for one test, which may break them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.clusters import Cluster, FormingCluster, three_node_cluster
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

Connect = Callable[..., Store]
Build = Callable[..., Worker]


class Clusters:
    """One after the other, each for one test: while a test uses one, the next is formed."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._next = self._begin()

    def take(self) -> FormingCluster:
        taken, self._next = self._next, self._begin()
        return taken

    def stop(self) -> None:
        self._next.stop()

    def _begin(self) -> FormingCluster:
        return FormingCluster(self._factory.mktemp("cluster"))


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    clusters = Clusters(tmp_path_factory)
    yield clusters
    clusters.stop()


@pytest.fixture
def cluster(clusters: Clusters) -> Iterator[Cluster]:
    forming = clusters.take()
    try:
        yield forming.formed()
    finally:
        forming.stop()


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
