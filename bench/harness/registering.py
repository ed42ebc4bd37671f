"""Endpoints that register: at a Janus, whose event handler says so, and at a real Kamailio."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from sinks import free_ports

from harness.contenders import ROOT
from harness.processes import started

__all__ = ["SipRegistrar", "calls_of_janus", "kamailio", "post_as_janus", "registered_of_janus"]

_BATCH = 100
_STARTED_US = 1_780_000_000_000_000
_WINDOW = 50
_TRIES = 20
_READY_S = 30.0
_CONFIG = ROOT / "deploy" / "kamailio" / "kamailio-minimal.cfg"
_SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=sendrecv\r\n"


def registered_of_janus(count: int, again: int = 0) -> list[dict[str, Any]]:
    """What Janus posts when so many endpoints register; `again` counts their renewals."""
    return [
        _of_janus(number, again, {"event": "registered", "identity": f"sip:user-{number}@example.com"})
        for number in range(count)
    ]


def calls_of_janus(count: int) -> list[dict[str, Any]]:
    """Of each endpoint, that it calls somebody."""
    return [
        _of_janus(
            number,
            1000,
            {"event": "calling", "callee": "sip:b@example.com", "call-id": f"call-{number}", "sdp": _SDP},
        )
        for number in range(count)
    ]


def _of_janus(number: int, step: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "emitter": "janus-of-a-measurement",
        "type": 64,
        "timestamp": _STARTED_US + 1_000_000 * step + number,
        "session_id": number + 1,
        "handle_id": number + 1,
        "opaque_id": "",
        "event": {"plugin": "janus.plugin.sip", "data": data},
    }


def post_as_janus(port: int, events: Sequence[dict[str, Any]]) -> None:
    """In batches, one after the other, each on a connection of its own."""
    for begin in range(0, len(events), _BATCH):
        body = json.dumps(events[begin : begin + _BATCH])
        answer = requests.post(f"http://127.0.0.1:{port}/", data=body, timeout=60)
        answer.raise_for_status()


@contextmanager
def kamailio(folder: Path) -> "Iterator[SipRegistrar]":
    """Debian's, with the config that is shipped."""
    (evapi,) = free_ports(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (
        *("kamailio", "-f", str(_CONFIG), "-l", f"udp:127.0.0.1:{port}", "-DD", "-E", "-Y", str(folder)),
        *("-P", str(folder / "pid"), "-m", "256", "-M", "16"),
        *("-A", f'WEBRTC_EVENTS_LISTEN="127.0.0.1:{evapi}"'),
    )
    with started(command, {}, folder / "kamailio.log"):
        registrar = SipRegistrar(port, evapi)
        registrar.await_ready()
        yield registrar


class SipRegistrar:
    """`evapi` is the port that an adapter asks."""

    def __init__(self, port: int, evapi: int) -> None:
        self.evapi = evapi
        self._address = ("127.0.0.1", port)

    def await_ready(self) -> None:
        """
        Raises:
            RuntimeError: it does not answer.
        """
        until_s = time.monotonic() + _READY_S
        while time.monotonic() < until_s:
            try:
                self.register(["user-0"])
            except (OSError, RuntimeError):
                time.sleep(0.2)
            else:
                return
        raise RuntimeError("Kamailio does not answer")

    def register(self, users: Sequence[str]) -> None:
        """Each, and again what was not answered; so many at once as a queue of a socket holds.

        Raises:
            RuntimeError: some were never answered.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
            endpoint.bind(("127.0.0.1", 0))
            endpoint.settimeout(1.0)
            port = endpoint.getsockname()[1]
            for begin in range(0, len(users), _WINDOW):
                left = set(users[begin : begin + _WINDOW])
                for attempt in range(_TRIES):
                    for user in left:
                        endpoint.sendto(_register(user, port, attempt + 1), self._address)
                    _read_answers(endpoint, left)
                    if not left:
                        break
                if left:
                    raise RuntimeError(f"{len(left)} endpoints have no answer to REGISTER")


def _register(user: str, port: int, sequence: int) -> bytes:
    address = f"<sip:{user}@example.com>"
    lines = (
        "REGISTER sip:example.com SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{user}-{sequence}-{time.monotonic_ns()}",
        f"From: {address};tag=1",
        f"To: {address}",
        f"Call-ID: {user}-{time.monotonic_ns()}",
        f"CSeq: {sequence} REGISTER",
        f"Contact: <sip:{user}@127.0.0.1:{port}>",
        *("Expires: 3600", "Max-Forwards: 70", "Content-Length: 0", "", ""),
    )
    return "\r\n".join(lines).encode()


def _read_answers(endpoint: socket.socket, left: set[str]) -> None:
    """Takes out of `left` whose REGISTER was answered with 200, until all were or nothing comes."""
    while left:
        try:
            answer = endpoint.recv(8192)
        except TimeoutError:
            return
        if answer.startswith(b"SIP/2.0 200"):
            left.discard(answer.partition(b"To: <sip:")[2].partition(b"@")[0].decode())
