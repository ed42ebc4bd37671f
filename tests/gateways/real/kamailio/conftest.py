"""From SIPp through a real Kamailio, by the adapter and the service, to a real TLS sink."""

import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.harness.kamailio import Kamailio
from tests.gateways.harness.ports import free_port
from tests.gateways.harness.sipp import Party, Sipp
from tests.gateways.real.subscriber import PREFIX, Subscriber
from tests.harness.commands import Running, eventually, run
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

# Whom a rule names; all others are nobody's, as a telephone elsewhere is.
RULES = """
[[registration]]
identity = "sip:*@example.com"
owner = "local"
id = "{user}"
"""
NO_ANSWER_MS = 2000


class Service:
    """A `serve` that may be stopped and started, at the same ports each time."""

    api: HttpClient
    sink: HttpClient

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._ports = {"--port": free_port(), "--sink-port": free_port()}
        self._starts = 0
        self._running: Running | None = None

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints.read(self._data)

    def start(self) -> None:
        self._starts += 1
        ports = (part for name, port in self._ports.items() for part in (name, str(port)))
        log = self._folder / f"serve-{self._starts}.log"
        self._running = Running(log, "serve", *ports, "--data-dir", str(self._data))
        self._running.await_output("Ctrl-C stops everything")
        if self._starts == 1:
            # The sink's certificate is made by the first start.
            self.api = HttpClient(self._token)
            self.sink = HttpClient(ca=self._data / "ca" / "ca.pem")

    def stop(self) -> None:
        assert self._running is not None
        self._running.stop()

    def close(self) -> None:
        self.stop()
        self.api.close()
        self.sink.close()

    def _token(self) -> str:
        return run("token", "--data-dir", str(self._data)).stdout.decode().strip()


class Way(Subscriber):
    """What a subscriber got, and what the operator sees, of one run: service, adapter, Kamailio, SIPp."""

    def __init__(self, folder: Path, service: Service, kamailio: Kamailio) -> None:
        super().__init__(service.endpoints, service.api, service.sink)
        self.service = service
        self.queue = folder / "kamailio.queue"
        self.kamailio = kamailio
        self.sipp = Sipp(kamailio.port, folder)
        self.contacts: dict[str, int] = {}
        self._folder = folder
        self._adapters: list[Running] = []
        self._rules = folder / "registrations.toml"
        self._rules.write_text(RULES)
        # Of its sinks: the service is shared.
        self._run = uuid.uuid4().hex

    def close(self) -> None:
        self.sipp.close()
        for adapter in self._adapters:
            adapter.stop()

    def start_adapter(self) -> Running:
        log = self._folder / f"adapter-{len(self._adapters)}.log"
        self.adapter = Running(
            log,
            *("gateway", "kamailio", "--queue", str(self.queue), "--service", self.endpoints.api),
            *("--issuer", str(self.endpoints.issuer), "--evapi", f"127.0.0.1:{self.kamailio.evapi}"),
            *("--registrations", str(self._rules), "--lost-after", "5", "--domain", "example.com"),
        )
        self._adapters.append(self.adapter)
        self.adapter.await_output("Ctrl-C stops the adapter")
        return self.adapter

    def register(self, user: str, expires_s: int = 600, sequence: int = 1) -> None:
        """Registered, and known to the service."""
        self.register_only(user, expires_s, sequence)
        if expires_s:
            eventually(lambda: self.is_subscribed("registration-ends", user, "known"))

    def register_only(self, user: str, expires_s: int = 600, sequence: int = 1) -> None:
        port = self.contacts.setdefault(user, free_port(socket.SOCK_DGRAM))
        self.sipp.register(user, port, expires_s, sequence=sequence)

    def callee(self, scenario: str, user: str = "bob") -> Party:
        """Where the user has registered."""
        return self.sipp.begin(scenario, port=self.contacts[user], service=user)

    def subscribe(self, kind: str, registration_id: str, session: str | None = None) -> str:
        """The path of its sink."""
        path = f"/{self._run}/{registration_id}/{kind}/{session or ''}"
        eventually(lambda: self.is_subscribed(kind, registration_id, path, session))
        return path

    def await_some(self, path: str, status: str) -> None:
        """At least this one."""
        eventually(lambda: status in self.statuses(path))

    def await_end(self, path: str) -> dict[str, Any]:
        """The one registration-ends that came there."""

        def ends() -> list[dict[str, Any]]:
            return [event for event in self.received(path) if event["type"] == f"{PREFIX}registration-ends"]

        eventually(ends)
        (end,) = ends()
        found: dict[str, Any] = end["data"]
        return found

    def ladder(self, session: str) -> str:
        """The page of the call in the console."""
        return self.api.request("GET", f"{self.endpoints.console}calls/{session}").text


@contextmanager
def running_way(folder: Path, service: Service) -> Iterator[Way]:
    """Kamailio and the adapter, from the start to the end."""
    with ExitStack() as stack:
        kamailio = stack.enter_context(
            Kamailio(folder / "kamailio", NO_ANSWER_MS=NO_ANSWER_MS, MIN_REGISTRATION_S=1)
        )
        way = Way(folder, service, kamailio)
        stack.callback(way.close)
        way.start_adapter()
        yield way


@pytest.fixture(scope="session")
def kamailio_programs() -> None:
    missing = [name for name in ("kamailio", "sipp") if shutil.which(name) is None]
    assert not missing, f"{', '.join(missing)}: not installed; `make test-gateways` installs it, or says how"


@pytest.fixture(scope="session")
def shared_service(kamailio_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    service.close()


@pytest.fixture(scope="session")
def shared_way(shared_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """One run for tests that break nothing: each has its own endpoints and session."""
    with running_way(tmp_path_factory.mktemp("way"), shared_service) as way:
        yield way


@pytest.fixture
def way(shared_service: Service, tmp_path: Path) -> Iterator[Way]:
    with running_way(tmp_path, shared_service) as way:
        yield way
