"""What nginx, with the file of `deploy/`, sends to the API, and its answers while the API is unavailable."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pycurl
import pytest
import trustme

from tests.api.conftest import NETWORK, PUBLIC, assert_error
from tests.harness.documents import Document
from tests.harness.sinks import Received, read_request
from tests.harness.valkeys import eventually, free_port
from tests.production.operations.proxy import FILE, NAME, Proxy, head, parsed, running
from webrtc_events import gunicorn_conf

pytestmark = pytest.mark.slow

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
EVENTS = f"{NETWORK}/events"


class Upstream:
    """In the API's place: keeps each request as it came, and answers 204, or never."""

    def __init__(self, *, answers: bool = True) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.requests: list[Received] = []
        self.connections = 0
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def port(self) -> int:
        found: int = self._listener.getsockname()[1]
        return found

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            if self._answers:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            while request := read_request(reader):
                self.requests.append(request)
                connection.sendall(b"HTTP/1.1 204 No Content\r\nx-correlator: c\r\n\r\n")


@contextmanager
def upstream(tmp_path: Path, *, answers: bool = True, **changes: str) -> Iterator[tuple[Upstream, Proxy]]:
    recording = Upstream(answers=answers)
    try:
        with running(tmp_path / "nginx", recording.port, changes) as proxy:
            yield recording, proxy
    finally:
        recording.close()


def test_the_api_gets_the_path_as_it_was_sent_and_no_word_of_others(tmp_path: Path) -> None:
    path = f"{SUBSCRIPTIONS}//a%2Fb/%2e%2e/c/../d%41?x=%2F//y"
    given = [
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: evil.example",
        "X-Real-IP: 10.0.0.1",
        "Forwarded: for=10.0.0.1",
        "x_correlator: underscore",
        "TE: trailers",
        "Keep-Alive: 1",
        "Upgrade: h2c",
        "x-correlator: as-it-is",
        "Transfer-Encoding: chunked",
    ]
    with upstream(tmp_path) as (recording, proxy):
        request = head(f"POST {path} HTTP/1.1", *given) + b"5\r\nhello\r\n0\r\n\r\n"
        answer = parsed(proxy.exchange(request, proxy.public))
        assert answer.status_code == 204
        (received,) = recording.requests
    assert (received.method, received.path, received.body) == ("POST", path, b"hello")
    headers = {name.lower(): value for name, value in received.headers}
    assert headers == {"host": NAME, "content-length": "5", "x-correlator": "as-it-is"}
    assert len(received.headers) == 3


@pytest.mark.parametrize("version", [pycurl.CURL_HTTP_VERSION_1_1, pycurl.CURL_HTTP_VERSION_2TLS])
def test_the_api_gets_the_name_and_the_port_that_it_was_asked_under(tmp_path: Path, version: int) -> None:
    with upstream(tmp_path) as (recording, proxy):
        curl = pycurl.Curl()
        curl.setopt(pycurl.HTTP_VERSION, version)
        curl.setopt(pycurl.CAINFO, str(proxy.ca_file))
        for port, path in ((proxy.public, SUBSCRIPTIONS), (proxy.network, EVENTS)):
            curl.setopt(pycurl.URL, f"https://localhost:{port}{path}")
            curl.perform()
            assert curl.getinfo(pycurl.RESPONSE_CODE) == 204
            assert recording.requests[-1].header("host") == f"localhost:{port}"
        curl.close()


def test_connections_to_the_api_are_kept_for_less_than_the_api_keeps_them(tmp_path: Path) -> None:
    (kept_s,) = {int(found) for found in re.findall(r"^    keepalive_timeout (\d+)s;", FILE, re.MULTILINE)}
    assert kept_s < gunicorn_conf.keepalive
    # What other proxies have by default.
    assert gunicorn_conf.keepalive > 60
    with upstream(tmp_path) as (recording, proxy):
        for _ in range(3):
            proxy.exchange(head(f"GET {SUBSCRIPTIONS} HTTP/1.1"), proxy.public)
        assert len(recording.requests) == 3
        assert recording.connections == 1


@pytest.mark.parametrize("side", ["public", "network"])
def test_an_api_that_is_down_is_unavailable(tmp_path: Path, side: str) -> None:
    with running(tmp_path / "nginx", free_port()) as proxy:
        path, port = (SUBSCRIPTIONS, proxy.public) if side == "public" else (EVENTS, proxy.network)
        request = head(f"POST {path} HTTP/1.1", "x-correlator: c", "Content-Length: 0")
        answer = parsed(proxy.exchange(request, port))
        assert_error(answer, 503, "UNAVAILABLE")
        assert answer.headers["x-correlator"] == "c"
        eventually(lambda: "upstream=502" in proxy.access_log, "it is logged")


def test_an_api_that_hangs_is_unavailable(tmp_path: Path) -> None:
    shorter = {"proxy_read_timeout 30s": "proxy_read_timeout 1s"}
    with upstream(tmp_path, answers=False, **shorter) as (_, proxy):
        answer = parsed(proxy.exchange(head(f"GET {SUBSCRIPTIONS} HTTP/1.1"), proxy.public))
        assert_error(answer, 503, "UNAVAILABLE")


def test_only_the_networks_of_gateways_get_to_their_side(tmp_path: Path) -> None:
    with upstream(tmp_path, **{"allow 127.0.0.1;": ""}) as (recording, proxy):
        answer = parsed(proxy.exchange(head(f"POST {EVENTS} HTTP/1.1"), proxy.network))
        assert_error(answer, 403, "PERMISSION_DENIED")
        assert recording.connections == 0


def test_gateways_may_have_to_show_a_certificate(tmp_path: Path, document: Document) -> None:
    """The two lines that the document says to take the `#` from."""
    (lines,) = (what for what, to in document.table("TLS proxy") if "mutual TLS" in to)
    commented = [line.strip("`") for line in lines.split(", ")]
    gateways = trustme.CA()
    (tmp_path / "nginx").mkdir()
    gateways.cert_pem.write_to_path(str(tmp_path / "nginx" / "gateways-ca.pem"))
    request = head(f"POST {EVENTS} HTTP/1.1", "Content-Length: 0")
    with upstream(tmp_path, **{line: line.removeprefix("# ") for line in commented}) as (recording, proxy):
        for certificate in (None, trustme.CA().issue_cert("gateway")):
            answer = parsed(proxy.exchange(request, proxy.network, certificate=certificate))
            assert_error(answer, 400, "INVALID_ARGUMENT")
        assert recording.connections == 0
        known = gateways.issue_cert("gateway")
        assert parsed(proxy.exchange(request, proxy.network, certificate=known)).status_code == 204
        assert len(recording.requests) == 1
