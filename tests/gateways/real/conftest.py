"""From a real Janus at a real registrar, by the adapter and the service, to a real TLS sink."""

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateways.harness.janus import Janus, SipHandle
from tests.gateways.harness.ports import free_port
from tests.gateways.harness.registrar import Registrar
from tests.gateways.real.subscriber import Subscriber
from tests.harness.commands import Running, eventually, run
from webrtc_events.gateways.journal_view import view
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

CLIENT = "local"
PASSWORD = "secret"
# Whom a rule names; all others are nobody's, as a telephone elsewhere is.
RULES = """
[[registration]]
identity = "sip:alice-*@*"
owner = "local"
id = "{user}"

[[registration]]
identity = "sip:bob-*@*"
owner = "local"
id = "{user}"
"""


@pytest.fixture(scope="session")
def programs() -> None:
    missing = [name for name in ("janus", "kamailio") if shutil.which(name) is None]
    assert not missing, f"{', '.join(missing)}: not installed; `make test-gateways` installs it, or says how"


@pytest.fixture(scope="session")
def folder(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gateways")


@pytest.fixture(scope="session")
def registrar(folder: Path) -> Iterator[Registrar]:
    with Registrar(folder / "registrar") as registrar:
        yield registrar


class Way(Subscriber):
    """What a subscriber got, and what the operator sees, of one run: service, adapter, Janus."""

    def __init__(self, folder: Path, endpoints: Endpoints, client: HttpClient, sink: HttpClient) -> None:
        super().__init__(endpoints, client, sink)
        self.queue = folder / "janus.queue"
        self.port = free_port()
        self._folder = folder
        self._password = folder / "password"
        self._password.write_text(PASSWORD)
        self._rules = folder / "registrations.toml"
        self._rules.write_text(RULES)
        self.adapter = self.start_adapter()

    @property
    def backend(self) -> str:
        """Where Janus posts."""
        return f"http://127.0.0.1:{self.port}/"

    def start_adapter(self) -> Running:
        self.adapter = Running(
            self._folder / f"adapter-{uuid.uuid4().hex[:6]}.log",
            *("gateway", "janus", "--queue", str(self.queue), "--service", self.endpoints.api),
            *("--issuer", str(self.endpoints.issuer), "--listen", f"127.0.0.1:{self.port}"),
            *("--password-file", str(self._password), "--registrations", str(self._rules)),
        )
        self.adapter.await_output("Takes events of Janus")
        return self.adapter

    def stop_adapter(self) -> None:
        assert self.adapter.stop() == 0
        assert "Traceback" not in self.adapter.output

    def password(self, text: str) -> None:
        """What the adapter wants from its next start on."""
        self._password.write_text(text)

    def kill_adapter(self) -> None:
        """At any moment, as the system does that has no memory left."""
        self.adapter.process.kill()
        self.adapter.process.wait()

    def is_known(self, registration_id: str) -> bool:
        """Whether the service knows the registration, as forgetting it tells."""
        url = f"{self.endpoints.network}/registrations/{registration_id}"
        return self.api.expect({204, 404}, "DELETE", url).status_code == 204

    def await_registration(self, registration_id: str) -> None:
        """Until the service knows it."""
        eventually(lambda: self._registration_in_queue(registration_id) and not view(self.queue).entries)

    def _registration_in_queue(self, registration_id: str) -> bool:
        with closing(sqlite3.connect(f"file:{self.queue}?mode=ro", uri=True)) as database:
            found = "SELECT count(*) FROM state WHERE kind = 'registration' AND key = ?"
            return bool(database.execute(found, (registration_id,)).fetchone()[0])

    def subscribe(self, kind: str, registration_id: str, session: str | None = None) -> str:
        """The path of its sink."""
        path = f"/{registration_id}/{kind}"
        assert self.is_subscribed(kind, registration_id, path, session)
        return path

    def ladder(self, session: str) -> str:
        """The picture of the call in the console; the trace is written a moment after the events."""
        url = f"{self.endpoints.console}calls/{session}/-/ladder.svg"
        return self.api.request("GET", url).text


@pytest.fixture(scope="session")
def service(folder: Path) -> Iterator[Running]:
    arguments = ("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(folder / "data"))
    service = Running(folder / "serve.log", *arguments)
    service.await_output("Ctrl-C stops everything")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def serve(service: Running, folder: Path) -> Path:
    """The data directory of the service."""
    return folder / "data"


@pytest.fixture
def serve_pid(service: Running) -> int:
    return service.process.pid


@pytest.fixture(scope="session")
def way(folder: Path, serve: Path) -> Iterator[Way]:
    api = HttpClient(lambda: run("token", "--data-dir", str(serve)).stdout.decode().strip())
    sink = HttpClient(ca=serve / "ca" / "ca.pem")
    way = Way(folder, Endpoints.read(serve), api, sink)
    yield way
    way.stop_adapter()
    api.close()
    sink.close()


@pytest.fixture(scope="session")
def janus(way: Way, folder: Path) -> Iterator[Janus]:
    with Janus(folder / "janus", way.backend, password=PASSWORD) as janus:
        yield janus


@dataclass(frozen=True)
class Endpoint:
    """A handle that has registered as `user`, which is the registration's id too."""

    user: str
    handle: SipHandle


@pytest.fixture
def alice(janus: Janus, registrar: Registrar, way: Way) -> Iterator[Endpoint]:
    """An endpoint that has registered, and that the service knows."""
    yield from registered(janus, registrar, way, "alice")


@pytest.fixture
def bob(janus: Janus, registrar: Registrar, way: Way) -> Iterator[Endpoint]:
    yield from registered(janus, registrar, way, "bob")


@pytest.fixture
def telephone(janus: Janus, registrar: Registrar) -> Iterator[SipHandle]:
    """The party elsewhere: the adapter does not know whose it is."""
    handle = janus.attach()
    handle.register(f"telephone-{uuid.uuid4().hex[:8]}", registrar.uri)
    yield handle
    handle.destroy()


def registered(
    janus: Janus, registrar: Registrar, way: Way, name: str, display_name: str | None = "Somebody of the test"
) -> Iterator[Endpoint]:
    user = f"{name}-{uuid.uuid4().hex[:8]}"
    handle = janus.attach()
    handle.register(user, registrar.uri, display_name=display_name)
    way.await_registration(user)
    yield Endpoint(user, handle)
    handle.destroy()
