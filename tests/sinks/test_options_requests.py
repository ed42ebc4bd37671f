"""OPTIONS requests, which ask a sink whether it agrees, and the permission in the answer."""

from collections.abc import Callable

import pytest

from tests.harness.authority import Authority
from tests.harness.http2_sink import Http2Sink
from tests.harness.sinks import Answer, Received, RecordingSink
from tests.sinks.exchanges import BODY, MakeSink, ask, failure, post, send, status
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply
from webrtc_events.sinks.addresses import AddressPolicy


def allowing(*headers: tuple[str, str]) -> Callable[[Received], Answer]:
    return lambda _: Answer(200, headers, body=b"words that nobody reads")


def allowed(reply: SinkReply) -> tuple[str | None, str | None]:
    assert isinstance(reply, SinkAnswer), reply
    return reply.allowed_origin, reply.allowed_rate


def test_a_question_is_options_without_a_body(server: RecordingSink, make: MakeSink) -> None:
    assert status(ask(make(), server.url_of("/a?b"))) == 204
    [received] = server.wait_for(1)
    assert (received.method, received.path, received.body) == ("OPTIONS", "/a?b", b"")
    assert {name for name, _ in received.headers} == {"Host", "User-Agent", "WebHook-Request-Origin"}


def test_questions_and_events_alternate_on_one_connection(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    server.answer = allowing(("webhook-allowed-origin", "*"))
    for _ in range(2):
        assert allowed(ask(sink, server.url)) == ("*", None)
        assert status(post(sink, server.url)) == 200
    assert [request.method for request in server.requests] == ["OPTIONS", "POST"] * 2
    assert [request.body for request in server.requests] == [b"", BODY] * 2
    assert server.connections == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            [("WebHook-Allowed-Origin", "here.example"), ("webhook-allowed-rate", "60")],
            ("here.example", "60"),
        ),
        ([("WEBHOOK-ALLOWED-ORIGIN", " \t*\t ")], ("*", None)),
        ([("webhook-allowed-origin", "a"), ("WebHook-Allowed-Origin", "b")], ("a, b", None)),
        ([("webhook-allowed-origin", "a"), ("webhook-allowed-origin", "a")], ("a, a", None)),
        ([("webhook-allowed-origin", "")], ("", None)),
        ([("webhook-allowed-origin ", "a")], (None, None)),
        ([("webhook-allowed-originator", "a"), ("x-webhook-allowed-origin", "a")], (None, None)),
        ([("webhook-allowed-origin", "\xa0a\x85")], ("\xa0a\x85", None)),
        ([("webhook-allowed-rate", "7"), ("webhook-allowed-rate", "8")], (None, "7, 8")),
        ([("webhook-allowed-origin", "a" * 5_000)], ("a" * 300, None)),
        ([("webhook-allowed-origin", "a" * 200)] * 20, (("a" * 200 + ", " + "a" * 200)[:300], None)),
    ],
)
def test_the_permission_is_handed_on_as_it_was_written(
    server: RecordingSink,
    make: MakeSink,
    headers: list[tuple[str, str]],
    expected: tuple[str | None, str | None],
) -> None:
    server.answer = allowing(*headers)
    assert allowed(ask(make(), server.url)) == expected


def test_a_permission_may_come_by_http2(authority: Authority, make: MakeSink) -> None:
    sink = make()
    with Http2Sink(authority, headers=(("webhook-allowed-origin", "*"),)) as http2:
        assert allowed(ask(sink, http2.url)) == ("*", None)
        assert status(post(sink, http2.url)) == 204
        assert http2.connections == 1


PERMITS = b"webhook-allowed-origin: *\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 103 X\r\n", PERMITS, b"\r\nHTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n"),
        (b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n0\r\n", PERMITS, b"\r\n"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 27\r\n\r\n", PERMITS),
        (b"HTTP/1.1 200 X\r\ncontent-length: 0\r\nx-other: a\r\n ", PERMITS, b"\r\n"),
    ],
    ids=["interim answer", "trailer", "body", "folded line"],
)
def test_only_the_head_of_the_final_answer_permits(
    server: RecordingSink, make: MakeSink, parts: tuple[bytes, ...]
) -> None:
    server.raw = send(*parts)
    reply = ask(make(), server.url)
    assert isinstance(reply, SinkFailure) or allowed(reply) == (None, None)


@pytest.mark.parametrize(
    ("remainder", "reason"),
    [(b"x-head-ends: he", "connect"), (b"x-long: " + b"y" * 20_000 + b"\r\n\r\n", "too_large")],
    ids=["head cut off", "large head"],
)
def test_half_a_head_permits_nothing(
    server: RecordingSink, make: MakeSink, remainder: bytes, reason: str
) -> None:
    server.raw = send(b"HTTP/1.1 200 X\r\n", PERMITS, remainder)
    assert failure(ask(make(), server.url)) == reason


def test_a_redirect_of_a_question_is_not_followed(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(
        307, (("location", server.url_of("/b")), ("webhook-allowed-origin", "*"))
    )
    assert status(ask(make(), server.url)) == 307
    assert len(server.requests) == 1


def test_a_refused_address_is_not_asked_either(server: RecordingSink, make: MakeSink) -> None:
    assert failure(ask(make(policy=AddressPolicy()), server.url)) == "address_refused"
    assert server.connections == 0


def test_a_permission_does_not_stay_for_the_next_answer(server: RecordingSink, make: MakeSink) -> None:
    sink = make()
    server.answer = allowing(("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "5"))
    assert allowed(ask(sink, server.url)) == ("*", "5")
    server.answer = allowing()
    assert allowed(ask(sink, server.url)) == (None, None)
