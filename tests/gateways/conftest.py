"""A publisher of a journal, and the service that it publishes to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateways.harness.answering_service import HOUR_MS, Service
from tests.harness.clocks import SteppedClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.publisher import Publisher
from webrtc_events.gateways.service_client import Access, ServiceClient


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    with service.sink:
        yield service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def journal(path: Path, clock: SteppedClock) -> Iterator[Journal]:
    journal = Journal(path, clock)
    yield journal
    journal.close()


@pytest.fixture
def client(service: Service, clock: SteppedClock) -> Iterator[ServiceClient]:
    access = Access(service.sink.url_of(""), None, "gateway", "secret")
    client = ServiceClient(service.sink.url_of(""), access, clock, service.sink.ca_file)
    yield client
    client.close()


@pytest.fixture
def publisher(journal: Journal, client: ServiceClient, clock: SteppedClock) -> Publisher:
    return Publisher(journal, client, clock, HOUR_MS, uniform=lambda: 1.0)


@pytest.fixture
def run(publisher: Publisher, clock: SteppedClock) -> Callable[[float], None]:
    """Sends, and waits as the publisher asks for, for as many seconds or until nothing waits."""

    def run_for(seconds: float) -> None:
        end_s = clock.elapsed + seconds
        while clock.elapsed < end_s:
            wait_s = publisher.send_head()
            if wait_s is None:
                return
            clock.elapsed += wait_s

    return run_for
