"""Requests whose answer's body is asked for: it comes whole or not at all, and no other is kept."""

import pytest

from tests.harness.sinks import Answer, RecordingSink
from tests.sinks.exchanges import BODY, HASTY, MakeSink, collect, post
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.client_assertions import audiences_by_uri
from webrtc_events.sinks.token_answers import IssuedToken, TokenFailure, read_token

TOKEN = b'{"access_token": "abc", "token_type": "Bearer", "expires_in": 300}'


def ask(sink: SinkClient[int], url: str) -> SinkReply:
    sink.submit(1, SinkRequest(url, (), BODY, reads_body=True))
    return collect(sink, 1)[1]


def body_of(reply: SinkReply) -> bytes:
    assert isinstance(reply, SinkAnswer), reply
    return reply.body


def test_a_body_that_is_asked_for_is_there_and_the_next_answer_has_none(
    server: RecordingSink, make: MakeSink
) -> None:
    """One handle for both, as they are kept."""
    server.answer = lambda _: Answer(200, body=TOKEN)
    sink = make()
    assert body_of(ask(sink, server.url)) == TOKEN
    assert body_of(post(sink, server.url)) == b""
    assert body_of(ask(sink, server.url)) == TOKEN
    assert server.connections == 1


def test_a_body_may_be_as_large_as_any_and_no_larger(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(200, body=b"x" * 65_536)
    assert len(body_of(ask(make(), server.url))) == 65_536
    server.answer = lambda _: Answer(200, body=b"x" * 65_537)
    reply = ask(make(), server.url)
    assert isinstance(reply, SinkFailure)
    assert reply.reason == "too_large"


def test_a_body_that_does_not_end_is_no_answer(server: RecordingSink, make: MakeSink) -> None:
    """That of a notification would be: there the status has said it all."""

    def drip(connection: object) -> None:
        connection.recv(65_536)  # type: ignore[attr-defined]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")  # type: ignore[attr-defined]
        server.closing.wait(10)

    server.raw = drip
    reply = ask(make(limits=HASTY), server.url)
    assert isinstance(reply, SinkFailure)
    assert reply.reason == "timeout"


def test_no_redirect_is_followed(server: RecordingSink, make: MakeSink) -> None:
    server.answer = lambda _: Answer(307, (("location", server.url_of("/elsewhere")),))
    reply = ask(make(), server.url)
    assert isinstance(reply, SinkAnswer)
    assert reply.status == 307
    assert len(server.requests) == 1


def test_no_text_of_an_answer_shows_its_body() -> None:
    assert "abc" not in repr(SinkAnswer(200, None, 5, body=TOKEN))
    assert "abc" not in repr(read_token(SinkAnswer(200, None, 5, body=TOKEN), 0.0))


def token(members: str) -> IssuedToken | TokenFailure:
    body = b'{"access_token": "abc", "token_type": "bearer"' + members.encode() + b"}"
    return read_token(SinkAnswer(200, None, 5, body=body), 0.0)


@pytest.mark.parametrize(
    ("members", "life_s"),
    [
        ("", 60.0),
        (', "expires_in": null', 60.0),
        (', "expires_in": 300', 300.0),
        (', "expires_in": 0.5', 0.5),
        (', "expires_in": "3600"', 3600.0),
        (', "expires_in": 1e300', 86_400.0),
        (f', "expires_in": {10**400}', 86_400.0),
        (', "expires_in": 31536000, "scope": "a b", "refresh_token": "r"', 86_400.0),
    ],
)
def test_how_long_a_token_lives(members: str, life_s: float) -> None:
    assert token(members) == IssuedToken("abc", life_s)


@pytest.mark.parametrize("life", ["-1", "0", "-0.0", '"-1"', '"1e3"', '""', "true", "[60]", '"١"'])
def test_a_life_that_makes_no_sense(life: str) -> None:
    found = token(f', "expires_in": {life}')
    assert isinstance(found, TokenFailure)
    assert found.reason == "token_refused"


@pytest.mark.parametrize(
    ("reply", "reason", "detail", "pause_s"),
    [
        (
            SinkAnswer(400, None, 5, body=b'{"error": "invalid_client"}'),
            "token_refused",
            "the token server answered 400 invalid_client",
            0.0,
        ),
        (SinkAnswer(503, "7", 5), "token_unavailable", "the token server answered 503", 7.0),
        (SinkAnswer(429, "x", 5), "token_unavailable", "the token server answered 429", 0.0),
        (
            SinkAnswer(401, None, 5, body=b'{"error": "It is Bob who asked"}'),
            "token_refused",
            "the token server answered 401",
            0.0,
        ),
        (SinkAnswer(201, None, 5, body=TOKEN), "token_refused", "the token server answered 201", 0.0),
        (
            SinkFailure("dns", "no such name", 5),
            "token_unavailable",
            "the token server does not answer: dns: no such name",
            0.0,
        ),
        (
            SinkFailure("proxy", "refused", 5),
            "proxy",
            "the token server does not answer: proxy: refused",
            0.0,
        ),
    ],
)
def test_a_failure_says_what_it_is(reply: SinkReply, reason: str, detail: str, pause_s: float) -> None:
    assert read_token(reply, 0.0) == TokenFailure(reason, detail, pause_s)


def test_an_audience_is_found_however_its_uri_is_written() -> None:
    named = [
        ("https://AS.Example:443/Token", "a"),
        ("https://as.example/token?x", "b"),
        ("https://10.0.0.1/token", "no subscription may name it"),
    ]
    expected = {"https://as.example/Token": "a", "https://as.example/token?x": "b"}
    assert audiences_by_uri(named, AddressPolicy()) == expected
