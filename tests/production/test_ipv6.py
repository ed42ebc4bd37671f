"""Everything on ::1 and nothing else: store, API under gunicorn, worker, sinks, console, `serve`."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.harness.commands import Running, api, data, eventually, start
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import ValkeyServer, free_port
from tests.production.service import TYPE, Service, event
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

__all__ = ["api", "data", "start"]


class Ipv6Store(ValkeyServer):
    """On ::1 alone."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, options={"bind": "::1"})

    @property
    def address(self) -> str:
        return f"[::1]:{self.port}"


class Ipv6Sink(RecordingSink):
    """By its literal address."""

    def url_of(self, path: str) -> str:
        return f"https://[::1]:{self.port}{path}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ipv6Store]:
    with Ipv6Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def sink() -> Iterator[Ipv6Sink]:
    with Ipv6Sink() as sink:
        yield sink


def test_a_service_lives_on_ipv6_alone(
    store: Ipv6Store, sink: Ipv6Sink, issuer: Issuer, tmp_path: Path
) -> None:
    service = Service(
        tmp_path, issuer, store.url, sink, host="[::1]", SINK_ALLOWED_NETWORKS="::1/128", SINK_CONNECTIONS="4"
    )
    try:
        service.start()
        made = service.subscribe()
        assert made.status_code == 201, made.text
        assert made.json()["sink"] == sink.url
        for first in range(0, 1_000, 100):
            assert service.publish_batch(range(first, first + 100)).status_code == 202
        sink.wait_for(1_000, 60)
        assert [request.header("host") for request in sink.requests[:1]] == [f"[::1]:{sink.port}"]
        store.kill()
        store.start()
        store.wait_ready()
        eventually(lambda: service.ready()[0] == 200)
        assert service.publish(1_000).status_code == 202
        sink.wait_for(1_001, 60)
        assert "Traceback" not in service.api.output + service.worker.output
    finally:
        service.stop()


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("[::1]", "public address"),
        ("[fe80::1%25eth0]", '"uri"'),
        ("[fe80::1%eth0]", '"uri"'),
        ("[::ffff:10.0.0.1]", "public address"),
        ("[64:ff9b::10.0.0.1]", "public address"),
        ("[64:ff9b::a9fe:a9fe]", "public address"),
        ("[2002:a00:1::]", "public address"),
        ("[2001:0:a00:1::]", "public address"),
        ("[fd00::1]", "public address"),
        ("[::1", '"uri"'),
        ("::1", '"uri"'),
    ],
)
def test_sinks_at_addresses_that_lead_inside_are_refused_when_they_are_named(
    host: str, fault: str, one_api: Service
) -> None:
    answer = one_api.subscribe(sink=f"https://{host}:9443/")
    assert answer.status_code == 400
    assert fault in answer.json()["message"]


def test_sinks_at_public_ipv6_addresses_are_taken(one_api: Service) -> None:
    for host in ("[2606:4700:4700:0::1111]", "[::ffff:8.8.8.8]", "[64:ff9b::8.8.8.8]"):
        assert one_api.subscribe(sink=f"https://{host}:9443/").status_code == 201


@pytest.fixture(scope="module")
def one_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An API with a store, both on ::1, for all the questions about URLs."""
    folder = tmp_path_factory.mktemp("ipv6")
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    with Ipv6Store(folder / "store") as store, Ipv6Sink() as sink:
        service = Service(folder, issuer, store.url, sink, host="[::1]", SINK_ALLOWED_NETWORKS="")
        try:
            service.start()
            yield service
        finally:
            service.stop()
            issuer.close()


def test_the_console_listens_on_ipv6(store: Ipv6Store, issuer: Issuer, start: Callable[..., Running]) -> None:
    port = free_port()
    console = start(
        "console",
        "--host",
        "::1",
        "--port",
        str(port),
        env={
            "WEBRTC_EVENTS_REDIS_URL": store.url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        },
    )
    console.await_output(f"http://[::1]:{port}")
    assert requests.get(f"http://[::1]:{port}/", timeout=10).status_code == 200
    assert console.stop(signal.SIGTERM) == 0


def test_serve_listens_on_ipv6_with_all_that_belongs_to_it(
    start: Callable[..., Running], data: Path, api: HttpClient
) -> None:
    serve = start("serve", "--host", "::1", "--port", "0", "--sink-port", "0", "--data-dir", str(data))
    serve.await_output("Ctrl-C stops everything")
    endpoints = Endpoints.read(data)
    assert endpoints.api.startswith("http://[::1]:")
    for page in ("/", "/console/", "/softphone/", "/readyz"):
        assert requests.get(f"{endpoints.api}{page}", timeout=30).status_code == 200
    port = endpoints.sink.rstrip("/").rpartition(":")[2]
    request = {
        "protocol": "HTTP",
        "sink": f"https://[::1]:{port}/inbox",
        "types": [TYPE],
        "config": {"subscriptionDetail": {"registrationId": "r1"}},
    }
    api.expect({201}, "POST", f"{endpoints.public}/subscriptions", json=request)
    headers = {"Content-Type": "application/cloudevents+json"}
    api.expect({202}, "POST", f"{endpoints.network}/events", json=event(), headers=headers)
    eventually(lambda: "outcome=delivered" in serve.output)
    assert f"host=https://[::1]:{port}" in serve.output
    assert serve.stop(signal.SIGTERM) == 0
    assert "Traceback" not in serve.output
