"""Exchanges of a client with a sink, and what became of them."""

import ssl
import threading
from collections.abc import Callable
from ipaddress import ip_network
from typing import BinaryIO, cast

from tests.harness.sinks import read_request
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient, SinkPool
from webrtc_events.sinks.limits import SinkLimits

LOOPBACK = AddressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")))
DEFAULT = SinkLimits()
POOL = SinkPool()
HASTY = SinkLimits(connect_ms=300, total_ms=400)
SECRET = "a-secret-token"
HEADERS = (
    ("Content-Type", "application/cloudevents+json"),
    ("x-correlator", "b4333c46-49c0-4f62-80d7-f0ef930f1c46"),
    ("Authorization", f"Bearer {SECRET}"),
)
BODY = b'{"id":"1","text":"private"}'
Raw = Callable[[ssl.SSLSocket], None]
MakeSink = Callable[..., SinkClient[int]]


def request(url: str, headers: tuple[tuple[str, str], ...] = HEADERS) -> SinkRequest:
    return SinkRequest(url, headers, BODY)


def collect(sink: SinkClient[int], count: int) -> dict[int, SinkReply]:
    replies: dict[int, SinkReply] = {}
    while len(replies) < count:
        finished = sink.poll(10)
        assert finished, f"nothing within 10 s, {count - len(replies)} to come"
        replies.update(finished)
    return replies


def post(sink: SinkClient[int], url: str, headers: tuple[tuple[str, str], ...] = HEADERS) -> SinkReply:
    sink.submit(1, request(url, headers))
    return collect(sink, 1)[1]


def failure(reply: SinkReply) -> str:
    """The reason; whatever failed, its text must not show what was sent."""
    assert isinstance(reply, SinkFailure)
    assert SECRET not in repr(reply)
    assert "private" not in repr(reply)
    return reply.reason


def status(reply: SinkReply) -> int:
    assert isinstance(reply, SinkAnswer), reply
    return reply.status


# Asking a sink


def ask(sink: SinkClient[int], url: str) -> SinkReply:
    sink.submit(1, SinkRequest(url, (("WebHook-Request-Origin", "here.example"),), b"", "OPTIONS"))
    return collect(sink, 1)[1]


class Names:
    """A lookup where every name is this host, and those that begin with `hangs` hang until `let_go`."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, name: str) -> list[str]:
        if name.startswith("hangs"):
            self.let_go.wait(30)
        return ["127.0.0.1"]


# Sinks that misbehave


def after_request(act: Callable[[ssl.SSLSocket], None]) -> Raw:
    """A connection hook that reads one request before it acts."""

    def raw(connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as reader:
            read_request(cast(BinaryIO, reader))
        act(connection)

    return raw


def send(*parts: bytes) -> Raw:
    return after_request(lambda connection: connection.sendall(b"".join(parts)))
