"""The HTTP server that Janus's event handler posts to: one request a connection, bounded in size and time.

The event handler takes any whole response as a success, whatever its status, and tries again only where
none comes. So what could not be kept is answered with a response that is cut off: people read the reason in
it, and Janus tries again. Source: Janus 1.1, events/janus_sampleevh.c (CURLOPT_FAILONERROR is not set).
"""

import base64
import binascii
import hmac
import logging
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any, Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.start_faults import CannotStart
from webrtc_events.gateways.janus.intake import Intake
from webrtc_events.gateways.journal import JournalUnwritable, QueueFull
from webrtc_events.gateways.receiver_figures import ReceiverFigures

__all__ = ["JanusListener", "ListenerOptions"]

log = logging.getLogger(__name__)

# Janus itself gives up after 10 s.
_MAX_CONNECTION_S: Final = 20.0
_MAX_CONNECTIONS: Final = 64
_POLL_S: Final = 0.5
_SERVER: Final = "webrtc-events"


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """`password` of None: whoever reaches the address may post."""

    address: HostPort
    user: str = "janus"
    password: str | None = field(default=None, repr=False)
    max_bytes: int = 16 << 20


class JanusListener:
    """A receiver, see `adapter.py`."""

    def __init__(self, options: ListenerOptions, intake: Intake, clock: Clock) -> None:
        self._intake = intake
        self._options = options
        try:
            self._server = _Server(options, intake, clock)
        except OSError as error:
            raise CannotStart(f"--listen {options.address}: {error.strerror or error}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="janus-listener", daemon=True
        )

    @property
    def url(self) -> str:
        host, port = self._server.socket.getsockname()[:2]
        return f"http://{HostPort(host, port)}/"

    @property
    def description(self) -> str:
        host = self._server.socket.getsockname()[0].partition("%")[0]
        open_to_all = self._options.password is None and not ip_address(host).is_loopback
        whose = ", from whoever reaches it: there is no --password-file" if open_to_all else ""
        return f"Takes events of Janus at {self.url}{whose}."

    @property
    def figures(self) -> ReceiverFigures:
        return self._intake.figures

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """After the requests under way."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def tidy(self) -> None:
        with self._server.taking:
            self._intake.tidy()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, options: ListenerOptions, intake: Intake, clock: Clock) -> None:
        family = socket.getaddrinfo(*options.address, type=socket.SOCK_STREAM)[0][0]
        self.address_family = family
        super().__init__((options.address.host, options.address.port), _Handler)
        self.options = options
        self.intake = intake
        self.lines = LineLimit(clock)
        self.taking = threading.Lock()
        """One batch at a time."""
        self._clock = clock
        self._lock = threading.Lock()
        self._since_s: dict[socket.socket, float] = {}

    def server_bind(self) -> None:
        # Not by a look at the name service, which may hang.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), port

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            surplus = list(self._since_s)[: max(0, len(self._since_s) + 1 - _MAX_CONNECTIONS)]
            self._since_s[request] = self._clock.monotonic()
        _cut(surplus)
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        limit_s = self._clock.monotonic() - _MAX_CONNECTION_S
        with self._lock:
            late = [request for request, since_s in self._since_s.items() if since_s < limit_s]
        _cut(late)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._since_s.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (as it is called)
        """Somebody who went away, or was cut off, mostly."""
        if self.admit("failed"):
            log.warning("a request to the listener failed", exc_info=True)

    def admit(self, kind: str) -> bool:
        """Whether a line of the log is written, or there were many of its kind."""
        with self._lock:
            return self.lines.admit(kind) is not None


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = _SERVER
    sys_version = ""
    timeout = _MAX_CONNECTION_S

    def do_POST(self) -> None:
        options = self.server.options
        if not self._may_post():
            if self.server.admit("credentials"):
                log.error("a POST has other credentials than --user and --password-file: it is not taken")
            self._cut_off(401, "the credentials are not those of --user and --password-file")
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            self._answer(411, "a Content-Length is needed")
        elif int(length) > options.max_bytes:
            if self.server.admit("size"):
                log.error("a POST of %s bytes is too large: it is lost", length)
            self._answer(413, f"a batch may have {options.max_bytes} bytes")
        elif self.headers.get("Content-Encoding", "identity") != "identity":
            if self.server.admit("encoding"):
                log.error("a POST is compressed: set `compress = false` in Janus")
            self._answer(415, "set `compress = false` in janus.eventhandler.sampleevh.jcfg")
        else:
            self._take(self.rfile.read(int(length)), int(length))

    def _take(self, body: bytes, length: int) -> None:
        if len(body) < length:
            # Whoever sent it has gone, or was cut off.
            self.close_connection = True
            return
        try:
            with self.server.taking:
                self.server.intake.take(body)
        except ValueError as error:
            if self.server.admit("garbage"):
                log.error("a POST is no batch of events and is lost: %s", error)  # noqa: TRY400 (its text says all)
            self._answer(400, str(error))
        except (QueueFull, JournalUnwritable) as error:
            if self.server.admit("refused"):
                log.error("a batch cannot be kept; Janus is to try again: %s", error)  # noqa: TRY400 (its text says all)
            self._cut_off(503, str(error))
        else:
            self._answer(200, "")

    def _may_post(self) -> bool:
        options = self.server.options
        if options.password is None:
            return True
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{options.user}:{options.password}".encode()
        return kind.lower() == "basic" and hmac.compare_digest(given, wanted)

    def _answer(self, status: int, reason: str) -> None:
        self._write(status, reason, missing=0)

    def _cut_off(self, status: int, reason: str) -> None:
        self._write(status, reason, missing=1)

    def _write(self, status: int, reason: str, missing: int) -> None:
        body = f"{reason}\n".encode() if reason else b""
        self.close_connection = True
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="gateway"')
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body) + missing))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (as it is named there)
        log.debug(format, *arguments)


def _cut(requests: list[socket.socket]) -> None:
    for request in requests:
        # Its thread finds it at its end.
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)
