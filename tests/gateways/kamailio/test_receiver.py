"""The receiver at what is not Kamailio, or is not well: it tries again, and loses nothing."""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.gateways.kamailio.builders import contact, invite
from tests.gateways.recorded import events_of, new_intake
from tests.harness.commands import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.setting_values import HostPort
from webrtc_events.gateways.journal import Journal, JournalLimits
from webrtc_events.gateways.kamailio.netstrings import FrameReader, netstring
from webrtc_events.gateways.kamailio.receiver import KamailioOptions, KamailioReceiver

Answer = Callable[[bytes], bytes | None]


class FakeEvapi:
    """Answers each frame by `answer`, whose None hangs up; `frames` are those that came."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.frames: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = HostPort("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        reader = FrameReader()
        while piece := connection.recv(4096):
            for frame in reader.frames(piece):
                self.frames.append(frame)
                if (answer := self.answer(frame)) is None:
                    return
                connection.sendall(answer)


@pytest.fixture
def receive(journal: Journal) -> Iterator[Callable[..., FakeEvapi]]:
    """Starts a receiver at a Kamailio that answers so."""
    started: list[tuple[FakeEvapi, KamailioReceiver]] = []

    def begin(answer: Answer, kept: Journal = journal) -> FakeEvapi:
        evapi, clock = FakeEvapi(answer), SystemClock()
        options = KamailioOptions(evapi.address, "/kamailio", 300.0)
        receiver = KamailioReceiver(new_intake(kept, clock), options, clock, LineLimit(clock))
        receiver.start()
        started.append((evapi, receiver))
        return evapi

    yield begin
    for evapi, receiver in started:
        receiver.stop()
        assert not receiver.is_alive()
        evapi.close()


def records(frame: bytes) -> bytes:
    """One invitation, then nothing."""
    if not frame.startswith(b"want "):
        return b""
    if frame != b"want - 0":
        return netstring(b"end 1.1 1 1")
    return netstring(b"record 1 " + invite(contact(1))) + netstring(b"end 1.1 0 1")


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\xff\xfe",
        netstring(b"hello"),
        netstring(b"end"),
        netstring(b"end 1.1 x y"),
        netstring(b"record x y"),
        b"99999999:",
        None,
    ],
)
def test_what_is_not_kamailio_is_left_and_tried_again(
    garbage: bytes | None, receive: Callable[..., FakeEvapi], journal: Journal
) -> None:
    evapi = receive(lambda _: garbage)
    eventually(lambda: len(evapi.frames) >= 2)
    assert events_of(journal) == []
    evapi.answer = records
    eventually(lambda: events_of(journal))


def test_a_record_is_acknowledged_when_it_is_in_the_journal(
    receive: Callable[..., FakeEvapi], journal: Journal
) -> None:
    evapi = receive(records)
    eventually(lambda: b"want 1.1 1" in evapi.frames)
    assert len(events_of(journal)) == 1


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Journal]:
    """To be asked for before `receive`, whose receivers use it until they are stopped."""
    with closing(Journal(tmp_path / "small", SystemClock(), JournalLimits(max_bytes=10))) as small:
        yield small


def test_nothing_is_acknowledged_that_the_journal_has_no_room_for(
    small: Journal, receive: Callable[..., FakeEvapi]
) -> None:
    """Kamailio keeps it."""
    evapi = receive(records, small)
    eventually(lambda: evapi.frames)
    eventually(lambda: len(evapi.frames) >= 2)
    assert set(evapi.frames) == {b"want - 0"}
    assert events_of(small) == []


def test_open_calls_are_asked_for_at_once(receive: Callable[..., FakeEvapi]) -> None:
    """They may have ended while the adapter was away."""
    evapi = receive(records)
    eventually(lambda: any(frame.startswith(b"call ") for frame in evapi.frames))


def listing(*addresses: str) -> bytes:
    """As ul.dump says it."""
    records = [{"AoR": address} for address in addresses]
    reply = {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"Domains": [{"Domain": {"Domain": "location", "AoRs": records}}]},
    }
    return netstring(b"aors " + json.dumps(reply).encode())


def asked_for(evapi: FakeEvapi) -> list[str]:
    return [
        base64.urlsafe_b64decode(frame.removeprefix(b"aor ")).decode()
        for frame in evapi.frames
        if frame.startswith(b"aor ")
    ]


def test_a_new_journal_asks_what_has_registered_before(receive: Callable[..., FakeEvapi]) -> None:
    """Each once, and some at a time: what they come to must find its place in Kamailio's queue."""
    names = [f"user-{number}@example.com" for number in range(120)]
    evapi = receive(lambda frame: listing(*names) if frame == b"aors" else records(frame))
    eventually(lambda: len(asked_for(evapi)) == 120)
    assert asked_for(evapi) == [f"sip:{name}" for name in names]
    between = "".join("a" if frame.startswith(b"aor ") else "w" for frame in evapi.frames)
    assert max(map(len, between.split("w"))) == 50
    eventually(lambda: evapi.frames[-1].startswith(b"want"))
    assert evapi.frames.count(b"aors") == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        netstring(b"aors"),
        netstring(b"aors []"),
        netstring(b"aors {"),
        netstring(b"aors " + b"[" * 100_000),
    ],
)
def test_a_kamailio_that_does_not_list_them_is_not_asked_for_ever(
    answer: bytes, receive: Callable[..., FakeEvapi], journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Without WEBRTC_EVENTS_LIST, too many of them, or with the fragment of the release before."""
    caplog.set_level("INFO")
    evapi = receive(lambda frame: answer if frame == b"aors" else records(frame))
    eventually(lambda: "becomes known as it renews" in caplog.text)
    number = len(evapi.frames)
    eventually(lambda: len(evapi.frames) > number + 3)
    assert (evapi.frames.count(b"aors"), asked_for(evapi)) == (1, [])
    assert len(events_of(journal)) == 1


def test_when_kamailio_was_heard_last_is_known(journal: Journal) -> None:
    """A Kamailio that takes the connection and hangs up was not heard."""
    evapi, clock = FakeEvapi(lambda _: None), SystemClock()
    options = KamailioOptions(evapi.address, "/kamailio", 300.0)
    receiver = KamailioReceiver(new_intake(journal, clock), options, clock, LineLimit(clock))
    began_s = receiver.figures.heard_s
    assert began_s is not None
    receiver.start()
    try:
        eventually(lambda: len(evapi.frames) >= 2)
        assert receiver.figures.heard_s == began_s
        evapi.answer = records
        eventually(lambda: (receiver.figures.heard_s or 0.0) > began_s)
    finally:
        receiver.stop()
        evapi.close()
