"""One request to a sink by libcurl: its options, its callbacks, and what came of it.

The status line of the final answer decides: once it is there, whatever goes wrong after it
(a body that is too large, never ends or is cut off) only costs the connection. The sink has
said what it had to say, and sending the event again would be a repeat for nothing. Of an answer
to OPTIONS the whole head is needed: it is what was asked for. Behind the head nobody waits for
long: a body that ends soon lets the connection be kept, and is good for nothing else.
"""

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pycurl

from webrtc_events.core.one_line import one_line
from webrtc_events.core.outcomes import SinkAnswer, SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.headers import is_sendable_header

__all__ = ["RefusedError", "SinkLimits", "Transfer"]

# This host's trouble, not that of the peer.
_NO_SOCKETS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MAX_RETRY_AFTER = 64
# Longer than any name or number that is looked for: what was cut off is equal to none of them.
_MAX_PERMISSION = 300
_ALLOWED_ORIGIN = b"webhook-allowed-origin"
_ALLOWED_RATE = b"webhook-allowed-rate"

# libcurl would add these; a name without a value takes one out.
_UNWANTED = {"accept": "Accept:", "content-type": "Content-Type:"}

_REASONS: Final[dict[int, str]] = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_RESOLVE_PROXY: "dns",
    pycurl.E_COULDNT_CONNECT: "connect",
    pycurl.E_INTERFACE_FAILED: "connect",
    pycurl.E_GOT_NOTHING: "connect",
    pycurl.E_PARTIAL_FILE: "connect",
    pycurl.E_RECV_ERROR: "connect",
    pycurl.E_SEND_ERROR: "connect",
    pycurl.E_SEND_FAIL_REWIND: "connect",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls",
    pycurl.E_SSL_CACERT_BADFILE: "tls",
    pycurl.E_SSL_CERTPROBLEM: "tls",
    pycurl.E_SSL_CIPHER: "tls",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_SSL_ENGINE_INITFAILED: "tls",
    pycurl.E_SSL_INVALIDCERTSTATUS: "tls",
    pycurl.E_SSL_ISSUER_ERROR: "tls",
    pycurl.E_USE_SSL_FAILED: "tls",
    pycurl.E_BAD_CONTENT_ENCODING: "protocol",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "protocol",
    pycurl.E_HTTP2: "protocol",
    pycurl.E_UNSUPPORTED_PROTOCOL: "protocol",
    pycurl.E_URL_MALFORMAT: "protocol",
    92: "protocol",  # CURLE_HTTP2_STREAM, which pycurl does not name
    100: "too_large",  # CURLE_TOO_LARGE, likewise: libcurl's own limit on a head
}

_UNANSWERED = "the connection ended, or refused the request, before an answer"


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """What one request may take. `total_ms` runs from name resolution to the last byte of the answer.

    `body_ms` is what a body may take to end once the head of the final answer is there.
    """

    connect_ms: int = 3_000
    total_ms: int = 10_000
    body_ms: int = 250
    head_bytes: int = 16_384
    body_bytes: int = 65_536


_SOCKET_BAD: Final[int] = pycurl.SOCKET_BAD
_GO_ON: Final[int] = pycurl.PREREQFUNC_OK
_ABORT: Final[int] = pycurl.PREREQFUNC_ABORT


class _Descriptor:
    """A new socket on its way to libcurl. pycurl duplicates it, so this one is closed when let go."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


class RefusedError(Exception):
    """A request that must not be sent; the text is fit for a dead letter."""


class Transfer:
    """An easy handle with its callbacks, used for one request after another.

    `on_head` is told of the handle once the whole head of its final answer is there.
    """

    def __init__(self, limits: SinkLimits, policy: AddressPolicy, on_head: Callable[[Any], None]) -> None:
        self.curl = pycurl.Curl()
        self._on_head = on_head
        self._limits = limits
        self._policy = policy
        self._shortened = False
        self._restart()

    def _restart(self) -> None:
        self.status: int | None = None
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

    def prepare(self, request: SinkRequest) -> None:
        """Sets the request.

        Raises:
            RefusedError: a header that must not be sent.
            pycurl.error, ValueError, TypeError: libcurl or its binding takes no such URL or header.
        """
        self._restart()
        self.curl.setopt(pycurl.URL, request.url)
        self.curl.setopt(pycurl.HTTPHEADER, _header_lines(request.headers))
        if request.method == "POST":
            self.curl.unsetopt(pycurl.CUSTOMREQUEST)
            self.curl.setopt(pycurl.POSTFIELDS, request.body)
        else:
            # A GET by another name: no body goes out, and one that comes is read to its end.
            self._whole_head = True
            self.curl.setopt(pycurl.HTTPGET, 1)
            self.curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        if self._shortened:
            self._shortened = False
            self._limit(0)

    def shorten(self, spent_ms: int) -> None:
        """Some of the time is spent already."""
        self._shortened = True
        self._limit(spent_ms)

    def _limit(self, spent_ms: int) -> None:
        self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, self._limits.connect_ms - spent_ms))
        self.curl.setopt(pycurl.TIMEOUT_MS, max(1, self._limits.total_ms - spent_ms))

    def on_header(self, line: bytes) -> int | None:
        """libcurl's HEADERFUNCTION: one line, of interim answers, the final answer, and trailers."""
        self._head_bytes += len(line)
        if self._head_bytes > self._limits.head_bytes:
            self.overflow = f"the head of the answer is larger than {self._limits.head_bytes} bytes"
        if self._final_head_read:
            return self._verdict()
        if not self._in_head:
            self._in_head = True
            self.retry_after, self.permission = None, {}
            status = _parse_status(line)
            self.status = status if status is None or status >= 200 else None
        elif line in (b"\r\n", b"\n"):
            self._in_head = False
            if self.status is not None:
                self._final_head_read = True
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
        """libcurl's WRITEFUNCTION: counts, and throws away."""
        self._body_bytes += len(chunk)
        if self._body_bytes > self._limits.body_bytes:
            self.overflow = f"the body of the answer is larger than {self._limits.body_bytes} bytes"
        return self._verdict()

    def _verdict(self) -> int | None:
        # None takes it all; a wrong length makes libcurl drop the connection.
        return None if self.overflow is None else -1

    def on_open(self, _purpose: int, address: Any) -> "_Descriptor | int":
        """libcurl's OPENSOCKETFUNCTION: the address it is about to connect to, parsed.

        Source: libcurl, CURLOPT_OPENSOCKETFUNCTION.
        """
        family, kind, protocol, peer = address
        if self._repeats == 0:
            # For a repeat that on_request would not let go, and which would leave the connection to others.
            self.unanswered = True
            return _SOCKET_BAD
        refused = self._refused(family, peer)
        if refused is not None:
            self.refusal = refused
            return _SOCKET_BAD
        self.opened_address = True
        try:
            return _Descriptor(socket.socket(family, kind, protocol).detach())
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
        """What is wrong with an address, or None. Its port too: subscriptions outlive a setting."""
        host, port = peer[:2] if family in (socket.AF_INET, socket.AF_INET6) else (str(peer), 0)
        if not self._policy.allows(host):
            return f"{host} is not an address that sinks may have"
        return None if port in self._policy.ports else f"{port} is not a port that sinks may have"

    def reply(self, code: int, message: str, elapsed_ms: int) -> SinkReply:
        """What came of it; `code` is 0 or libcurl's error."""
        if self.status is not None and (self._final_head_read or not self._whole_head):
            multiplexed = self.curl.getinfo(pycurl.INFO_HTTP_VERSION) >= pycurl.CURL_HTTP_VERSION_2_0
            return SinkAnswer(
                self.status,
                self.retry_after,
                elapsed_ms,
                multiplexed,
                allowed_origin=self.permission.get(_ALLOWED_ORIGIN),
                allowed_rate=self.permission.get(_ALLOWED_RATE),
            )
        if self.overflow is not None:
            return SinkFailure("too_large", self.overflow, elapsed_ms)
        if self.refusal is not None and not self.opened_address:
            return SinkFailure("address_refused", self.refusal, elapsed_ms)
        if self.unanswered:
            return SinkFailure("connect", _UNANSWERED, elapsed_ms)
        if self.no_socket:
            return SinkFailure("other", "this host has no socket left", elapsed_ms)
        if code == pycurl.E_OK:
            return SinkFailure("protocol", "the answer has no final status", elapsed_ms)
        if code == pycurl.E_COULDNT_CONNECT and (fault := self.curl.getinfo(pycurl.OS_ERRNO)):
            # libcurl's words are the same for a port where nobody listens and a network that is down.
            message += f": {os.strerror(fault)}"
        detail = one_line(f"{message or 'no detail'} (libcurl {code})")
        return SinkFailure(_REASONS.get(code, "other"), detail, elapsed_ms)


def _parse_status(line: bytes) -> int | None:
    fields = line.split(None, 2)
    if len(fields) < 2 or not fields[0].startswith(b"HTTP/"):
        return None
    if len(fields[1]) != 3 or not fields[1].isdigit():
        return None
    return int(fields[1])


def _header_lines(headers: tuple[tuple[str, str], ...]) -> list[str]:
    lines = []
    unwanted = dict(_UNWANTED)
    for name, value in headers:
        if not is_sendable_header(name, value):
            # Never the value: it may be a credential.
            raise RefusedError("a header is malformed or not the caller's to set")
        unwanted.pop(name.lower(), None)
        # libcurl drops a header without a value unless it ends in a semicolon.
        lines.append(f"{name}: {value}" if value.strip() else f"{name};")
    lines += unwanted.values()
    return lines
