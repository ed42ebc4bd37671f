"""Connections in which nothing comes for a while: they are closed, and nobody's bytes are lost by that."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.types import Receive, Scope, Send

from tests.api.conftest import Api, serving
from tests.api.test_http_protocol import GOOD, statuses
from tests.api.test_slow import connect, read_to_end
from tests.harness.issuer import Issuer


class Late:
    """An application whose event loop is late at `/hold`: what was due meanwhile is due in one turn of it.
    What is due `after_s` holds up the rest of that turn until `go_on`, for 10 s at most.
    """

    def __init__(self, late_s: float, after_s: float) -> None:
        self.held, self.go_on = threading.Event(), threading.Event()
        self._late_s, self._after_s = late_s, after_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if scope["type"] != "http":
            return
        if scope["path"] == "/hold":
            asyncio.get_running_loop().call_later(self._after_s, self._hold)
            self.go_on.wait(self._late_s)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def _hold(self) -> None:
        self.held.set()
        self.go_on.wait(10)


@contextmanager
def idling_beside(late: Late, issuer: Issuer) -> Iterator[socket.socket]:
    """A connection that has been answered, and idles while the loop is late, which is so by now."""
    with serving(late, issuer, keep_alive_s=2) as api, connect(api) as idle, connect(api) as other:
        idle.sendall(GOOD)
        assert statuses(idle.recv(65_536)) == [b"200"]
        other.sendall(GOOD.replace(b"/healthz", b"/hold"))
        assert late.held.wait(10)
        yield idle


def test_a_request_in_an_idle_connection_is_answered_however_late_the_loop_is(issuer: Issuer) -> None:
    """Who sends into a connection that is about to be closed cannot know whether the request was heard."""
    late = Late(2.5, after_s=0.01)
    with idling_beside(late, issuer) as idle:
        # The connection has been idle for too long, and nothing was there to be read.
        idle.sendall(GOOD)
        late.go_on.set()
        assert statuses(idle.recv(65_536)) == [b"200"]
        # One in which nothing more comes is closed all the same.
        assert read_to_end(idle) == b""


def test_who_is_let_go_is_told_before_the_loop_does_anything_else(issuer: Issuer) -> None:
    late = Late(2.5, after_s=2.2)
    with idling_beside(late, issuer) as idle:
        # What closes the connection for good is a later turn's.
        assert read_to_end(idle) == b""
        assert not late.go_on.is_set()
        late.go_on.set()


def let_another_idle_for_too_long(api: Api) -> None:
    """Returns once the server has closed a connection that began to idle after all others."""
    with connect(api) as other:
        other.sendall(GOOD)
        assert statuses(other.recv(65_536)) == [b"200"]
        assert read_to_end(other) == b""


def test_a_connection_that_was_reset_is_not_looked_at_again(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Late(0, 0), issuer, keep_alive_s=1) as api:
        with connect(api) as gone:
            gone.sendall(GOOD)
            assert statuses(gone.recv(65_536)) == [b"200"]
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        let_another_idle_for_too_long(api)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


LONG = b"x" * 8_000_000


async def long(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    if scope["type"] != "http":
        return
    body = LONG if scope["path"] == "/long" else b""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def test_an_answer_that_is_still_on_its_way_is_not_cut_off(issuer: Issuer) -> None:
    with serving(long, issuer, keep_alive_s=1) as api, connect(api) as slow:
        slow.sendall(GOOD.replace(b"/healthz", b"/long"))
        # It has been asked for, and is more than the system keeps of it.
        assert slow.recv(1)
        let_another_idle_for_too_long(api)
        assert read_to_end(slow).endswith(b"\r\n\r\n" + LONG)
