"""The largest events for very many subscriptions fill a store and are delivered: what memory that takes."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.processes import Process
from tests.harness.builders import created
from tests.harness.issuer import Issuer
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually, free_port
from tests.production.large_sink import LargeSink, large_sink
from tests.production.service import environ_of, event, processes
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow

MB = 1_000_000
MAXMEMORY = 200 * MB
CROWD = 1_000
# Of as many registrations, in most partitions.
OTHERS = 120
# An event with a name of this length has just the greatest permitted size, as it is stored.
LARGEST = 262_144 - 500


class Service:
    """An API and a worker in separate processes, on a store with little memory, and a sink."""

    def __init__(self, directory: Path, issuer: Issuer, store: ValkeyServer, sink: LargeSink) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        token = issuer.token(CLOCK.now(), scope="webrtc-events:network", exp=CLOCK.now() + 3600)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self.environ = environ_of(
            issuer,
            f"redis://{store.address}/0",
            sink.ca_file,
            REQUESTS_PER_S="0",
            MAX_REGISTRATION_SUBSCRIPTIONS=str(CROWD),
        )
        self.api, self.worker = processes(directory, self.environ, self.url, api_processes=1)

    def stop(self) -> None:
        self.api.kill_all()
        self.worker.kill_all()
        self._session.close()

    def publish(self, number: int, registration: str, size: int = LARGEST) -> requests.Response:
        return self._post(_sized(f"e{number}", registration, size))

    def publish_batch(self, name: int) -> requests.Response:
        """As much as a gateway may send at once."""
        return self._post([_sized(f"batch{name}-{number}", "batches", LARGEST) for number in range(60)])

    def _post(self, body: Any) -> requests.Response:
        return self._session.post(f"{self.url}/network/v0/events", json=body, timeout=60)


def _sized(name: str, registration: str, size: int) -> dict[str, Any]:
    made: dict[str, Any] = event() | {"id": name, "subject": registration}
    made["data"]["originatorName"] = "x" * size
    return made


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[LargeSink]:
    with large_sink(tmp_path / "sink") as sink:
        yield sink


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "store", maxmemory=MAXMEMORY) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, issuer: Issuer, server: ValkeyServer, sink: LargeSink) -> Iterator[Service]:
    service = Service(tmp_path, issuer, server, sink)
    service.api.start()
    service.api.wait_output("Application startup complete")
    yield service
    service.stop()


def taken(sink: LargeSink) -> Counter[str]:
    """Without what was in batches, of which some events may have been taken before the 503."""
    found = sink.taken(LARGEST)
    del found["batches"]
    return found


def max_resident(process: Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def subscribe(service: Service, sink: LargeSink, names: Sequence[str]) -> None:
    """A crowd of one registration, and one subscription to each of the others."""
    store = Store.connect(Settings.from_environ(service.environ))
    for number in range(CROWD):
        created(store, registration="crowd", sink=sink.url(f"crowd-{number}"))
    for name in (*names, "batches"):
        created(store, registration=name, sink=sink.url(name))
    store.close()


def publish_until_full(service: Service, names: Sequence[str], numbers: Iterator[int]) -> dict[str, int]:
    """How many events of each registration were accepted before the store was full."""
    accepted = dict.fromkeys(names, 0)
    for number in numbers:
        name = names[number % OTHERS]
        answer = service.publish(number, name)
        if answer.status_code == 503:
            break
        assert answer.status_code == 202, answer.text
        accepted[name] += 1
    assert "store is full" in answer.json()["message"]
    return accepted


def test_a_store_that_was_filled_is_emptied_within_bounds(
    service: Service, server: ValkeyServer, sink: LargeSink
) -> None:
    names = [f"r{number}" for number in range(OTHERS)]
    subscribe(service, sink, names)
    # More than the largest is refused, and the largest is taken.
    assert service.publish(0, "crowd", LARGEST + 500).status_code == 400
    with server.client() as raw:
        before = raw.info("memory")["used_memory"]
        crowded = service.publish(1, "crowd")
        assert crowded.json()["results"] == [{"id": "e1", "status": "accepted", "subscriptions": CROWD}]
        grown = raw.info("memory")["used_memory"] - before
        numbers = itertools.count(2)
        accepted = {"crowd": 1} | publish_until_full(service, names, numbers)
        refused_at = sum(accepted.values())
        assert service.publish(next(numbers), "crowd").status_code == 503
        with ThreadPoolExecutor(4) as gateways:
            batches = list(gateways.map(service.publish_batch, range(4)))
        assert {batch.status_code for batch in batches} == {503}
        filled = raw.info("memory")

        service.worker.start()
        service.worker.wait_output("Delivering.")
        started = CLOCK.monotonic()
        while service.publish(next(numbers), names[0]).status_code == 503:
            CLOCK.sleep(0.05)
        taken_again_s = CLOCK.monotonic() - started
        accepted[names[0]] += 1

        expected = {f"crowd-{number}": 1 for number in range(CROWD)} | accepted
        del expected["crowd"]
        wanted = sum(expected.values())
        eventually(lambda: taken(sink).total() >= wanted, "all is delivered", 60, every_s=0.2)
        emptied = raw.info("memory")
    print(
        f"{refused_at} events accepted, the first for {CROWD} subscriptions ({grown / MB:.1f} MB); "
        f"used {filled['used_memory'] / MB:.0f} MB, at most {emptied['used_memory_peak'] / MB:.0f} MB of "
        f"{MAXMEMORY / MB:.0f} MB, resident {emptied['used_memory_rss'] / MB:.0f} MB; the worker "
        f"{max_resident(service.worker) / MB:.0f} MB; taken again after {taken_again_s:.1f} s, "
        f"{wanted} deliveries after {CLOCK.monotonic() - started:.1f} s"
    )
    assert taken(sink) == expected
    # One payload, two copies for who comes later, about 1 kB for each subscription, connections' buffers.
    # A copy for each subscription would be 262 MB.
    assert grown < 5 * MB
    assert emptied["used_memory_peak"] <= 1.1 * MAXMEMORY
    assert max_resident(service.worker) <= 300 * MB
    assert taken_again_s <= 5
    assert service.worker.running
