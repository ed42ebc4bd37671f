"""The sink as it behaves when somebody wants it to fail, over HTTPS. Each test has another path."""

import json
import socket
import ssl
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from http.client import HTTPSConnection, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.harness.commands import Running, eventually
from tests.local.notifications import MEDIA_TYPE, notification, received, sink_url, untrusted_url
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.local_error import UnreachableError

_ASKING = {"WebHook-Request-Origin": "events.operator.example"}


class Sink:
    """The sink for one test: sets behaviours at its path and posts to it."""

    def __init__(self, client: HttpClient, url: str, path: str, ca: Path) -> None:
        self.client = client
        self.url = url
        self.path = path
        self._ca = ca

    def set(self, answer: int | str, *, below: str = "", **members: Any) -> dict[str, Any]:
        address = f"{self.url}/_behaviours{self.path}{below}"
        found: dict[str, Any] = self.client.expect(
            {200}, "PUT", address, json={"answer": answer, **members}
        ).json()
        return found

    def is_set(self) -> list[dict[str, Any]]:
        """Of this test's paths."""
        found = self.client.expect({200}, "GET", f"{self.url}/_behaviours").json()
        return [behaviour for behaviour in found if behaviour["path"].startswith(self.path)]

    def post(self, below: str = "", body: bytes | None = None) -> requests.Response:
        return self.client.request(
            "POST", f"{self.url}{self.path}{below}", data=body or notification(), headers=MEDIA_TYPE
        )

    def ask(self) -> requests.Response:
        return self.client.request("OPTIONS", f"{self.url}{self.path}", headers=_ASKING)

    def answered(self) -> list[int | str]:
        return [item["answered"] for item in received(self.client, self.url, self.path)]

    def connection(self, *, timeout_s: float = 30) -> HTTPSConnection:
        where = urlsplit(self.url)
        assert where.hostname
        context = ssl.create_default_context(cafile=str(self._ca))
        return HTTPSConnection(where.hostname, where.port, timeout=timeout_s, context=context)

    def begin(self, connection: HTTPSConnection) -> None:
        """Posts, without waiting for the answer."""
        connection.request("POST", self.path, notification(), MEDIA_TYPE)


@pytest.fixture
def at_path(sink_client: HttpClient, url: str, path: str, data: Path) -> Sink:
    return Sink(sink_client, url, path, data / "ca" / "ca.pem")


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 404, 410, 418, 500, 503, 599])
def test_any_status_is_answered_and_the_notification_is_validated_and_shown(
    at_path: Sink, status: int
) -> None:
    at_path.set(status)
    for body, fault in ((notification(), False), (notification(data={}), True)):
        answer = at_path.post(body=body)
        assert answer.status_code == status
        assert (answer.json()["status"] == status) if status >= 400 else answer.content == b""
        shown = received(at_path.client, at_path.url, at_path.path)[-1]
        assert (shown["answered"], shown["fault"] is not None) == (status, fault)
        assert answer.headers["x-correlator"] == "c-1"


def test_verdict_is_answered_and_shown_without_a_behaviour(at_path: Sink) -> None:
    assert at_path.post().status_code == 204
    assert at_path.post(body=b"{}").status_code == 400
    assert at_path.answered() == [204, 400]


def test_429_names_a_time(at_path: Sink) -> None:
    at_path.set(429, retryAfter=7)
    answer = at_path.post()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_it_recovers_after_its_count(at_path: Sink) -> None:
    at_path.set(500, count=2)
    assert [at_path.post().status_code for _ in range(3)] == [500, 500, 204]
    assert at_path.answered() == [500, 500, 204]
    assert at_path.is_set() == []


def test_count_of_requests_at_once_is_exact(at_path: Sink) -> None:
    at_path.set(500, count=20)
    statuses: list[int] = []

    def post() -> None:
        with closing(at_path.connection()) as connection:
            at_path.begin(connection)
            statuses.append(connection.getresponse().status)

    posting = [threading.Thread(target=post) for _ in range(30)]
    for thread in posting:
        thread.start()
    for thread in posting:
        thread.join()
    assert sorted(statuses) == [204] * 10 + [500] * 20


def test_longest_path_decides(at_path: Sink) -> None:
    at_path.set(500)
    at_path.set(410, below="/a/")
    statuses = [at_path.post(below).status_code for below in ("", "/", "/b", "/a", "/a/c", "/ab")]
    assert statuses == [500, 500, 500, 410, 410, 500]
    assert (
        at_path.client.request(
            "POST", f"{at_path.url}{at_path.path}x", data=notification(), headers=MEDIA_TYPE
        ).status_code
        == 204
    )


def test_behaviour_is_shown_replaced_and_removed(at_path: Sink) -> None:
    first = at_path.set(503, retryAfter=5, count=3, handshake=True)
    assert first == {
        "path": at_path.path,
        "answer": 503,
        "retryAfter": 5,
        "count": 3,
        "handshake": True,
    }
    assert at_path.is_set() == [first]
    second = at_path.set("drop")
    assert at_path.is_set() == [second]
    address = f"{at_path.url}/_behaviours{at_path.path}"
    at_path.client.expect({204}, "DELETE", address)
    at_path.client.expect({404}, "DELETE", address)
    assert at_path.post().status_code == 204


def test_path_may_have_any_characters(at_path: Sink) -> None:
    found = at_path.set(500, below="/ä b/%2Fc")
    assert found["path"] == f"{at_path.path}/ä b//c"
    assert at_path.post("/ä b/%2Fc").status_code == 500
    at_path.client.expect({204}, "DELETE", f"{at_path.url}/_behaviours{at_path.path}/ä b/%2Fc")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{}", "answer"),
        (b"[]", "JSON object"),
        (b"{", "could not understand"),
        (b'{"answer": 199}', "answer"),
        (b'{"answer": 600}', "answer"),
        (b'{"answer": true}', "answer"),
        (b'{"answer": "explode"}', "answer"),
        (b'{"answer": "hang", "retryAfter": 1}', "retryAfter"),
        (b'{"answer": 429, "retryAfter": -1}', "retryAfter"),
        (b'{"answer": 500, "count": 0}', "count"),
        (b'{"answer": 500, "count": 1.5}', "count"),
        (b'{"answer": 500, "handshake": "on"}', "handshake"),
        (b'{"answer": 500, "retry_after": 1}', "retryAfter"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(at_path: Sink, body: bytes, named: str) -> None:
    answer = at_path.client.expect({400}, "PUT", f"{at_path.url}/_behaviours{at_path.path}", data=body).json()
    assert answer["code"] == "INVALID_ARGUMENT"
    assert named in answer["message"]
    assert at_path.is_set() == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_another_site_changes_nothing(at_path: Sink, method: str, headers: dict[str, str]) -> None:
    set_before = at_path.set(500)
    for address in (f"/_behaviours{at_path.path}", *(["/_behaviours"] if method == "DELETE" else [])):
        refused = at_path.client.expect(
            {403}, method, f"{at_path.url}{address}", json={"answer": 204}, headers=headers
        ).json()
        assert refused["code"] == "PERMISSION_DENIED"
    assert at_path.is_set() == [set_before]


def test_handshake_is_agreed_to_unless_the_behaviour_is_for_it_too(at_path: Sink) -> None:
    at_path.set(500, count=2)
    agreed = at_path.ask()
    assert (agreed.status_code, agreed.headers["WebHook-Allowed-Origin"]) == (204, "events.operator.example")
    assert at_path.is_set()[0]["count"] == 2
    at_path.set(500, count=2, handshake=True)
    assert at_path.ask().status_code == 500
    assert at_path.is_set()[0]["count"] == 1
    # A status alone is no consent.
    at_path.set(204, handshake=True)
    refused = at_path.ask()
    assert (refused.status_code, "WebHook-Allowed-Origin" in refused.headers) == (204, False)


def test_dropped_request_has_no_answer(at_path: Sink) -> None:
    at_path.set("drop", count=1)
    with closing(at_path.connection()) as connection:
        at_path.begin(connection)
        with pytest.raises((RemoteDisconnected, ssl.SSLEOFError, ConnectionResetError)):
            connection.getresponse()
    assert at_path.answered() == ["drop"]
    assert at_path.post().status_code == 204


def test_requests_that_hang_hold_up_nothing(at_path: Sink) -> None:
    at_path.set("hang")
    # Several times the threads that notifications have.
    hanging = [at_path.connection() for _ in range(40)]
    for connection in hanging:
        at_path.begin(connection)
    eventually(lambda: len(at_path.answered()) == 40)
    at_path.client.expect({204}, "DELETE", f"{at_path.url}/_behaviours{at_path.path}")
    assert at_path.post().status_code == 204
    assert at_path.answered() == ["hang"] * 40 + [204]
    for connection in hanging:
        assert connection.sock is not None
        connection.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1)
        connection.close()


def test_answer_that_drips_comes_byte_by_byte(at_path: Sink) -> None:
    at_path.set("drip", count=1)
    with closing(at_path.connection()) as connection:
        at_path.begin(connection)
        assert connection.sock is not None
        assert [connection.sock.recv(100) for _ in range(3)] == [b"H", b"T", b"T"]
    assert at_path.answered() == ["drip"]
    assert at_path.post().status_code == 204


def test_connection_is_used_again_after_a_status(at_path: Sink) -> None:
    at_path.set(500, count=1)
    with closing(at_path.connection()) as connection:
        for status in (500, 204):
            at_path.begin(connection)
            response = connection.getresponse()
            response.read()
            assert response.status == status


def test_untrusted_address_is_the_same_sink(sink: Running, at_path: Sink, data: Path) -> None:
    address = untrusted_url(sink)
    with pytest.raises(UnreachableError, match="not trusted"):
        at_path.client.request("POST", f"{address}{at_path.path}", data=notification(), headers=MEDIA_TYPE)
    trusting = HttpClient(ca=data / "ca" / "untrusted.pem")
    with closing(trusting):
        trusting.expect({204}, "POST", f"{address}{at_path.path}", data=notification(), headers=MEDIA_TYPE)
    assert at_path.answered() == [204]
    assert address in at_path.client.expect({200}, "GET", f"{at_path.url}/").text


def test_untrusted_address_is_on_the_next_port_where_that_is_free(
    start: Callable[..., Running], data: Path
) -> None:
    port = _free_ports(3) + 1
    sink = start("sink", "--port", str(port), "--data-dir", str(data))
    sink.await_output("Its certificate on")
    assert (sink_url(sink), untrusted_url(sink)) == (
        f"https://localhost:{port}",
        f"https://localhost:{port + 1}",
    )
    # The next one has neither port of the first; its untrusted one is taken.
    other = start("sink", "--port", str(port - 1), "--data-dir", str(data))
    other.await_output("Its certificate on")
    assert untrusted_url(other) not in {sink_url(sink), untrusted_url(sink)}


def _free_ports(count: int) -> int:
    """The first of `count` neighbours that nobody uses at this moment."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            try:
                for offset in range(1, count):
                    stack.enter_context(socket.create_server(("127.0.0.1", first + offset)))
            except OSError:
                continue
            return int(first)


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_sink_stops_at_once_while_requests_are_held(
    start: Callable[..., Running], data: Path, sink_client: HttpClient, answer: str
) -> None:
    running = start("sink", "--port", "0", "--data-dir", str(data))
    running.await_output("Its certificate on")
    sink = Sink(sink_client, sink_url(running), "/held", data / "ca" / "ca.pem")
    sink.set(answer)
    held = [sink.connection() for _ in range(5)]
    for connection in held:
        sink.begin(connection)
    eventually(lambda: len(sink.answered()) == 5)
    clock = SystemClock()
    started = clock.monotonic()
    assert running.stop() == 0
    # Requests under way have five seconds.
    assert clock.monotonic() - started < 4
    assert "Traceback" not in running.output
    for connection in held:
        connection.close()


def test_terminal_says_what_was_answered(sink: Running, at_path: Sink) -> None:
    at_path.set(410)
    identity = str(uuid.uuid4())
    at_path.post(body=notification(data={"subscriptionId": identity, "terminationReason": "BORED"}))
    (line,) = [line for line in sink.output.splitlines() if identity in line]
    assert "INVALID: data.terminationReason" in line
    assert line.endswith("(answered 410)")


def test_page_gets_what_is_set_with_its_rows(at_path: Sink) -> None:
    found = at_path.set(500)
    at_path.post()
    shown = at_path.client.expect({200}, "GET", f"{at_path.url}/_inbox/rows").json()
    assert found in shown["behaviours"]
    (row,) = [row for row in shown["rows"] if row["path"] == at_path.path]
    assert (row["answered"], row["behaved"]) == (500, True)
    assert json.dumps(row)
