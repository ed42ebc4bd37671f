"""Answers of proxies, of broken services, and of those who want the token."""

import gzip
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from webrtc_events_client.client import NO_RETRIES, errors

from .service import REQUEST, RESOURCE, Reply, Service, error

HTML = b"<html><body>Log in to this hotel's network</body></html>"


@pytest.fixture
def other() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.mark.parametrize("body", [HTML, b"", b"{", b"null", b"[]", b'{"id": 5}', b"\xff\xfe", b"[" * 100_000])
def test_a_success_that_is_not_the_contracts(client: Any, service: Service, body: bytes) -> None:
    service.answers(Reply(200, body=body, headers={"Content-Type": "text/html"}))
    with pytest.raises(errors.UnexpectedAnswer) as raised:
        client.get("s-11")
    assert raised.value.status == 200
    assert "hotel" not in str(raised.value)
    assert len(service.requests) == 1


def test_json_that_is_nested_too_deeply_is_refused(client: Any, service: Service) -> None:
    service.answers(Reply(200, body=b'{"x":' + b"[" * 100_000))
    with pytest.raises(errors.UnexpectedAnswer, match="recursion"):
        client.get("s-11")
    service.answers(Reply(200, body=b"[" * 100_000))
    with pytest.raises(errors.UnexpectedAnswer, match="recursion"):
        list(client.iterate())
    service.answers(Reply(404, body=b'{"x":' + b"[" * 100_000))
    with pytest.raises(errors.NotFound):
        client.get("s-11")


def test_a_list_with_an_entry_that_is_none_gives_those_before_it(client: Any, service: Service) -> None:
    service.answers(Reply(200, [RESOURCE, {"id": 5}]))
    with pytest.raises(errors.UnexpectedAnswer):
        client.list()
    with pytest.raises(errors.UnexpectedAnswer, match="id"):
        list(client.iterate())


@pytest.mark.parametrize("body", [b"", HTML, b'{"code": 5}', b'"text"'])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidArgument),
        (401, errors.Unauthenticated),
        (404, errors.NotFound),
        (410, errors.ApiError),
        (413, errors.ContentTooLarge),
        (429, errors.TooManyRequests),
        (500, errors.Internal),
        (503, errors.Unavailable),
        (599, errors.ServerError),
    ],
)
def test_an_error_without_an_error_info_is_judged_by_its_status(
    make: Callable[..., Any], service: Service, status: int, kind: type[errors.ApiError], body: bytes
) -> None:
    service.answers(Reply(status, body=body, headers={"x-correlator": "theirs"}))
    with pytest.raises(kind) as raised:
        make(service.url, policy=NO_RETRIES).get("s-11")
    assert type(raised.value) is kind
    assert (raised.value.status, raised.value.code, raised.value.correlator) == (status, "", "theirs")
    assert "hotel" not in str(raised.value)


def test_a_code_that_is_not_known_is_kept(client: Any, service: Service) -> None:
    service.answers(error(403, "OF_TOMORROW"))
    with pytest.raises(errors.PermissionDenied) as raised:
        client.get("s-11")
    assert type(raised.value) is errors.PermissionDenied
    assert raised.value.code == "OF_TOMORROW"


def test_a_code_at_another_status_does_not_lie(client: Any, service: Service) -> None:
    service.answers(error(400, "NOT_FOUND"))
    with pytest.raises(errors.InvalidArgument):
        client.delete("s-11")


def test_what_others_wrote_is_one_bounded_line(client: Any, service: Service) -> None:
    service.answers(
        Reply(400, {"status": 400, "code": "A\nB" * 999, "message": "line\r\nfeed\x1b[2J" + "x" * 10_000})
    )
    with pytest.raises(errors.InvalidArgument) as raised:
        client.get("s-11")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_token_follows_a_redirect(client: Any, service: Service, other: Service, status: int) -> None:
    service.answers(Reply(status, headers={"Location": other.url + "/webrtc-events/v0.2/subscriptions"}))
    for call in (lambda: client.get("s-11"), lambda: client.create(REQUEST), lambda: client.delete("s-11")):
        with pytest.raises(errors.UnexpectedAnswer, match="redirect"):
            call()
    assert other.requests == []


def test_an_answer_larger_than_the_bound_is_not_read(make: Callable[..., Any], service: Service) -> None:
    service.answers(Reply(200, body=b" " * 2_000_000))
    with pytest.raises(errors.UnexpectedAnswer, match="more than 1000 bytes"):
        make(service.url, max_answer_bytes=1000).list()
    assert make(service.url, max_answer_bytes=3_000_000)
    # The connection of the other answer is not used again.
    service.answers(Reply(200, RESOURCE))
    assert make(service.url, max_answer_bytes=1000).get("s-11").id == "s-11"


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"\x00" * 64,
    ],
)
def test_what_is_no_http_is_a_lost_answer(make: Callable[..., Any], service: Service, raw: bytes) -> None:
    service.answers(Reply(raw=raw))
    with pytest.raises(errors.AnswerLost):
        make(service.url, policy=NO_RETRIES).get("s-11")


def test_an_answer_that_is_compressed_unasked_does_not_grow(client: Any, service: Service) -> None:
    service.answers(Reply(200, body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"}))
    with pytest.raises(errors.UnexpectedAnswer):
        client.list()
    assert service.requests[0].headers["accept-encoding"] == "identity"


def test_a_service_that_says_nothing_is_left(make: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(errors.AnswerLost, match="ReadTimeout"):
            make(url, policy=NO_RETRIES, timeout_s=0.2).get("s-11")


def test_neither_log_nor_error_nor_traceback_shows_a_token(
    client: Any, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.answers(Reply(lost=True), error(503, "UNAVAILABLE"), Reply(200, body=HTML))
    with pytest.raises(errors.ClientError) as raised:
        client.get("s-11")
    shown = caplog.text + "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert "again in" in caplog.text
    assert "t0ken" not in shown
