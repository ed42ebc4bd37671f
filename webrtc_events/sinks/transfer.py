"""One exchange with a sink, as libcurl's callbacks report it.

The status line of the final answer decides: once it is there, whatever goes wrong after it
(a body that is too large, never ends or is cut off) only costs the connection. The sink has
said what it had to say, and sending the event again would be a repeat for nothing. Of an answer
to OPTIONS the whole head is needed: it is what was asked for. Behind the head nobody waits for
long: a body that ends soon lets the connection be kept, and is good for nothing else. Only where the body
was asked for is it kept, and an answer without all of it is none.
"""

import errno
import os
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import pycurl

from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client_identity import Identity, show_identity
from webrtc_events.sinks.curl_options import RefusedError, set_callbacks, set_request, set_time
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.failures import curl_failure, proxied_failure
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.resolver import NamedHost

__all__ = ["Descriptor", "Transfer"]

# This host's trouble, not that of the peer.
_NO_SOCKETS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MAX_RETRY_AFTER: Final = 64
# Longer than any name or number that is looked for: what was cut off is equal to none of them.
_MAX_PERMISSION: Final = 300
_ALLOWED_ORIGIN: Final = b"webhook-allowed-origin"
_ALLOWED_RATE: Final = b"webhook-allowed-rate"

# The beginnings of the status line of an answer whose connection is shared. libcurl refuses them by HTTP/1.
_MULTIPLEXED: Final = (b"HTTP/2 ", b"HTTP/3 ")
# The first bytes of the end of a head, of Retry-After and of WebHook-Allowed-*.
_LOOKED_AT: Final = frozenset(b"\r\nRrWw")
_MAX_KNOWN_LINE: Final = 64

_UNANSWERED: Final = "the connection ended, or refused the request, before an answer"


_SOCKET_BAD: Final[int] = pycurl.SOCKET_BAD
_GO_ON: Final[int] = pycurl.PREREQFUNC_OK
_ABORT: Final[int] = pycurl.PREREQFUNC_ABORT


class Descriptor:
    """A new socket on its way to libcurl. pycurl duplicates it, so this one is closed when let go."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


class Transfer:
    """An easy handle with its callbacks, used for one request after another.

    `on_head` is called with the handle once the whole head of its final answer is there, `on_socket`
    before a socket is opened.
    """

    def __init__(
        self,
        curl: Any,
        limits: SinkLimits,
        policy: AddressPolicy,
        *,
        on_head: Callable[[Any], None],
        on_socket: Callable[[], None],
    ) -> None:
        self.curl = curl
        set_callbacks(curl, self)
        self._on_head = on_head
        self._on_socket = on_socket
        self._limits = limits
        self._max_head, self._max_body = limits.head_bytes, limits.body_bytes
        self._policy = policy
        self._shortened = False
        self._method = ""
        self.proxied = False
        self._identity: Identity | None = None
        self._restart()

    def _restart(self) -> None:
        self.status: int | None = None
        self._multiplexed = False
        self.retry_after: str | None = None
        self.permission: dict[bytes, str] = {}
        self.refusal: str | None = None
        self.opened_address = False
        self.no_socket = False
        self.overflow: str | None = None
        self.unanswered = False
        # How many more requests libcurl may send; None before the first.
        self._repeats: int | None = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._in_head = False
        self._final_head_read = False
        self._whole_head = False
        self._body: list[bytes] | None = None

    def prepare(self, request: SinkRequest) -> None:
        """Sets the request.

        Raises:
            RefusedError, pycurl.error, ValueError, TypeError: see `curl_options.set_request`.
        """
        self._restart()
        set_request(self.curl, request, self._method)
        self._method = request.method
        # Of an answer to OPTIONS the headers are what was asked for.
        self._whole_head = request.method != "POST"
        if request.reads_body:
            self._body = []
        if self._shortened:
            self._shortened = False
            set_time(self.curl, self._limits)

    def take_way(self, egress: Egress, url: str) -> NamedHost | None:
        """Lets the request go through the egress proxy or round it. Returns what is to be looked up.

        Raises:
            RefusedError: the proxy must not be asked for that sink.
        """
        way = egress.way(url)
        if way.refusal:
            raise RefusedError(way.refusal, "address_refused")
        if way.proxied != self.proxied:
            egress.turn(self.curl, proxied=way.proxied)
            self.proxied = way.proxied
        return way.host

    def show(self, identity: Identity | None) -> None:
        """The client's certificate for the request."""
        if identity is not self._identity:
            show_identity(self.curl, identity)
            self._identity = identity

    def shorten(self, spent_ms: int) -> None:
        """Some of the time is spent already."""
        self._shortened = True
        set_time(self.curl, self._limits, spent_ms=spent_ms)

    def on_header(self, line: bytes) -> int | None:
        """libcurl's HEADERFUNCTION: one line, of interim answers, the final answer, and trailers."""
        self._head_bytes = size = self._head_bytes + len(line)
        if size > self._max_head:
            self.overflow = f"the head of the answer is larger than {self._max_head} bytes"
        if self._final_head_read:
            return self._verdict()
        if not self._in_head:
            self._in_head = True
            self.retry_after, self.permission = None, {}
            status = _known_status(line) if len(line) <= _MAX_KNOWN_LINE else _parse_status(line)
            self.status = status if status is None or status >= 200 else None
            self._multiplexed = line.startswith(_MULTIPLEXED)
        elif line[0] not in _LOOKED_AT:
            # Most lines of a head. The others are looked at closer.
            return None if self.overflow is None else -1
        elif line in (b"\r\n", b"\n"):
            self._in_head = False
            if self.status is not None:
                self._final_head_read = True
                if self._body is None:
                    self._on_head(self.curl)
        elif self.retry_after is None and line[:12].lower() == b"retry-after:":
            self.retry_after = line[12:].decode("latin-1").strip()[:_MAX_RETRY_AFTER]
        elif line[:16].lower() == b"webhook-allowed-":
            self._note_permission(line)
        return self._verdict()

    def _note_permission(self, line: bytes) -> None:
        """Several lines of one name are a list (RFC 9110, 5.3), whatever each of them says."""
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in (_ALLOWED_ORIGIN, _ALLOWED_RATE):
            text = value.strip(b" \t\r\n").decode("latin-1")
            former = self.permission.get(name)
            self.permission[name] = (text if former is None else f"{former}, {text}")[:_MAX_PERMISSION]

    def on_body(self, chunk: bytes) -> int | None:
        """libcurl's WRITEFUNCTION: counts, and throws away what was not asked for."""
        self._body_bytes += len(chunk)
        if self._body is not None:
            self._body.append(chunk)
        if self._body_bytes > self._max_body:
            self.overflow = f"the body of the answer is larger than {self._max_body} bytes"
        return self._verdict()

    def _verdict(self) -> int | None:
        # None takes it all; a wrong length makes libcurl drop the connection.
        return None if self.overflow is None else -1

    def on_open(self, _purpose: int, address: Any) -> "Descriptor | int":
        """libcurl's OPENSOCKETFUNCTION: the address it is about to connect to, parsed.

        Source: libcurl, CURLOPT_OPENSOCKETFUNCTION.
        """
        family, kind, protocol, peer = address
        if self._repeats == 0:
            # For a repeat that on_request would not let go, and which would leave the connection to others.
            self.unanswered = True
            return _SOCKET_BAD
        # The proxy's own address is the operator's to choose.
        refused = None if self.proxied else self._refused(family, peer)
        if refused is not None:
            self.refusal = refused
            return _SOCKET_BAD
        self.opened_address = True
        self._on_socket()
        try:
            return Descriptor(socket.socket(family, kind, protocol).detach())
        except OSError as error:
            # Else a family this host lacks: the transfer fails as a connect fault.
            self.no_socket = error.errno in _NO_SOCKETS
            return _SOCKET_BAD

    def on_request(self, *_peer: Any) -> int:
        """libcurl's PREREQFUNCTION, before each request: libcurl repeats one itself, up to five times.

        It does so when an HTTP/2 peer refuses the stream, or when the connection ends without an answer. An
        attempt is one request; the retry policy decides on the next. Only when a kept connection
        turns out to have ended is the request sent once more, on another (RFC 9112, 9.3.1).

        Source: libcurl, CURLOPT_PREREQFUNCTION.
        """
        if self._repeats is None:
            self._repeats = 0 if self.opened_address else 1
        elif self._repeats:
            self._repeats = 0
        else:
            self.unanswered = True
            return _ABORT
        return _GO_ON

    def _refused(self, family: int, peer: Any) -> str | None:
        """What is wrong with an address, or None."""
        host, port = peer[:2] if family in (socket.AF_INET, socket.AF_INET6) else (str(peer), 0)
        return self._policy.refusal(host, port)

    def reply(self, code: int, message: str, elapsed_ms: int) -> SinkReply:
        """What came of it; `code` is 0 or libcurl's error."""
        body, self._body = self._body, None
        if body is not None and (code != pycurl.E_OK or self.overflow is not None):
            # The body was asked for, and has not come whole.
            self.status = None
        if self.status is not None and (self._final_head_read or not self._whole_head):
            return SinkAnswer(
                self.status,
                self.retry_after,
                elapsed_ms,
                self._multiplexed,
                allowed_origin=self.permission.get(_ALLOWED_ORIGIN),
                allowed_rate=self.permission.get(_ALLOWED_RATE),
                body=b"" if body is None else b"".join(body),
            )
        if self.overflow is not None:
            return SinkFailure("too_large", self.overflow, elapsed_ms)
        if self.refusal is not None and not self.opened_address:
            return SinkFailure("address_refused", self.refusal, elapsed_ms)
        if self.unanswered:
            return SinkFailure("tunnel" if self.proxied else "connect", _UNANSWERED, elapsed_ms)
        if self.no_socket:
            return SinkFailure("other", "this host has no socket left", elapsed_ms)
        if code == pycurl.E_OK:
            return SinkFailure("protocol", "the answer has no final status", elapsed_ms)
        if self.proxied:
            return proxied_failure(self.curl, code, message, elapsed_ms, connected=self.opened_address)
        return curl_failure(self.curl, code, message, elapsed_ms)


@lru_cache(maxsize=256)
def _known_status(line: bytes) -> int | None:
    """Nearly all answers begin with one of a few lines."""
    return _parse_status(line)


def _parse_status(line: bytes) -> int | None:
    fields = line.split(None, 2)
    if len(fields) < 2 or not fields[0].startswith(b"HTTP/"):
        return None
    if len(fields[1]) != 3 or not fields[1].isdigit():
        return None
    return int(fields[1])
