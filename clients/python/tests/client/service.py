"""A service whose answers a test decides, a clock, and async clients that are called like sync ones."""

import asyncio
import inspect
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from webrtc_events_client.subscriptions import SubscriptionRequest, SubscriptionType

__all__ = ["REQUEST", "RESOURCE", "InLoop", "Received", "Reply", "Service", "SteppedClock", "error"]

RESOURCE: dict[str, Any] = {
    "id": "s-11",
    "protocol": "HTTP",
    "sink": "https://sink.example/a",
    "types": ["org.camaraproject.webrtc-events.v0.session-invitation"],
    "config": {"subscriptionDetail": {"registrationId": "r1"}},
    "startsAt": "2030-01-16T13:18:23.682Z",
    "status": "ACTIVE",
}
REQUEST = SubscriptionRequest.to(
    SubscriptionType.SESSION_INVITATION, sink="https://sink.example/a", registration_id="r1"
)


@dataclass(frozen=True)
class Received:
    """A request; `headers` has lower-case names."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """`raw` is written in place of an answer, then the connection ends. `lost`: it is reset."""

    status: int = 200
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes = b""
    lost: bool = False


def error(status: int, code: str, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"status": status, "code": code, "message": "for people"}, named)


class Service:
    """Gives the replies in order, the last one for ever; a function is asked for its reply.

    `connections` were made; `all_closed` is set while none is open.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.connections = self._open = 0
        self.all_closed = threading.Event()
        self.replies: list[Reply | Callable[[Received], Reply]] = [Reply(json=RESOURCE)]
        self.requests: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._lock = threading.Lock()
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answers(self, *replies: Reply | Callable[[Received], Reply]) -> None:
        self.replies = list(replies)

    def _count(self, change: int) -> None:
        with self._lock:
            self._open += change
            self.connections += max(change, 0)
            (self.all_closed.clear if self._open else self.all_closed.set)()

    def _next(self, received: Received) -> Reply:
        with self._lock:
            self.requests.append(received)
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(received) if callable(reply) else reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else an answer waits 40 ms for the acknowledgement of its head.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                service._count(1)

            def finish(self) -> None:
                super().finish()
                service._count(-1)

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = service._next(Received(self.command, self.path, headers, body))
                if reply.lost or reply.raw:
                    self.wfile.write(reply.raw)
                    self.close_connection = True
                    if reply.lost:
                        # RST in place of FIN.
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                content = reply.body if reply.json is None else json.dumps(reply.json).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self.handle_any()

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 (as its base has them)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


class SteppedClock:
    """Goes on only when somebody waits; `waits` are the seconds of each time."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.time_s = 1_900_000_000.0

    def now(self) -> float:
        return self.time_s

    def monotonic(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time_s += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class InLoop:
    """An async client, called as if it were a sync one."""

    def __init__(self, client: Any, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            if inspect.isasyncgen(result):

                async def collected() -> list[Any]:
                    return [item async for item in result]

                return self._runner.run(collected())
            return self._runner.run(result)

        return call
