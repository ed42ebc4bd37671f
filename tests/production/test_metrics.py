"""`/metrics` of gunicorn and of a worker, as an operator starts them."""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.harness.scrapes import scrape
from tests.harness.valkeys import ValkeyServer, eventually, free_port
from tests.production.service import Make, Service, processes

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Scraped:
    """A service and its store; `api` and `worker`: where they are scraped."""

    service: Service
    store: ValkeyServer
    api: str
    worker: str


@pytest.fixture
def running(service: Make, tmp_path: Path) -> Scraped:
    """Each at an address that no other has: that is the only difference of their environments."""
    address, worker_address = (f"127.0.0.1:{free_port()}" for _ in range(2))
    made, store = service({}, METRICS_ADDRESS=address)
    environ = made.environ | {"WEBRTC_EVENTS_METRICS_ADDRESS": worker_address}
    _, made.worker = processes(tmp_path, environ, made.url, api_processes=2)
    made.start()
    return Scraped(made, store, f"http://{address}/metrics", f"http://{worker_address}/metrics")


def api_pids(service: Service) -> list[int]:
    """Of gunicorn's workers."""
    parent = service.api.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in children.split()]


def test_gunicorn_says_the_whole_of_its_workers_whoever_of_them_is_killed(running: Scraped) -> None:
    service = running.service
    assert service.subscribe().status_code == 201
    for number in range(40):
        assert service.publish(number).status_code == 202

    def accepted() -> float:
        return scrape(running.api)("events_accepted_total")

    eventually(lambda: accepted() == 40, "both say what they accepted")
    found = scrape(running.api)
    assert found("processes", process="api") == 2
    assert found("http_requests_total", operation="publishEvents", api="network/v0", status="202") == 40
    for pid in api_pids(service):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: service.api.output.count("Application startup complete") == 4, "two more are up", 60)
    eventually(lambda: scrape(running.api)("processes", process="api") == 2, "they are counted")
    assert accepted() == 40
    assert service.publish(41).status_code == 202
    eventually(lambda: accepted() == 41, "they go on counting")
    eventually(lambda: scrape(running.worker).total("deliveries_total") == 41, "the worker is scraped too")


def test_a_reload_counts_on(running: Scraped) -> None:
    """gunicorn starts new workers while the old ones end."""
    service = running.service
    assert service.subscribe().status_code == 201
    for number in range(10):
        service.publish(number)
    before = api_pids(service)
    os.kill(service.api.pid, signal.SIGHUP)
    eventually(lambda: not {*before} & {*api_pids(service)}, "the old ones have ended", 60)
    eventually(lambda: scrape(running.api)("processes", process="api") == 2, "two run", 60)
    assert scrape(running.api)("events_accepted_total") == 10


def test_a_gunicorn_that_takes_the_place_of_another_listens_there_too(running: Scraped) -> None:
    """USR2: both run for a while, at the same address."""
    service, old = running.service, running.service.api.pid
    os.kill(old, signal.SIGUSR2)
    eventually(lambda: service.api.output.count("Application startup complete") == 4, "four are up", 60)
    assert scrape(running.api)("processes", process="api") == 2
    os.kill(old, signal.SIGTERM)
    eventually(lambda: not service.api.running, "the old one has ended", 60)
    assert service.subscribe().status_code == 201
    assert service.publish(1).status_code == 202
    eventually(lambda: scrape(running.api)("events_accepted_total") == 1, "the new one is scraped")
    assert "Traceback" not in service.api.output


def test_metrics_answer_while_the_store_is_away_and_say_so(running: Scraped) -> None:
    def writes(at: str) -> float:
        return scrape(at)("store_check", check="writes")

    for at in (running.api, running.worker):
        eventually(lambda at=at: writes(at) == 1, "all is well", 60)
    running.store.kill()
    for at in (running.api, running.worker):
        eventually(lambda at=at: writes(at) == 0, "it is noticed", 60)
    eventually(lambda: "outbox_events" not in scrape(running.worker).names, "there is no old news", 60)
    running.store.start()
    running.store.wait_ready()
    for at in (running.api, running.worker):
        eventually(lambda at=at: writes(at) == 1, "it is back", 60)


def test_the_public_port_has_no_metrics(running: Scraped) -> None:
    for path in ("/metrics", "/metrics/", "/network/v0/metrics"):
        assert requests.get(f"{running.service.url}{path}", timeout=10).status_code == 404


def test_an_address_in_use_ends_gunicorn_with_a_sentence(service: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made, _ = service({}, METRICS_ADDRESS=f"127.0.0.1:{port}")
        made.api.start()
        said = f"cannot listen for /metrics on 127.0.0.1:{port}: Address already in use"
        eventually(lambda: said in made.api.output, "it says so", 60)
        eventually(lambda: not made.api.running, "it ends", 60)
    assert "Traceback" not in made.api.output
