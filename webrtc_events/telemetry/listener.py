"""The HTTP listener of `/metrics`: a few connections at a time, none for long, in separate threads."""

import logging
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.settings import PREFIX
from webrtc_events.core.start_faults import CannotStart

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["MetricsListener", "listen", "url_of"]

log = logging.getLogger(__name__)

_PATH: Final = "/metrics"
_SERVER: Final = "webrtc-events"
_BACKLOG: Final = 64
_POLL_S: Final = 0.5
# Prometheus gives up after 10 s unless it is set otherwise.
_MAX_CONNECTION_S: Final = 10.0
# Whoever comes when there are as many takes the place of the one that has been there for longest.
_MAX_CONNECTIONS: Final = 16


def listen(
    address: HostPort, *, shares: bool = False, setting: str = f"{PREFIX}METRICS_ADDRESS"
) -> socket.socket:
    """A socket that listens there, for `MetricsListener`.

    `shares`: another process of ours may listen there at the same time, which is to end soon.
    `setting`: where the address comes from.

    Raises:
        CannotStart: it is in use, or no address of this machine.
    """
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, place = found[0]
        if address.port and not shares:
            # The socket itself takes a port that others take in the same way.
            with socket.socket(family, socket.SOCK_STREAM) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(place)
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(place)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise CannotStart(
            f"cannot listen for /metrics on {address}: {error.strerror or error}; "
            f"set {setting} to one that is free: each API, worker and console needs its own"
        ) from error
    # Processes that share it wake up together, and one of them gets the connection.
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where it is scraped."""
    host, port = listener.getsockname()[:2]
    return f"http://{HostPort(host, port)}{_PATH}"


class MetricsListener:
    """Serves `registry` on a socket that listens, in threads, until `stop`. It does not close the socket."""

    def __init__(self, listener: socket.socket, registry: CollectorRegistry, clock: Clock) -> None:
        self._server = _Server(listener, _only_metrics(make_wsgi_app(registry)), clock)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """At once; a connection that is open is closed."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.drop_connections()


class _Handler(WSGIRequestHandler):
    # A request with a body, or a second one, is nothing that a scraper sends.
    protocol_version = "HTTP/1.0"
    server_version = _SERVER
    sys_version = ""
    timeout = _MAX_CONNECTION_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (as it is named there)
        log.debug(format, *args)


class _Server(ThreadingWSGIServer):
    """On a socket that listens already."""

    def __init__(self, listener: socket.socket, app: "WSGIApplication", clock: Clock) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.address_family = listener.family
        # Not by a look at the name service, which may hang.
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()
        self.set_app(app)
        self._clock = clock
        self._lines = LineLimit(clock)
        self._lock = threading.Lock()
        self._since_s: dict[socket.socket, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            surplus = list(self._since_s)[: max(0, len(self._since_s) + 1 - _MAX_CONNECTIONS)]
            self._since_s[request] = self._clock.monotonic()
        self._cut(surplus)
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Twice a second, and after each connection."""
        limit_s = self._clock.monotonic() - _MAX_CONNECTION_S
        with self._lock:
            late = [request for request, since_s in self._since_s.items() if since_s < limit_s]
        self._cut(late)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._since_s.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (as it is called)
        """Somebody who went away, or was cut off, mostly."""
        if self._lines.admit("failed") is not None:
            log.info("a scrape of /metrics failed", exc_info=True)

    def drop_connections(self) -> None:
        with self._lock:
            left = list(self._since_s)
        self._cut(left)

    def _cut(self, requests: Iterable[socket.socket]) -> None:
        for request in requests:
            # Its thread finds it at its end.
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


def _only_metrics(metrics: "WSGIApplication") -> "WSGIApplication":
    """At no other path."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            # Else the server names the release of Python.
            return start_response(status, [*headers, ("Server", _SERVER)], exc_info)

        if environ.get("PATH_INFO") != _PATH:
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"The metrics are at /metrics.\n"]
        return metrics(environ, start)

    return answer
