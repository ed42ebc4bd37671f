"""gunicorn and workers on a store that does not keep what it is given: what operators see."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF, SCRIPTS
from tests.issuer import Issuer, SigningKeyPair
from tests.production.test_processes import TYPE, event
from tests.sinks import Answer, RecordingSink
from tests.valkeys import CLOCK, ValkeyServer, _free_port, eventually

SCOPE = f"webrtc-events:{TYPE}:create webrtc-events:network webrtc-events:read"
VOLATILE = {"save": "", "appendonly": "no"}


class Service:
    """An API of two processes and a worker, with a sink."""

    def __init__(
        self, directory: Path, issuer: Issuer, store: str, sink: RecordingSink, **settings: str
    ) -> None:
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._public = f"{self.url}/webrtc-events/v0.2/subscriptions"
        self._headers = {"Authorization": f"Bearer {issuer.token(CLOCK.now(), scope=SCOPE)}"}
        self._sink = sink
        environ = {
            "REDIS_URL": store,
            "OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "SECRET_KEY": "A" * 43,
            "SINK_CA_FILE": str(sink.ca_file),
            "SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        self.environ = {f"WEBRTC_EVENTS_{name}": value for name, value in (environ | settings).items()}
        bind = self.url.removeprefix("http://")
        gunicorn = (str(SCRIPTS / "gunicorn"), "-c", GUNICORN_CONF, "-w", "2", "-b", bind)
        self.api = Process("api", directory, self.environ, (*gunicorn, APP))
        self.worker = Process("worker", directory, self.environ, (str(SCRIPTS / "webrtc-events"), "worker"))

    def start(self) -> None:
        self.api.start()
        self.worker.start()
        self.worker.wait_output("Delivering.")
        eventually(lambda: self.api.output.count("Application startup complete") == 2, "the API is up", 60)

    def stop(self) -> None:
        self.api.kill_all()
        self.worker.kill_all()

    def ready(self) -> tuple[int, dict[str, Any]]:
        answer = requests.get(f"{self.url}/readyz", timeout=10)
        return answer.status_code, answer.json()["checks"]

    def subscribe(self, **more: Any) -> requests.Response:
        request = more | {
            "protocol": "HTTP",
            "sink": self._sink.url,
            "types": [TYPE],
            "config": {"subscriptionDetail": {"registrationId": "r1"}},
        }
        return requests.post(self._public, json=request, headers=self._headers, timeout=10)

    def publish(self, number: int, session: str = "s1") -> requests.Response:
        headers = self._headers | {"Content-Type": "application/cloudevents+json"}
        body = event() | {"id": f"e{number}"}
        body["data"]["mediaSessionId"] = session
        return requests.post(f"{self.url}/network/v0/events", json=body, headers=headers, timeout=10)

    def subscriptions(self) -> list[str]:
        return [each["id"] for each in requests.get(self._public, headers=self._headers, timeout=10).json()]


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    yield issuer
    issuer.close()


@pytest.fixture
def service(tmp_path: Path, issuer: Issuer) -> Iterator[Callable[..., tuple[Service, ValkeyServer]]]:
    """A service that is yet to be started, and its store, by the store's options and further settings."""
    made: list[Any] = []
    with RecordingSink() as sink:

        def make(options: dict[str, str], **settings: str) -> tuple[Service, ValkeyServer]:
            server = ValkeyServer(tmp_path / "store", options=options)
            made.append(server)
            server.start()
            server.wait_ready()
            made.append(Service(tmp_path, issuer, server.url, sink, **settings))
            return made[-1], server

        yield make
        for each in reversed(made):
            each.stop()


def restarted(server: ValkeyServer) -> None:
    server.kill()
    server.start()
    server.wait_ready()


def test_every_process_says_which_store_it_is_and_that_it_lost_its_data(
    service: Callable[..., tuple[Service, ValkeyServer]],
) -> None:
    running, server = service(VOLATILE)
    running.start()
    assert f"nothing on disk, at {server.address}" in running.worker.output
    warning = (
        f"the store at {server.address} writes nothing to disk: a restart loses everything. Set `appendonly"
    )
    assert running.worker.output.count(warning) == 1
    # One of gunicorn's own, which looks before it starts any, and one for each of the API's processes.
    assert running.api.output.count(warning) == 3
    status, checks = running.ready()
    assert (status, checks["durability"]["status"], checks["clock"]["status"]) == (200, "degraded", "ok")
    assert [running.subscribe().status_code for _ in range(4)] == [201] * 4
    assert len(running.subscriptions()) == 4

    restarted(server)
    emptied = f"the store was emptied at {server.address}"
    eventually(lambda: running.worker.output.count(emptied) == 1, "the worker says so", 20)
    eventually(lambda: running.api.output.count(emptied) == 2, "both processes of the API say so", 20)
    status, checks = running.ready()
    assert status == 200
    assert "The store lost all that it held" in checks["durability"]["detail"]
    assert running.subscriptions() == []
    assert running.subscribe().status_code == 201
    for process in (running.api, running.worker):
        assert "Traceback" not in process.output
        assert process.terminate(30) < 30


@pytest.mark.parametrize("command", ["worker", "serve", "gunicorn"])
def test_where_the_store_must_be_durable_no_process_starts_on_another(
    service: Callable[..., tuple[Service, ValkeyServer]], tmp_path: Path, command: str
) -> None:
    running, server = service(VOLATILE, REQUIRE_DURABLE_STORE="true")
    commands = {
        "worker": [str(SCRIPTS / "webrtc-events"), "worker"],
        "serve": [
            *(str(SCRIPTS / "webrtc-events"), "serve", "--port", "0", "--sink-port", "0"),
            *("--data-dir", str(tmp_path / "data")),
        ],
        "gunicorn": [
            *(str(SCRIPTS / "gunicorn"), "-c", GUNICORN_CONF, "-w", "2"),
            *("-b", "127.0.0.1:0", APP),
        ],
    }
    done = subprocess.run(
        commands[command], env=running.environ, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    told = done.stdout + done.stderr
    # Of gunicorn it may be that of the process, or of a worker that could not start.
    assert done.returncode in ({1, 3} if command == "gunicorn" else {1}), told
    assert "WEBRTC_EVENTS_REQUIRE_DURABLE_STORE=true" in told
    assert f"the store at {server.address} writes nothing to disk" in told
    assert "Set `appendonly yes`" in told
    assert "Traceback" not in told
    assert sys.executable not in told


def test_where_the_store_must_be_durable_nothing_new_is_taken_once_it_is_not(
    service: Callable[..., tuple[Service, ValkeyServer]], tmp_path: Path
) -> None:
    """And what was taken before is delivered."""
    running, server = service({"save": "3600 1", "appendonly": "yes"}, REQUIRE_DURABLE_STORE="true")
    running._sink.answer = lambda _: Answer(503)
    running.start()
    assert running.ready()[0] == 200
    assert running.subscribe().status_code == 201
    assert running.publish(1).status_code == 202
    with server.client() as client:
        client.save()
    server.options["appendonly"] = "no"
    restarted(server)
    eventually(lambda: running.ready()[0] == 503, "it is not ready", 20)
    # Each process of the API finds out by itself.
    refused = "new events and subscriptions are refused until it is durable again"
    eventually(lambda: running.api.output.count(refused) == 2, "both processes refuse", 20)
    status, checks = running.ready()
    assert (status, checks["store"]["status"], checks["durability"]["status"]) == (503, "ok", "unavailable")
    assert "snapshots only" in checks["durability"]["detail"]
    assert [running.subscribe().status_code, running.publish(2).status_code] == [503, 503]
    assert "does not keep what it is given" in running.publish(2).json()["message"]
    assert len(running.subscriptions()) == 1
    running._sink.answer = lambda _: Answer(204)
    before = len(running._sink.requests)
    eventually(lambda: len(running._sink.requests) > before, "it is delivered", 30)
    server.options["appendonly"] = "yes"
    with server.client() as client:
        client.config_set("appendonly", "yes")
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "it is written")
    restarted(server)
    # Of either process: each finds out by itself.
    eventually(lambda: all(running.publish(n).ok for n in range(20)), "they take events again", 20)
    assert running.ready()[0] == 200
