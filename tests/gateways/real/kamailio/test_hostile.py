"""What strangers send to Kamailio and to its evapi, and what comes of it."""

import socket
import uuid

import pytest

from tests.gateways.harness import stranger
from tests.gateways.real.kamailio.conftest import Way


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
    return stranger.invite(way.kamailio.port, user, "example.com", name=name, body=body, call_id=call_id)


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
    assert way.invitation(path)["originatorName"] == shown
    assert way.invitation(path)["status"] == "Initial"
    with_party.kill()


def test_a_very_large_offer_is_left_out(way: Way, bob: str) -> None:
    """The call is told of without it."""
    path = way.subscribe("session-invitation", bob)
    body = b"v=0\r\n" + b"a=x:" + b"y" * 50_000 + b"\r\n"
    invite(way, bob, body=body)
    assert "offer" not in way.invitation(path)


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
    assert way.invitation(path)["status"] == "Initial"
