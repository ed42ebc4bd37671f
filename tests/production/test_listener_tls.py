"""gunicorn's listeners by TLS: one for applications, one for gateways that show a certificate."""

import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF, SCRIPTS
from tests.harness.authority import Authority
from tests.harness.documents import Document
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually, free_port
from tests.production.service import SCOPE, event

# As docs/operations/networks.md has it.
STRICTER = Document("operations/networks.md").block("TLS without a proxy", language="python")


class Listener:
    """A gunicorn with one side of the API, by TLS. `conf`: gunicorn's configuration."""

    def __init__(self, folder: Path, environ: dict[str, str], side: str, conf: str, *options: str) -> None:
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        bind = ("-w", "1", "-b", f"127.0.0.1:{self.port}")
        command = (str(SCRIPTS / "gunicorn"), "-c", conf, *bind, *options, APP)
        self.process = Process(side, folder, environ | {"WEBRTC_EVENTS_APIS": side}, command)
        self.process.start()

    def wait(self) -> None:
        eventually(lambda: "Application startup complete" in self.process.output, "the API is up", 120)


class Listeners:
    """Both sides, and the files that they and their clients use."""

    def __init__(self, folder: Path, store: str, issuer: Issuer) -> None:
        self.authority, self.gateways = Authority(), Authority()
        self.ca = str(self.authority.ca_file)
        self.headers = {"Authorization": f"Bearer {issuer.token(CLOCK.now(), scope=SCOPE, exp=2**33)}"}
        self.server = self.authority.certificate(folder / "server.pem", "localhost")
        self.gateway = self._pair(folder / "gateway.pem", self.gateways)
        self.stranger = self._pair(folder / "stranger.pem", self.authority)
        environ = {
            "WEBRTC_EVENTS_REDIS_URL": store,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        }
        own = ("--certfile", str(self.server), "--keyfile", str(self.server))
        asks = ("--ca-certs", str(self.gateways.ca_file), "--cert-reqs", "2")
        stricter = folder / "gunicorn_stricter.py"
        stricter.write_text(STRICTER)
        self.public = Listener(folder, environ, "public", str(stricter), *own)
        self.network = Listener(folder, environ, "network", GUNICORN_CONF, *own, *asks)

    @staticmethod
    def _pair(file: Path, authority: Authority) -> str:
        file.write_bytes(b"".join(authority.client_pair("gateway")))
        return str(file)

    def publish(self, certificate: str | None) -> requests.Response:
        headers = self.headers | {"Content-Type": "application/cloudevents+json"}
        return requests.post(
            f"{self.network.url}/network/v0/events",
            json=event(),
            headers=headers,
            verify=self.ca,
            cert=certificate,
            timeout=30,
        )

    def close(self) -> None:
        self.public.process.kill_all()
        self.network.process.kill_all()
        self.authority.close()
        self.gateways.close()


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listeners]:
    folder = tmp_path_factory.mktemp("tls")
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    with ValkeyServer(folder / "store") as store:
        running = Listeners(folder, store.url, issuer)
        try:
            running.public.wait()
            running.network.wait()
            yield running
        finally:
            running.close()
            issuer.close()


def test_applications_are_served_by_tls_without_a_certificate(listeners: Listeners) -> None:
    url = f"{listeners.public.url}/webrtc-events/v0.2/subscriptions"
    answer = requests.get(url, headers=listeners.headers, verify=listeners.ca, timeout=30)
    assert (answer.status_code, answer.json()) == (200, [])
    away = requests.get(f"{listeners.public.url}/network/v0/events", verify=listeners.ca, timeout=30)
    assert away.status_code == 404


def test_a_gateway_must_show_a_certificate_of_the_gateways_ca(listeners: Listeners) -> None:
    assert listeners.publish(listeners.gateway).status_code == 202
    for certificate in (None, listeners.stranger):
        with pytest.raises(requests.ConnectionError):
            listeners.publish(certificate)
    assert listeners.publish(listeners.gateway).status_code == 202


def agreed(listeners: Listeners, listener: Listener, version: ssl.TLSVersion) -> str | None:
    """What a client gets that speaks that version alone; it shows a certificate if it is asked."""
    context = ssl.create_default_context(cafile=listeners.ca)
    context.load_cert_chain(listeners.gateway)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", listener.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return connection.version()


def test_tls_is_1_2_or_later_or_what_the_operators_file_says(listeners: Listeners) -> None:
    for listener in (listeners.public, listeners.network):
        assert agreed(listeners, listener, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises(OSError, match=r"(?i)protocol"):
            agreed(listeners, listener, ssl.TLSVersion.TLSv1_1)
    assert agreed(listeners, listeners.network, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.raises(OSError, match=r"(?i)protocol"):
        agreed(listeners, listeners.public, ssl.TLSVersion.TLSv1_2)


def test_plain_http_is_refused(listeners: Listeners) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{listeners.public.port}/healthz", timeout=10)


def test_a_new_certificate_is_used_after_a_reload(listeners: Listeners) -> None:
    def serial() -> object:
        context = ssl.create_default_context(cafile=listeners.ca)
        with (
            socket.create_connection(("127.0.0.1", listeners.public.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            return (connection.getpeercert() or {}).get("serialNumber")

    before = serial()
    listeners.authority.certificate(listeners.server, "localhost")
    listeners.public.process.signal(signal.SIGHUP)
    eventually(lambda: serial() != before, "the new certificate is shown", 120, every_s=0.5)
