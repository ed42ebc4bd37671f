"""The listener as Janus sees it, by libcurl as Janus uses it, and as hostile peers find it."""

import base64
import json
import os
import socket
from collections.abc import Callable, Iterator
from io import BytesIO

import pycurl
import pytest

from tests.gateways.janus.conftest import events_of, posts
from tests.harness.commands import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.janus.listener import JanusListener, ListenerOptions
from webrtc_events.gateways.journal import Journal

PASSWORD = "a password: with a colon"
MAX_BYTES = 1 << 20


@pytest.fixture
def options() -> ListenerOptions:
    return ListenerOptions(HostPort("127.0.0.1", 0), password=PASSWORD, max_bytes=MAX_BYTES)


@pytest.fixture
def listener(options: ListenerOptions, intake: Intake) -> Iterator[JanusListener]:
    listener = JanusListener(options, intake, SystemClock())
    listener.start()
    yield listener
    listener.stop()


def post(
    listener: JanusListener, body: bytes, user: str = "janus", password: str = PASSWORD
) -> tuple[int, int]:
    """As Janus does. libcurl's result, of which any but 0 makes Janus try again, and the status."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, listener.url)
    curl.setopt(pycurl.USERNAME, user)
    curl.setopt(pycurl.PASSWORD, password)
    curl.setopt(pycurl.HTTPHEADER, ["Content-Type: application/json"])
    curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.WRITEDATA, BytesIO())
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.TIMEOUT, 20)
    try:
        curl.perform()
        result = 0
    except pycurl.error as error:
        result = error.args[0]
    status = curl.getinfo(pycurl.RESPONSE_CODE)
    curl.close()
    return result, status


def batch() -> bytes:
    return json.dumps(posts()).encode()


def test_a_batch_is_answered_once_it_is_kept(listener: JanusListener, journal: Journal) -> None:
    assert post(listener, batch()) == (0, 200)
    kept = events_of(journal)
    assert post(listener, batch()) == (0, 200)
    assert events_of(journal) == kept != []


@pytest.mark.parametrize(("user", "password"), [("janus", "wrong"), ("other", PASSWORD), ("", "")])
def test_janus_tries_again_where_its_credentials_are_wrong(
    user: str, password: str, listener: JanusListener, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(listener, batch(), user, password) == (pycurl.E_PARTIAL_FILE, 401)
    assert events_of(journal) == []
    assert "a POST has other credentials" in caplog.text
    assert "wrong" not in caplog.text


def test_janus_tries_again_where_the_disk_is_full(
    listener: JanusListener, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")
    assert post(listener, batch()) == (pycurl.E_PARTIAL_FILE, 503)
    assert "a batch cannot be kept; Janus is to try again" in caplog.text
    journal._database.execute("PRAGMA max_page_count = 1000000")
    assert post(listener, batch()) == (0, 200)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"garbage", 400), (b"", 400), (b" " * (MAX_BYTES + 1), 413), (b" " * (50 << 20), 413)],
)
def test_what_can_never_be_taken_is_not_sent_again(body: bytes, status: int, listener: JanusListener) -> None:
    result, answered = post(listener, body)
    # Of a very large one the answer may come before all is sent, and libcurl ends with what it could send.
    assert answered == status or result in (pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR)
    assert post(listener, b"[]") == (0, 200)


def raw(listener: JanusListener, text: bytes, *, end: bool = True) -> bytes:
    port = int(listener.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(text)
        if end:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        return answer


AUTHORIZATION = b"Authorization: Basic " + base64.b64encode(f"janus:{PASSWORD}".encode()) + b"\r\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\n" + AUTHORIZATION + b"\r\n", b"411"),
        (b"POST / HTTP/1.1\r\n" + AUTHORIZATION + b"Content-Length: -1\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\n" + AUTHORIZATION + b"Content-Length: 1e3\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\n" + AUTHORIZATION + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (
            b"POST / HTTP/1.1\r\n" + AUTHORIZATION + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
            b"415",
        ),
        (b"POST / HTTP/1.1\r\nAuthorization: Basic ====\r\nContent-Length: 2\r\n\r\n[]", b"401"),
        (b"POST / HTTP/1.1\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n[]", b"401"),
        (b"POST / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"\x16\x03\x01" + os.urandom(100) + b"\r\n\r\n", b"400"),
    ],
)
def test_other_requests_are_refused(text: bytes, status: bytes, listener: JanusListener) -> None:
    assert status in raw(listener, text).split(b"\r\n")[0]
    assert post(listener, b"[]") == (0, 200)


def test_a_body_that_ends_too_early_is_not_taken(listener: JanusListener, journal: Journal) -> None:
    head = b"POST / HTTP/1.1\r\n" + AUTHORIZATION + b"Content-Length: %d\r\n\r\n" % len(batch())
    assert raw(listener, head + batch()[:-10]) == b""
    assert events_of(journal) == []


def test_connections_that_say_nothing_do_not_keep_janus_out(listener: JanusListener) -> None:
    port = int(listener.url.rstrip("/").rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    try:
        assert post(listener, b"[]") == (0, 200)
    finally:
        for connection in silent:
            connection.close()


def test_an_address_in_use_is_an_error(listener: JanusListener, intake: Intake) -> None:
    port = int(listener.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(CannotStart, match=r"--listen 127.0.0.1:.*in use"):
        JanusListener(ListenerOptions(HostPort("127.0.0.1", port)), intake, SystemClock())


def test_without_a_password_anybody_may_post(
    journal: Journal, make_intake: Callable[[Journal], Intake]
) -> None:
    listener = JanusListener(ListenerOptions(HostPort("127.0.0.1", 0)), make_intake(journal), SystemClock())
    listener.start()
    assert post(listener, batch(), "", "") == (0, 200)
    eventually(listener.is_alive)
    listener.stop()
    assert not listener.is_alive()


@pytest.mark.parametrize(
    ("host", "password", "is_open"),
    [("127.0.0.1", None, False), ("0.0.0.0", PASSWORD, False), ("0.0.0.0", None, True)],
)
def test_the_operator_reads_that_anybody_may_post(
    host: str, password: str | None, is_open: bool, intake: Intake
) -> None:
    listener = JanusListener(ListenerOptions(HostPort(host, 0), password=password), intake, SystemClock())
    assert ("there is no --password-file" in listener.description) is is_open
    listener.stop()
