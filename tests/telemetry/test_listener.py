"""The listener of `/metrics`: for whoever scrapes, and against whoever is slow."""

import gzip
import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.harness.clocks import SteppedClock
from tests.harness.commands import eventually
from tests.harness.scrapes import scrape
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.telemetry.exposition import registry_of
from webrtc_events.telemetry.listener import MetricsListener, listen, url_of
from webrtc_events.telemetry.snapshot import Snapshot


class Listening:
    def __init__(self, host: str, clock: SystemClock | SteppedClock) -> None:
        self.socket = listen(HostPort(host, 0))
        self.port = self.socket.getsockname()[1]
        self.url = url_of(self.socket)
        self.host = host
        registry = registry_of(lambda: [Snapshot(1.0, {"sweeps_total": {(): 3}})])
        self.listener = MetricsListener(self.socket, registry, clock)
        self.listener.start()

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=30)


@pytest.fixture
def start() -> Iterator[Callable[..., Listening]]:
    started: list[Listening] = []

    def begin(host: str = "127.0.0.1", clock: SystemClock | SteppedClock | None = None) -> Listening:
        started.append(Listening(host, clock or SystemClock()))
        return started[-1]

    yield begin
    for listening in started:
        listening.listener.stop()
        listening.socket.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_is_scraped_over_either_protocol_of_the_internet(
    start: Callable[..., Listening], host: str
) -> None:
    listening = start(host)
    assert scrape(listening.url)("sweeps_total") == 3


def test_the_format_is_what_the_scraper_asks_for(start: Callable[..., Listening]) -> None:
    listening = start()
    status, headers, body = listening.ask(
        "GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0"
    )
    assert (status, body.endswith(b"# EOF\n")) == (200, True)
    assert headers["content-type"].startswith("application/openmetrics-text")
    status, headers, body = listening.ask("GET", "/metrics", **{"Accept-Encoding": "gzip"})
    assert b"webrtc_events_sweeps_total 3.0" in gzip.decompress(body)
    assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics/", "/network/v0/events", "/favicon.ico"])
def test_there_is_nothing_at_other_paths(start: Callable[..., Listening], path: str) -> None:
    status, headers, body = start().ask("GET", path)
    assert (status, body) == (404, b"The metrics are at /metrics.\n")
    assert headers["server"] == "webrtc-events"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "TRACE", "BREW"])
def test_other_methods_are_refused(start: Callable[..., Listening], method: str) -> None:
    assert start().ask(method, "/metrics")[0] == 405


def test_one_who_asks_for_a_single_metric_gets_it(start: Callable[..., Listening]) -> None:
    listening = start()
    found = listening.ask("GET", "/metrics?name[]=webrtc_events_sweeps_total")[2]
    assert b"webrtc_events_sweeps_total 3.0" in found
    assert listening.ask("GET", "/metrics?name[]=nothing")[2] == b""


def test_who_sends_nothing_holds_up_nobody(start: Callable[..., Listening]) -> None:
    listening = start()
    silent = [listening.connect() for _ in range(10)]
    assert scrape(listening.url)("sweeps_total") == 3
    for connection in silent:
        connection.close()


def test_of_too_many_connections_the_oldest_is_cut_off(start: Callable[..., Listening]) -> None:
    listening = start()
    silent = [listening.connect() for _ in range(20)]
    for _ in range(3):
        assert scrape(listening.url)("sweeps_total") == 3
    # The first of them find their end.
    assert silent[0].recv(1) == b""
    handlers = [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]
    assert len(handlers) <= 16
    for connection in silent:
        connection.close()


def test_one_that_drips_is_cut_off_after_its_time(start: Callable[..., Listening]) -> None:
    clock = SteppedClock()
    listening = start(clock=clock)
    dripping = listening.connect()
    dripping.send(b"GET /metrics HTTP/1.0\r\nX-One: ")
    eventually(lambda: listening.listener._server._since_s)
    clock.elapsed += 11
    dripping.send(b"a")
    assert dripping.recv(1) == b""
    dripping.close()


def test_a_head_without_end_is_refused(start: Callable[..., Listening]) -> None:
    connection = start().connect()
    connection.sendall(b"GET /" + b"a" * 70_000 + b" HTTP/1.0\r\n\r\n")
    assert b" 414 " in connection.recv(100)
    connection.close()


def test_who_goes_away_leaves_no_traceback_on_the_terminal(
    start: Callable[..., Listening], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    listening = start()
    for _ in range(5):
        connection = listening.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.send(b"GET /metrics HTTP/1.0\r\n")
        connection.close()
    assert scrape(listening.url)("sweeps_total") == 3
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_it_stops_at_once_though_somebody_is_connected(start: Callable[..., Listening]) -> None:
    listening = start()
    silent = listening.connect()
    eventually(lambda: listening.listener._server._since_s)
    listening.listener.stop()
    assert silent.recv(1) == b""
    silent.close()


def test_an_address_in_use_is_said_with_what_to_do() -> None:
    taken = listen(HostPort("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with pytest.raises(CannotStart) as refused:
        listen(HostPort("127.0.0.1", port))
    assert str(refused.value) == (
        f"cannot listen for /metrics on 127.0.0.1:{port}: Address already in use; set "
        "WEBRTC_EVENTS_METRICS_ADDRESS to one that is free: each API, worker and console needs its own"
    )
    # But for who is to take the place of the other.
    listen(HostPort("127.0.0.1", port), shares=True).close()
    taken.close()
    listen(HostPort("127.0.0.1", port)).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_of_this_machine_is_said(host: str) -> None:
    with pytest.raises(CannotStart, match=f"cannot listen for /metrics on {host}:9464: "):
        listen(HostPort(host, 9464))
