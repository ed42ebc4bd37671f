"""Clients that break the protocol, answer nothing or never leave: each is closed with a code."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from websockets.frames import Frame, Opcode

from tests.api.test_slow import connect, read_to_end
from tests.channels.conftest import CHANNELS, Channel, Stack
from tests.harness.event_sockets import offers
from tests.harness.valkeys import CLOCK, eventually
from webrtc_events.api import websocket_protocol
from webrtc_events.channels import readers


class RawSocket:
    """An open WebSocket, byte by byte."""

    def __init__(self, service: Stack, channel: Channel) -> None:
        self.connection = connect(service.api)
        lines = [
            f"GET {CHANNELS}/{channel.id}/events HTTP/1.1",
            "Host: x",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol: " + ", ".join(offers(channel.token)),
        ]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def read(self, size: int) -> bytes:
        """That many bytes, or fewer if the server closes before."""
        received = b""
        while len(received) < size and (more := self.connection.recv(size - len(received))):
            received += more
        return received

    def frames(self) -> list[Frame]:
        """All that come until the server closes the connection."""
        with self.connection:
            return list(_frames(read_to_end(self.connection)))

    def close(self) -> int:
        """The code of the server's close; 0: it had none to say."""
        found = [frame for frame in self.frames() if frame.opcode is Opcode.CLOSE]
        return struct.unpack("!H", found[0].data[:2])[0] if found else 0


def _frames(received: bytes) -> Iterator[Frame]:
    while len(received) >= 2:
        length, start = received[1] & 127, 2
        if length >= 126:
            size, start = (2, 4) if length == 126 else (8, 10)
            length = int.from_bytes(received[2 : 2 + size], "big")
        yield Frame(Opcode(received[0] & 15), received[start : start + length])
        received = received[start + length :]


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


PING = frame(Opcode.PING, b"")
FRAGMENT = frame(Opcode.CONT, b"", fin=False)
BROKEN = [
    (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
    (b"\xc1\x80\0\0\0\0", 1002),
    (b"\x83\x80\0\0\0\0", 1002),
    (b"\x8b\x80\0\0\0\0", 1002),
    (b"\x09\x80\0\0\0\0", 1002),
    (b"\x89\xfe\x00\x7e\0\0\0\0" + 126 * b"x", 1002),
    (frame(Opcode.CONT, b"x"), 1002),
    (frame(Opcode.TEXT, b"x", fin=False) + frame(Opcode.TEXT, b"x"), 1002),
    (b"\x88\x81\0\0\0\0x", 1002),
    (b"\x81\xff" + 8 * b"\xff", 1009),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002),
    (frame(Opcode.TEXT, b"\xff"), 1007),
    (frame(Opcode.TEXT, b"\xc3", fin=False) + frame(Opcode.CONT, b"x"), 1007),
    (frame(Opcode.TEXT, 9_000 * b" "), 1009),
    (frame(Opcode.TEXT, 1_000_000 * b" "), 1009),
    (frame(Opcode.TEXT, 8_000 * b" ", fin=False) + frame(Opcode.CONT, 8_000 * b" "), 1009),
    (frame(Opcode.TEXT, b"", fin=False) + 100 * FRAGMENT, 1009),
    (frame(Opcode.BINARY, b"{}"), 4400),
    (frame(Opcode.TEXT, b"x"), 4400),
    (frame(Opcode.TEXT, 4_000 * b"["), 4400),
    (frame(Opcode.TEXT, b'{"cursor": 1}'), 4400),
    (frame(Opcode.CLOSE, struct.pack("!H", 1000)), 1000),
]


@pytest.mark.parametrize("how", ["whole", "with more behind it", "byte by byte"])
def test_what_breaks_the_protocol_is_closed_with_a_code(
    service: Stack, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(websocket_protocol, "_DROP_S", 0.2)
    # Who is told by a close frame does not answer it here.
    monkeypatch.setattr(websocket_protocol, "_CLOSE_S", 1.0)
    channel = service.make()
    for sent, code in BROKEN:
        pieces = [sent]
        if how == "with more behind it":
            pieces.append(20_000 * PING)
        elif how == "byte by byte":
            pieces = [sent[at : at + 1] for at in range(min(len(sent), 200))] + [sent[200:]]
        raw = RawSocket(service, channel)
        # It may be closed before all of it is sent.
        with suppress(OSError):
            for piece in pieces:
                raw.send(piece)
        assert raw.close() == code, sent[:40]
    assert "Traceback" not in caplog.text
    service.subscribed(channel)
    assert service.open(channel).wait_events(len(service.publish(1))).numbers() == [1]


def test_who_goes_without_a_word_leaves_its_place(service: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_READERS_A_CHANNEL", 2)
    channel = service.make()
    for leave in ("close", "shutdown", "half a frame"):
        for raw in [RawSocket(service, channel) for _ in range(2)]:
            if leave == "half a frame":
                raw.send(b"\x81")
            if leave == "shutdown":
                raw.connection.shutdown(socket.SHUT_WR)
            raw.connection.close()

        def is_read() -> bool:
            with service.open(channel) as reader:
                return reader.is_answered(1) and not reader.ended

        eventually(is_read, f"those that left by {leave} are forgotten")


def test_who_answers_no_ping_has_gone(service: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "_PING_S", 0.2)
    monkeypatch.setattr(websocket_protocol, "_PONG_S", 0.2)
    monkeypatch.setattr(websocket_protocol, "_CLOSE_S", 0.5)
    raw = RawSocket(service, service.make())
    frames = raw.frames()
    *pings, closed = frames
    # A process that is held up may say a second one before it looks at what came of the first.
    assert {frame.opcode for frame in pings} == {Opcode.PING}
    assert (closed.opcode, closed.data[:2]) == (Opcode.CLOSE, struct.pack("!H", 1011))


def test_who_never_answers_a_close_is_cut_off(service: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "_CLOSE_S", 0.5)
    channel = service.make()
    raw = RawSocket(service, channel)
    service.delete(channel)
    assert raw.close() == 4404


def test_pings_are_answered_at_a_bounded_rate(service: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "_FRAMES_PER_S", 20.0)
    monkeypatch.setattr(websocket_protocol, "_FRAMES_AT_ONCE", 10)
    raw = RawSocket(service, service.make())
    begun_s = CLOCK.monotonic()
    for _ in range(60):
        # Each in a packet, more or less: what is read at once is answered at once.
        raw.send(PING)
        CLOCK.sleep(0.01)
    pongs = raw.read(60 * len(Frame(Opcode.PONG, b"").serialize(mask=False)))
    # However many of them were read at once: what follows is read when all have come at the full rate.
    raw.send(frame(Opcode.CLOSE, b""))
    (closed,) = raw.frames()
    assert CLOCK.monotonic() - begun_s > (60 - 10) / 20.0
    assert [pong.opcode for pong in _frames(pongs)] == [Opcode.PONG] * 60
    assert closed.opcode is Opcode.CLOSE


def test_floods_of_pings_that_nobody_reads_the_answers_of_hold_up_nobody(
    service: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "_FRAMES_AT_ONCE", 1_000_000)
    monkeypatch.setattr(websocket_protocol, "_READER_DEADLINE_S", 2.0)
    monkeypatch.setattr(websocket_protocol, "_CLOSE_S", 0.5)
    channel = service.make()
    service.subscribed(channel)
    reader = service.open(channel)
    raw = RawSocket(service, channel)
    raw.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ended = threading.Event()

    def flood() -> None:
        try:
            while True:
                raw.send(200 * frame(Opcode.PING, 125 * b"x"))
        except OSError:
            ended.set()

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    numbers = service.publish(1)
    assert reader.wait_events(1).numbers() == numbers
    assert ended.wait(60)
    raw.connection.close()
    thread.join()


def test_a_hundred_acknowledgements_at_once_are_answered_in_turn(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    service.publish(100)
    reader = service.open(channel).wait_events(100)
    for event in reader.events:
        reader.send(json.dumps({"cursor": event.id}))
    eventually(lambda: len(reader.replies) == 100, "all are answered")
    assert [reply["data"]["cursor"] for reply in reader.replies] == [event.id for event in reader.events]
    numbers = service.publish(1)
    assert service.open(channel).wait_events(1).numbers() == numbers
