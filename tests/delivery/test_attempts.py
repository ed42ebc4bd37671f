"""What the line of a failed attempt says: the cause, whatever the sink is, and nothing that a sink made up.

docs/delivery-policy.md tells operators what the words mean; its table is read here, row by row.
"""

import json
import logging
import re
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.conftest import everything
from tests.delivery.conftest import LIMITS, DispatcherDriver
from tests.harness.authority import Authority, self_signed
from tests.harness.builders import append, created, created_with_token, invitation
from tests.harness.documents import Document
from tests.harness.http2_sink import Http2Sink, refuse_stream
from tests.harness.sinks import Answer, RecordingSink, plain_listener, read_request
from webrtc_events.cli.dead_letter_text import as_text, in_full
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_masking import Masking, mask_logs
from webrtc_events.core.settings import Settings
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]
# A machine that is busy is no cause that is looked for here.
PATIENT = SinkLimits()
# A sink's address may hold a secret.
SECRET = "s3cret-of-the-url"
SINK_TOKEN = "t0ken-of-the-sink"
PATH = f"/hook/{SECRET}?token={SECRET}"

WORDS = Document("delivery-policy.md").table("What a failure's words mean")


class Causes:
    """Sinks that fail, one way each: their URLs, for as long as the block lasts."""

    def __init__(self, authority: Authority, directory: Path) -> None:
        self._authority = authority
        self._directory = directory

    @contextmanager
    def untrusted(self) -> Iterator[str]:
        with closing(Authority()) as other, RecordingSink(authority=other) as sink:
            yield sink.url_of(PATH)

    @contextmanager
    def self_signed(self) -> Iterator[str]:
        with RecordingSink(authority=self._authority) as sink:
            sink.use(self_signed(self._directory / "own.pem", "localhost", "localhost"))
            yield sink.url_of(PATH)

    @contextmanager
    def other_name(self) -> Iterator[str]:
        with RecordingSink(authority=self._authority, names=["example.com"]) as sink:
            yield sink.url_of(PATH)

    @contextmanager
    def expired(self) -> Iterator[str]:
        ago = datetime(2020, 1, 1, tzinfo=UTC)
        with RecordingSink(authority=self._authority, names=["localhost"], not_after=ago) as sink:
            yield sink.url_of(PATH)

    @contextmanager
    def old_tls(self) -> Iterator[str]:
        with RecordingSink(authority=self._authority) as sink:
            with pytest.warns(DeprecationWarning, match="TLSv1_1"):
                sink.use(self._authority.old_context("localhost"))
            yield sink.url_of(PATH)

    @contextmanager
    def no_tls(self) -> Iterator[str]:
        with plain_listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            yield f"https://localhost:{port}{PATH}"

    @contextmanager
    def nobody(self) -> Iterator[str]:
        with closing(socket.socket()) as reserved:
            # Bound, so that nobody else gets the port, and not listening.
            reserved.bind(("127.0.0.1", 0))
            yield f"https://127.0.0.1:{reserved.getsockname()[1]}{PATH}"

    @contextmanager
    def reset(self) -> Iterator[str]:
        """In the middle of its answer."""

        def hang_up(connection: ssl.SSLSocket) -> None:
            with connection.makefile("rb") as reader:
                read_request(reader)
            connection.sendall(b"HTTP/1.1 2")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        with RecordingSink(authority=self._authority, raw=hang_up) as sink:
            yield sink.url_of(PATH)

    @contextmanager
    def closed(self) -> Iterator[str]:
        def leave(connection: ssl.SSLSocket) -> None:
            with connection.makefile("rb") as reader:
                read_request(reader)

        with RecordingSink(authority=self._authority, raw=leave) as sink:
            yield sink.url_of(PATH)

    @contextmanager
    def deaf(self) -> Iterator[str]:
        """Takes connections, and does no handshake."""
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}{PATH}"

    @contextmanager
    def refusing(self) -> Iterator[str]:
        with Http2Sink(self._authority, act=refuse_stream) as sink:
            yield f"{sink.url}hook"

    @contextmanager
    def unresponsive(self) -> Iterator[str]:
        with RecordingSink(authority=self._authority, answer=lambda _: Answer(never=True)) as sink:
            yield sink.url_of(PATH)

    @contextmanager
    def nameless(self) -> Iterator[str]:
        yield f"https://no-such-name.invalid{PATH}"

    @contextmanager
    def private(self) -> Iterator[str]:
        yield f"https://10.1.2.3{PATH}"

    @contextmanager
    def no_http(self) -> Iterator[str]:
        def greet(connection: ssl.SSLSocket) -> None:
            with connection.makefile("rb") as reader:
                read_request(reader)
            connection.sendall(b"220 mail.example ready\r\n")

        with RecordingSink(authority=self._authority, raw=greet) as sink:
            yield sink.url_of(PATH)


# By the reason and some of the words, as the table of docs/delivery-policy.md has them.
CAUSES: dict[tuple[str, str], Callable[[Causes], Any]] = {
    ("tls", "unable to get local issuer certificate"): Causes.untrusted,
    ("tls", "self-signed certificate"): Causes.self_signed,
    ("tls", "no alternative certificate subject name matches"): Causes.other_name,
    ("tls", "certificate has expired"): Causes.expired,
    ("tls", "alert protocol version"): Causes.old_tls,
    ("tls", "wrong version number"): Causes.no_tls,
    ("connect", "Connection refused"): Causes.nobody,
    ("connect", "Connection reset by peer"): Causes.reset,
    ("connect", "unexpected eof while reading"): Causes.closed,
    ("connect", "refused the request, before an answer"): Causes.refusing,
    ("timeout", "Connection timed out"): Causes.deaf,
    ("timeout", "Operation timed out"): Causes.unresponsive,
    ("dns", "Name or service not known"): Causes.nameless,
    ("address_refused", "is not an address that sinks may have"): Causes.private,
    ("protocol", "Received HTTP/0.9"): Causes.no_http,
}


def test_the_documentation_tells_what_the_words_of_each_mean() -> None:
    documented = {(reason.strip("`"), words.strip("`")) for reason, words, *_ in WORDS}
    assert documented == CAUSES.keys()


@pytest.fixture
def causes(sink: RecordingSink, tmp_path: Path) -> Causes:
    """Dispatchers trust the CA of `sink`."""
    return Causes(sink.authority, tmp_path)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    """The attempts that were logged, each line taken apart as name=value."""
    found = []
    for record in caplog.records:
        if record.getMessage().startswith("attempt "):
            text = record.getMessage().removeprefix("attempt ")
            assert re.fullmatch(r'(?:\w+=(?:"[^"]*"|[^\s"]*)(?: |$))*', text), text
            pairs = re.findall(r'(\w+)=("[^"]*"|[^\s"]*)', text)
            assert len(dict(pairs)) == len(pairs), text
            found.append({name: value.strip('"') for name, value in pairs})
    return found


def attempted(
    driver: DispatcherDriver, caplog: pytest.LogCaptureFixture, rounds: int = 2_000
) -> dict[str, str]:
    """The line of the first attempt."""
    for _ in range(rounds):
        driver.dispatcher.step()
        if found := lines(caplog):
            return found[0]
    raise AssertionError("no attempt was made")


@pytest.mark.parametrize("origin", [None, "events.operator.example"], ids=["event", "handshake"])
@pytest.mark.parametrize(("reason", "words"), CAUSES, ids=[cause.__name__ for cause in CAUSES.values()])
def test_a_failed_attempt_says_why(
    causes: Causes,
    store: Store,
    settings: Settings,
    make_driver: Make,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    reason: str,
    words: str,
    origin: str | None,
) -> None:
    caplog.set_level(logging.INFO)
    with CAUSES[reason, words](causes) as url:
        created_with_token(store, settings, sink=url, token=SINK_TOKEN, origin=origin)
        append(store, invitation(1))
        line = attempted(make_driver(limits=LIMITS if reason == "timeout" else PATIENT), caplog)
    assert line["type"] == ("session-invitation" if origin is None else "handshake")
    assert (line["outcome"], line["reason"], line["status"]) == ("retry", reason, "None")
    assert words in line["detail"]
    # It is kept as well, and neither tells what the request carried, nor to which path it went.
    kept = [json.loads(fields["attempt"]) for _, fields in raw_store.xrange(P.attempts)]
    assert {attempt["detail"] for attempt in kept} >= {line["detail"]}
    assert not any(secret in caplog.text + repr(kept) for secret in (SECRET, SINK_TOKEN, "/hook"))


def test_an_event_that_arrived_has_a_line_as_short_as_ever(
    store: Store, sink: RecordingSink, make_driver: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    created(store, sink=sink.url)
    append(store, invitation(1))
    make_driver().run()
    ((line),) = lines(caplog)
    assert list(line) == [
        *("event", "type", "attempt", "outcome", "reason", "status", "ms", "at", "host", "correlator")
    ]
    assert (line["outcome"], line["reason"], line["status"]) == ("delivered", "", "204")


@pytest.mark.parametrize(("status", "reason"), [(500, "http_500"), (400, "refused")])
def test_an_answer_that_is_no_success_keeps_its_line_in_order(
    store: Store,
    sink: RecordingSink,
    make_driver: Make,
    caplog: pytest.LogCaptureFixture,
    status: int,
    reason: str,
) -> None:
    caplog.set_level(logging.INFO)
    sink.answer = [status, 204]
    created(store, sink=sink.url)
    append(store, invitation(1))
    make_driver().run()
    first = lines(caplog)[0]
    assert (first["reason"], first["status"]) == (reason, str(status))


class Ahead(SystemClock):
    """A dispatcher's clock that goes past every deadline while a sink shows its certificate again."""

    ahead_s = 0.0
    _handshakes = 0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def at_the_second_handshake(self, *_: object) -> None:
        self._handshakes += 1
        self.ahead_s = 200.0 if self._handshakes == 2 else 0.0


HOSTILE = [
    'x" outcome=delivered reason=" \n2026-01-01 INFO all is well',
    'Bearer a" outcome=delivered status=204 detail="b\\" c',
    "\x1b]0;owned\x07\x1b[2J\x9b31m\u202edetrevni\u2028",
    # libcurl's words are 255 bytes, so that one of these is cut in half.
    "x" + "\U0001f600" * 63,
    "é" * 400,
    "tel:+12025550100 of alice@ims.example with Bearer s3cret and eyJhbGciOiJub25lIn0.eyJhIjoxfQ.s3cret",
]


@pytest.mark.slow
@pytest.mark.parametrize("subject", HOSTILE, ids=["quote", "bearer", "terminal", "cut", "long", "personal"])
def test_a_certificate_cannot_speak_for_us(
    store: Store,
    sink: RecordingSink,
    settings: Settings,
    make_driver: Make,
    raw_store: "redis.Redis",
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    subject: str,
) -> None:
    """libcurl repeats its subject. It is in the logs, with the attempts, and in the dead letter."""
    mask_logs(Masking.of(settings))
    caplog.set_level(logging.INFO)
    clock = Ahead()
    context = self_signed(tmp_path / "own.pem", subject)
    context.sni_callback = clock.at_the_second_handshake
    with RecordingSink(authority=sink.authority) as hostile:
        hostile.use(context)
        made = created(store, sink=hostile.url)
        created(store, sink=sink.url)
        append(store, invitation(1))
        make_driver(clock=clock, limits=PATIENT).run(1_000)
        # What is settled in the same round is settled once.
        assert len(sink.requests) == 1
    tried, given_up = [line for line in lines(caplog) if line["event"] == f"{made.id}.1"]
    dead_letters = DeadLetters(store)
    (dead_letter,) = dead_letters.newest_first(DeadLetterFilter())
    shown = as_text(
        in_full(dead_letter, store.subscriptions.get(made.id), dead_letters.attempts(dead_letter), settings)
    )
    assert (tried["outcome"], tried["reason"]) == ("retry", "tls")
    assert tried["detail"].startswith("SSL: certificate subject name '")
    assert len(tried["detail"]) <= 300
    assert (given_up["outcome"], given_up["reason"]) == ("drop", "deadline_exceeded")
    assert dead_letter.detail == f"tls: {tried['detail']}"
    assert given_up["detail"] == dead_letter.detail[:300]
    assert dead_letter.detail in shown
    assert f"({tried['detail']})" in shown
    assert shown.replace("\n", "").isprintable()
    # The event itself, which is kept in clear, has neither.
    for text in (caplog.text, everything(raw_store), shown):
        assert "s3cret" not in text
        assert "alice@ims" not in text
    assert "+12025550100" not in dead_letter.detail + tried["detail"]


def test_addresses_in_a_certificate_are_shown_where_the_setting_allows_it(
    sink: RecordingSink,
    store: Store,
    settings: Settings,
    make_driver: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = replace(settings, log_personal_data=True)
    mask_logs(Masking.of(settings))
    subject = "sip:alice@ims.example Bearer s3cret"
    with RecordingSink(authority=sink.authority) as other:
        other.use(self_signed(tmp_path / "own.pem", subject))
        created(store, sink=other.url)
        append(store, invitation(1))
        detail = attempted(make_driver(settings=settings, limits=PATIENT), caplog)["detail"]
    assert "sip:alice@ims.example" in detail
    assert "s3cret" not in detail


def test_the_end_that_is_given_up_says_why(
    causes: Causes,
    sink: RecordingSink,
    store: Store,
    settings: Settings,
    make_driver: Make,
    raw_store: "redis.Redis",
) -> None:
    """Its sink refused the token, and then could not be reached: the end is tried once."""
    created_with_token(store, settings, sink=sink.url, token=SINK_TOKEN)
    append(store, invitation(1))
    sink.answer = [401]
    dispatcher = make_driver().dispatcher
    while not (sink.requests and dispatcher.idle):
        dispatcher.step(claiming=not sink.requests)
    with causes.nobody() as url:
        (key,) = raw_store.keys("*:subscription:*")
        raw_store.hset(key, "sink", url)
        make_driver().run()
    ends = [fields for _, fields in raw_store.xrange(P.dead) if fields["reason"] == "end_refused"]
    assert len(ends) == 1
    assert re.match(r"connect: Failed to connect .*Connection refused \(libcurl 7\)$", ends[0]["detail"])
