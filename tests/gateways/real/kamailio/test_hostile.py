"""What strangers send to Kamailio and to its evapi, and what comes of it."""

import socket
import uuid
from typing import Any

import pytest

from tests.gateways.real.kamailio.conftest import Way
from tests.harness.commands import eventually


@pytest.fixture
def way(shared_way: Way) -> Way:
    return shared_way


@pytest.fixture
def bob(way: Way) -> str:
    user = f"bob-{uuid.uuid4().hex[:8]}"
    way.register(user)
    return user


def invite(
    way: Way, user: str, *, name: bytes = b"", body: bytes = b"v=0\r\n", call_id: bytes = b""
) -> bytes:
    """Sends it to Kamailio; its first answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.bind(("127.0.0.1", 0))
        caller.settimeout(10)
        port = caller.getsockname()[1]
        lines = [
            b"INVITE sip:%b@example.com SIP/2.0" % user.encode(),
            b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%b" % (port, uuid.uuid4().hex.encode()),
            b"From: %b <sip:mallory@example.com>;tag=1" % name,
            b"To: <sip:%b@example.com>" % user.encode(),
            b"Call-ID: %b" % (call_id or uuid.uuid4().hex.encode()),
            b"CSeq: 1 INVITE",
            b"Contact: <sip:mallory@127.0.0.1:%d>" % port,
            b"Max-Forwards: 70",
            b"Content-Type: application/sdp",
            b"Content-Length: %d" % len(body),
        ]
        caller.sendto(b"\r\n".join([*lines, b"", body]), ("127.0.0.1", way.kamailio.port))
        return caller.recv(65536)


def invitation(way: Way, path: str) -> dict[str, Any]:
    found: dict[str, Any] = eventually(lambda: way.received(path))[0]["data"]
    return found


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b'"\xff\xfe\x80 8 bits"', "\ufffd\ufffd\ufffd 8 bits"),
        (b'"bell\x07 and\x1b[31m"', "bell and[31m"),
        (b'"\\",\\"status\\":\\"Connected\\",\\"x\\":\\""', '","status":"Connected","x":"'),
        (b'"x,3:BYE,0:,4:gone,"', "x,3:BYE,0:,4:gone,"),
        (b'"$ru $var(we_record) {s.len}"', "$ru $var(we_record) {s.len}"),
    ],
    ids=["8 bits", "control characters", "JSON", "netstrings", "pseudo-variables"],
)
def test_a_name_is_only_a_name(name: bytes, shown: str, way: Way, bob: str) -> None:
    path = way.subscribe("session-invitation", bob)
    with_party = way.callee("callee-is-busy", bob)
    invite(way, bob, name=name)
    assert invitation(way, path)["originatorName"] == shown
    assert invitation(way, path)["status"] == "Initial"
    with_party.kill()


def test_a_very_large_offer_is_left_out(way: Way, bob: str) -> None:
    """The call is told of without it."""
    path = way.subscribe("session-invitation", bob)
    body = b"v=0\r\n" + b"a=x:" + b"y" * 50_000 + b"\r\n"
    invite(way, bob, body=body)
    assert "offer" not in invitation(way, path)


def test_garbage_at_evapi_stops_nobody(way: Way, bob: str) -> None:
    """Neither Kamailio nor the adapter that is connected."""
    path = way.subscribe("session-invitation", bob)
    frames = [
        b"want",
        b"want x",
        b"call",
        b"call ! ! !",
        b"aor",
        b"aor \xff",
        b"x" * 100,
        b"want - 999999999999",
    ]
    with socket.create_connection(("127.0.0.1", way.kamailio.evapi)) as stranger:
        for frame in frames:
            stranger.sendall(b"%d:%b," % (len(frame), frame))
        stranger.sendall(b"\x00\xff garbage 99999999999999:" * 100)
    invite(way, bob)
    assert invitation(way, path)["status"] == "Initial"
