"""An adapter that begins when Kamailio has been registrar for long: it learns who has registered."""

import socket
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from tests.gateways.harness.ports import free_port
from tests.gateways.real.kamailio.conftest import Way
from tests.harness.commands import eventually
from webrtc_events.gateways.journal_view import view

USERS = 120


def test_a_queue_begun_later_knows_who_has_registered_before(way: Way) -> None:
    """More than Kamailio says at once. What it said of them has been taken, and nobody renews."""
    users = {f"user-{uuid.uuid4().hex[:8]}@example.com" for _ in range(USERS)}
    for user in users:
        register(way.kamailio.port, user)
    eventually(lambda: known(way.queue) == users, 60)
    assert way.adapter.stop() == 0
    way.queue = way.queue.with_name("another.queue")
    way.start_adapter()
    eventually(lambda: known(way.queue) == users, 60)
    eventually(lambda: view(way.queue).entries == 0, 60)
    assert "lists no addresses" not in way.adapter.output
    assert way.kamailio.errors == []


def known(queue: Path) -> set[str]:
    """The addresses that an adapter knows contacts of."""
    with closing(sqlite3.connect(f"file:{queue}?mode=ro", uri=True)) as database:
        return {key for (key,) in database.execute("SELECT key FROM state WHERE kind = 'aor'")}


def register(port: int, user: str) -> None:
    contact = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", contact))
        endpoint.settimeout(30)
        address = f"<sip:{user}>"
        message = (
            "REGISTER sip:example.com SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{contact};branch=z9hG4bK{user[5:13]}"
            f"\r\nFrom: {address};tag=1\r\nTo: {address}\r\nCall-ID: {user}\r\nCSeq: 1 REGISTER\r\n"
            f"Contact: <sip:a@127.0.0.1:{contact}>\r\nExpires: 3600\r\nMax-Forwards: 70\r\n"
            "User-Agent: test\r\nContent-Length: 0\r\n\r\n"
        )
        endpoint.sendto(message.encode(), ("127.0.0.1", port))
        assert endpoint.recv(4096).startswith(b"SIP/2.0 200")
