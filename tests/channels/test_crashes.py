"""Whole processes are killed in mid-delivery: what a reader gets is each event once, in order."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidHandshake

from tests.api.conftest import NETWORK, PUBLIC, invitation, subscription_request
from tests.channels.conftest import CHANNELS, SCOPES
from tests.harness.channels import BASE
from tests.harness.event_sockets import SocketReader, offers
from tests.harness.event_streams import EventReader, SentEvent, StreamReader
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually, free_port
from tests.production.service import environ_of, processes

pytestmark = pytest.mark.slow

EVENTS = 1_500
AT_ONCE = 10


class Reader:
    """Comes back with the id of its last event, for as long as it is wanted."""

    def __init__(self, url: str, token: str, *, over_websocket: bool = False) -> None:
        self._url, self._token, self._over_websocket = url, token, over_websocket
        self.events: list[SentEvent] = []
        self.connections = 0
        self._wanted = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def numbers(self) -> list[Any]:
        return [event.json["data"]["sequenceNumber"] for event in self.events]

    def stop(self) -> None:
        self._wanted = False
        self._thread.join(30)

    def _open(self, last_id: str) -> EventReader:
        """
        Raises:
            OSError, HTTPException, InvalidHandshake: nobody answers, or answers this.
        """
        if self._over_websocket:
            return SocketReader(self._url, offers(self._token, last_id))
        stream = StreamReader(self._url, self._token, last_id)
        if stream.status != 200:
            # The store is away: whoever comes back is to come again.
            stream.close()
            raise OSError(stream.status)
        return stream

    def _run(self) -> None:
        last_id = ""
        while self._wanted:
            try:
                stream = self._open(last_id)
            except (OSError, HTTPException, InvalidHandshake):
                CLOCK.sleep(0.1)
                continue
            self.connections += 1
            taken = 0
            while self._wanted and not (stream.ended and taken == len(stream.events)):
                new = stream.events[taken:]
                taken += len(new)
                self.events += new
                CLOCK.sleep(0.01)
            last_id = stream.last_id or last_id
            stream.close()


class Service:
    """A store that keeps all, an API of two processes, a worker."""

    def __init__(self, directory: Path, issuer: Issuer, stack: ExitStack) -> None:
        self.store = stack.enter_context(ValkeyServer(directory / "store"))
        self.url = f"http://127.0.0.1:{free_port()}"
        # While the lease of a worker that was killed runs out, all of them may wait.
        room = {"CHANNEL_LENGTH": "5000", "OUTBOX_LENGTH": "5000"}
        settings = {"CHANNELS_URL": BASE, "REQUESTS_PER_S": "0", **room}
        ca_file = directory / "ca.pem"
        ca_file.touch()
        environ = environ_of(issuer, self.store.url, ca_file, **settings)
        self.api, self.worker = processes(directory, environ, self.url, api_processes=2)
        for process in (self.api, self.worker):
            stack.callback(process.kill_all)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {issuer.token(CLOCK.now(), scope=SCOPES)}"

    def start(self) -> None:
        self.api.start()
        self.start_worker()
        eventually(lambda: self.api.output.count("Application startup complete") == 2, "the API is up", 60)

    def start_worker(self) -> None:
        self.worker.start()
        self.worker.wait_output("Delivering.")

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self._session.post(self.url + path, json=body, headers=headers, timeout=10)

    def publish(self, numbers: range) -> None:
        """Until it is accepted: the same again changes nothing."""
        events = [invitation(number) for number in numbers]
        for event, number in zip(events, numbers, strict=True):
            event["data"] = event["data"] | {"sequenceNumber": number}

        def accepted() -> bool:
            try:
                content = {"Content-Type": "application/cloudevents-batch+json"}
                return self.post(f"{NETWORK}/events", events, **content).status_code == 202
            except requests.RequestException:
                return False

        eventually(accepted, f"{numbers} are accepted", 60, every_s=0.1)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        issuer = Issuer(SigningKeyPair.rsa("k1"))
        stack.callback(issuer.close)
        running = Service(tmp_path, issuer, stack)
        running.start()
        yield running


@pytest.mark.parametrize("what", ["worker", "api", "store"])
def test_what_is_killed_loses_and_doubles_nothing(service: Service, what: str) -> None:
    made = service.post(CHANNELS).json()
    request = subscription_request(sink=made["sink"])
    assert service.post(f"{PUBLIC}/subscriptions", request).status_code == 201
    url = f"{service.url}{CHANNELS}/{made['id']}/events"
    readers = [Reader(url, made["token"], over_websocket=over) for over in (False, True, True)]
    draw = random.Random(7)

    def kill() -> None:
        match what:
            case "worker":
                service.worker.kill_all()
                service.start_worker()
            case "api":
                os.kill(draw.choice(service.api.forked()), signal.SIGKILL)
            case "store":
                service.store.kill()
                service.store.start()
                service.store.wait_ready()

    for first in range(1, EVENTS + 1, AT_ONCE):
        service.publish(range(first, first + AT_ONCE))
        if first % (EVENTS // 4) == 1:
            # What was just published is being delivered.
            kill()
    for reader in readers:
        # A lease of a worker that was killed takes 13 s to run out.
        wanted = f"{EVENTS} events, of which {len(reader.events)} came by now"
        eventually(lambda reader=reader: len(reader.events) >= EVENTS, wanted, 100)  # type: ignore[misc]
        reader.stop()
        assert reader.numbers() == [*range(1, EVENTS + 1)]
    assert what != "api" or sum(reader.connections for reader in readers) > 3
