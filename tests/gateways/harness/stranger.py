"""Somebody who sends what he likes: one INVITE, its header fields as they are given."""

import socket
import uuid

__all__ = ["invite"]


def invite(port: int, user: str, host: str, *, name: bytes, body: bytes, call_id: bytes = b"") -> bytes:
    """Sends it to that port of UDP, for `user` at `host`; its first answer."""
    uri = f"sip:{user}@{host}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.bind(("127.0.0.1", 0))
        caller.settimeout(10)
        own = caller.getsockname()[1]
        lines = [
            b"INVITE %b SIP/2.0" % uri,
            b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%b" % (own, uuid.uuid4().hex.encode()),
            b"From: %b <sip:mallory@example.com>;tag=1" % name,
            b"To: <%b>" % uri,
            b"Call-ID: %b" % (call_id or uuid.uuid4().hex.encode()),
            b"CSeq: 1 INVITE",
            b"Contact: <sip:mallory@127.0.0.1:%d>" % own,
            b"Max-Forwards: 70",
            b"Content-Type: application/sdp",
            b"Content-Length: %d" % len(body),
        ]
        caller.sendto(b"\r\n".join([*lines, b"", body]), ("127.0.0.1", port))
        return caller.recv(65536)
