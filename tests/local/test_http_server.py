"""A server in a thread: it serves once its start returns, or its start fails."""

from typing import Any

import pytest
import requests

from tests.harness.commands import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.stack.http_server import HttpServer
from webrtc_events.local.stack.ports import listen_loopback, reach


async def _greet(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for state in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{state}"
            await send({"type": f"lifespan.{state}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def _fail(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})


def test_it_serves_once_it_has_started() -> None:
    sockets = listen_loopback(0, "--port")
    host, port = reach(sockets)
    server = HttpServer("greeter", _greet, sockets)
    server.start()
    try:
        assert server.alive()
        assert requests.get(f"http://{host}:{port}/", timeout=5).text == "hello"
    finally:
        server.stop()
    assert not server.alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_application_that_does_not_start_is_reported_at_once() -> None:
    clock = SystemClock()
    server = HttpServer("broken", _fail, listen_loopback(0, "--port"))
    begun = clock.monotonic()
    with pytest.raises(LocalError, match="the broken server did not start"):
        server.start()
    # Not after the time that a start may take.
    assert clock.monotonic() - begun < 20
    # Uvicorn ends its thread by an exception.
    eventually(lambda: not server.alive())
