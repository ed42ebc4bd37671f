"""What strangers send to an endpoint of a real Janus, and to the adapter itself, and what comes of it."""

import base64
import socket

import pytest

from tests.gateways.harness import stranger
from tests.gateways.harness.registrar import Registrar
from tests.gateways.real.conftest import PASSWORD, Endpoint, Way
from tests.harness.commands import eventually

SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


def invite(
    registrar: Registrar, user: str, *, name: bytes = b"", body: bytes = SDP, call_id: str = ""
) -> bytes:
    """Sends it to the registrar, which passes it on; its first answer."""
    host = f"127.0.0.1:{registrar.port}"
    return stranger.invite(registrar.port, user, host, name=name, body=body, call_id=call_id.encode())


@pytest.fixture
def invitations(way: Way, bob: Endpoint) -> str:
    return way.subscribe("session-invitation", bob.user)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b'"\\",\\"status\\":\\"Connected\\",\\"x\\":\\""', '","status":"Connected","x":"'),
        (b'"%s %n ${jndi} $(id)"', "%s %n ${jndi} $(id)"),
        ('"\u202e\U0001f600 \u0416"'.encode(), "\u202e\U0001f600 \u0416"),
        (b'"' + b"x" * 3000 + b'"', "x" * 512),
    ],
    ids=["JSON", "formats", "signs of Unicode", "long"],
)
def test_a_name_is_only_a_name(
    name: bytes, shown: str, way: Way, registrar: Registrar, bob: Endpoint, invitations: str
) -> None:
    invite(registrar, bob.user, name=name)
    found = way.invitation(invitations)
    assert (found["originatorName"], found["status"]) == (shown, "Initial")


def test_a_name_that_is_no_utf_8_takes_no_other_call_with_it(
    way: Way, registrar: Registrar, bob: Endpoint, invitations: str
) -> None:
    """Janus cannot write it as JSON, and leaves the message out; the plugin's own event tells of the call."""
    invite(registrar, bob.user, name=b'"\xff\xfe\x80 8 bits"', call_id="eight-bits")
    invite(registrar, bob.user, call_id="after-it")
    sessions = eventually(
        lambda: {e["data"]["mediaSessionId"]: e["data"] for e in way.received(invitations)}.get("after-it")
    )
    assert sessions["status"] == "Initial"
    assert way.adapter.process.poll() is None


def test_a_large_offer_is_left_out(way: Way, registrar: Registrar, bob: Endpoint, invitations: str) -> None:
    """The call is told of without it."""
    invite(registrar, bob.user, body=SDP + b"a=x:" + b"y" * 40_000 + b"\r\n")
    assert "offer" not in way.invitation(invitations)


def test_strangers_at_the_adapter_stop_nobody(
    way: Way, registrar: Registrar, bob: Endpoint, invitations: str
) -> None:
    """Without the password, with it and no JSON, and connections that say nothing."""
    good = base64.b64encode(f"janus:{PASSWORD}".encode())
    silent = []
    for authorization, body in [
        (b"", b'[{"type":64}]'),
        (b"Authorization: Basic eDp4\r\n", b"[]"),
        (b"Authorization: Basic %b\r\n" % good, b"\xff\x00{"),
        (b"Authorization: Basic %b\r\n" % good, b"[" * 10_000),
        (b"Authorization: Basic %b\r\n" % good, b'[{"type":64,"event":{"plugin":"janus.plugin.sip"}}]'),
    ]:
        with socket.create_connection(("127.0.0.1", way.port), timeout=10) as stranger:
            head = b"POST / HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (authorization, len(body))
            stranger.sendall(head + body)
            assert stranger.recv(65536).startswith(b"HTTP/1.1 ")
    try:
        silent += [socket.create_connection(("127.0.0.1", way.port)) for _ in range(100)]
        invite(registrar, bob.user)
        assert way.invitation(invitations)["status"] == "Initial"
    finally:
        for connection in silent:
            connection.close()
    assert "Traceback" not in way.adapter.output
