"""Listening sockets and the messages about those that cannot be had."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from webrtc_events.local.local_error import LocalError
from webrtc_events.local.stack.ports import listen, listen_loopback, reach


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


def test_port_in_use_names_the_port_and_the_option(taken: int) -> None:
    with pytest.raises(LocalError, match=f"port {taken} .*in use.*--port"):
        listen("127.0.0.1", taken, "--port")
    with pytest.raises(LocalError, match=f"port {taken} .*in use.*--sink-port"):
        listen_loopback(taken, "--sink-port")


def test_unknown_host_is_reported() -> None:
    with pytest.raises(LocalError, match="--host"):
        listen("no-such-host.invalid", 0, "--port")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_free_port_is_reached_on_loopback(host: str) -> None:
    sockets = listen(host, 0, "--port")
    name, port = reach(sockets)
    with closing(socket.create_connection((name.strip("[]"), port), timeout=5)):
        pass
    for listener in sockets:
        listener.close()


def test_localhost_listens_on_one_port_for_both_families() -> None:
    sockets = listen_loopback(0, "--sink-port")
    assert len({listener.getsockname()[1] for listener in sockets}) == 1
    assert sockets[0].getsockname()[0] == "127.0.0.1"
    for listener in sockets:
        listener.close()


def test_answers_are_sent_at_once() -> None:
    """asyncio sets TCP_NODELAY by the protocol that a socket names, which accepted ones inherit."""
    for listener in [*listen("127.0.0.1", 0, "--port"), *listen_loopback(0, "--sink-port")]:
        with closing(listener):
            assert listener.proto == socket.IPPROTO_TCP
