"""Concurrent requests to sinks, with limits on time, addresses and answers. The only importer of pycurl.

One `Sink` belongs to one thread, which calls `submit` and `poll`; `wake` may come from any
thread. libcurl's multi interface drives the transfers; it tells us which sockets and which
timer it waits for, and `poll` waits for them all at once, so that a sink that hangs costs
nothing but its own time.

The status line of the final answer decides: once it is there, whatever goes wrong after it
(a body that is too large, never ends or is cut off) only costs the connection. The sink has
said what it had to say, and sending the event again would be a repeat for nothing. Of an answer
to OPTIONS the whole head is needed: it is what was asked for.
"""

import errno
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar

import pycurl

from webrtc_events.addresses import AddressPolicy
from webrtc_events.ca_bundle import CaBundle
from webrtc_events.clock import Clock
from webrtc_events.model import SinkAnswer, SinkFailure, SinkReply, SinkRequest
from webrtc_events.one_line import one_line
from webrtc_events.resolver import Lookup, NamedHost, Resolver, named_host, system_lookup
from webrtc_events.sink_headers import is_sendable_header

__all__ = ["Sink", "SinkLimits", "SinkPool"]

T = TypeVar("T")

_IDLE_CONNECTIONS = 1024
# This host's trouble, not that of the peer.
_NO_SOCKETS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Easy handles kept for reuse: setting one up costs more than a delivery.
_SPARE_HANDLES = 1024
_CLOSE_S = 1.0
_MAX_RETRY_AFTER = 64
# Longer than any name or number that is looked for: what was cut off is equal to none of them.
_MAX_PERMISSION = 300
_ALLOWED_ORIGIN = b"webhook-allowed-origin"
_ALLOWED_RATE = b"webhook-allowed-rate"
_WAKE_READ = 4096

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


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """What one request may take. `total_ms` runs from name resolution to the last byte of the answer."""

    connect_ms: int = 3_000
    total_ms: int = 10_000
    head_bytes: int = 16_384
    body_bytes: int = 65_536


@dataclass(frozen=True, slots=True)
class SinkPool:
    """Connections that are kept.

    `idle`: in all, the one unused for longest is closed beyond that. `per_host`: to one host, 0 for
    any number. What comes above that waits inside libcurl, at the cost of its own time to connect:
    so it is for multiplexed connections only, and callers see to the others.
    """

    idle: int = _IDLE_CONNECTIONS
    per_host: int = 0

    @classmethod
    def of(cls, in_flight: int, connections: int, descriptors: int) -> Self:
        """For at most `in_flight` requests to a host, and `connections` if it does not multiplex."""
        return cls(min(_IDLE_CONNECTIONS, descriptors // 4), connections if connections < in_flight else 0)


_SOCKET_BAD: Final[int] = pycurl.SOCKET_BAD


class _Descriptor:
    """A new socket on its way to libcurl. pycurl duplicates it, so this one is closed when let go."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


class _RefusedError(Exception):
    """A request that must not be sent; the text is fit for a dead letter."""


class _Transfer:
    """An easy handle with its callbacks, used for one request after another."""

    def __init__(self, limits: SinkLimits, policy: AddressPolicy) -> None:
        self.curl = pycurl.Curl()
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
        self._head_bytes = 0
        self._body_bytes = 0
        self._in_head = False
        self._final_head_read = False
        self._whole_head = False

    def prepare(self, request: SinkRequest) -> None:
        """Sets the request.

        Raises:
            _RefusedError: a header that must not be sent.
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
            self._final_head_read = self.status is not None
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
            raise _RefusedError("a header is malformed or not the caller's to set")
        unwanted.pop(name.lower(), None)
        # libcurl drops a header without a value unless it ends in a semicolon.
        lines.append(f"{name}: {value}" if value.strip() else f"{name};")
    lines += unwanted.values()
    return lines


def _user_agent() -> str:
    try:
        return f"webrtc-events/{version('webrtc-events')}"
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        return "webrtc-events"


class _Loop:
    """Waits for the sockets and the timer of one multi handle, and for `wake`."""

    def __init__(self, multi: Any, clock: Clock) -> None:
        self._multi = multi
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._timer_s: float | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._wake_lock = threading.Lock()
        self._closed = False
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._wake_fd = self._wake_reader.fileno()
        self._watched: dict[int, int] = {}
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def step(self, timeout_s: float) -> None:
        """Waits at most `timeout_s` for anything to happen, and lets libcurl act."""
        # What the timer sets going may also be done at once, and then there is nothing to wait for.
        wait_s = 0.0 if self._fire_timer() else self._wait_s(timeout_s)
        for key, events in self._selector.select(wait_s):
            if key.fd == self._wake_fd:
                self._drain()
            elif key.fd in self._watched:
                self._multi.socket_action(key.fd, _TO_CURL[events])
        self._fire_timer()

    def _wait_s(self, timeout_s: float) -> float:
        if self._timer_s is None:
            return max(0.0, timeout_s)
        return max(0.0, min(timeout_s, self._timer_s - self._clock.monotonic()))

    def _fire_timer(self) -> bool:
        if self._timer_s is None or self._clock.monotonic() < self._timer_s:
            return False
        self._timer_s = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return True

    def _on_timer(self, timeout_ms: int) -> None:
        if self._closed:
            return
        self._timer_s = None if timeout_ms < 0 else self._clock.monotonic() + timeout_ms / 1000

    def _on_socket(self, what: int, fd: int, _multi: Any, _data: Any) -> None:
        if self._closed:
            return
        wanted = _FROM_CURL.get(what, 0)
        watched = self._watched.pop(fd, 0)
        if wanted:
            self._watched[fd] = wanted
        if wanted == watched:
            return
        if not watched:
            self._selector.register(fd, wanted)
        elif not wanted:
            self._selector.unregister(fd)
        else:
            self._selector.modify(fd, wanted)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while len(self._wake_reader.recv(_WAKE_READ)) == _WAKE_READ:
                pass

    def wake(self) -> None:
        with self._wake_lock:
            if not self._closed:
                # A full buffer means that the wake-up is on its way already.
                with suppress(BlockingIOError):
                    self._wake_writer.send(b"\0")

    def close(self) -> None:
        with self._wake_lock:
            self._closed = True
            self._selector.close()
            self._wake_reader.close()
            self._wake_writer.close()


_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_FROM_CURL: Final[dict[int, int]] = {
    pycurl.POLL_IN: _READ,
    pycurl.POLL_OUT: _WRITE,
    pycurl.POLL_INOUT: _READ | _WRITE,
}
_TO_CURL: Final[dict[int, int]] = {
    _READ: pycurl.CSELECT_IN,
    _WRITE: pycurl.CSELECT_OUT,
    _READ | _WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


def _unsendable(error: Exception) -> str:
    # Of foreign errors the class alone: their text may quote a header.
    return str(error) if isinstance(error, _RefusedError) else f"not sendable: {type(error).__name__}"


def _pin(host: NamedHost, addresses: Sequence[str]) -> str:
    """For RESOLVE. The plus lets libcurl forget it after a while."""
    quoted = (f"[{each}]" if ":" in each else each for each in addresses)
    return f"+{host.name}:{host.port}:{','.join(quoted)}"


@dataclass(frozen=True, slots=True, eq=False)
class _Post(Generic[T]):
    transfer: _Transfer
    token: T
    started_s: float


class Sink(Generic[T]):
    """Requests in flight, each known by the caller's token.

    Args:
        policy: judges every address in the connect step.
        ca_file: PEM of CAs trusted besides the system's.
        clock: must run with real time, since libcurl's own timers do.
        limits: of each request.
        pool: connections that are kept.
        lookup: finds a name's addresses; the policy judges those too.
        resolve: names pinned to addresses, `host:port:address`, read for each POST, instead of any
            lookup; the policy judges those too. Source: libcurl, CURLOPT_RESOLVE.

    Raises:
        OSError: `ca_file` cannot be read.
    """

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        ca_file: Path | None,
        clock: Clock,
        limits: SinkLimits = SinkLimits(),
        pool: SinkPool = SinkPool(),
        lookup: Lookup = system_lookup,
        resolve: Sequence[str] = (),
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._limits = limits
        self._resolve = resolve
        self._bundle = CaBundle(ca_file)
        self._user_agent = _user_agent()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, pool.idle)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, pool.per_host)
        self._loop = _Loop(self._multi, clock)
        self._spare: deque[_Transfer] = deque(maxlen=_SPARE_HANDLES)
        self._running: dict[Any, _Post[T]] = {}
        self._finished: list[tuple[T, SinkReply]] = []
        self._resolver = Resolver(clock, self._loop.wake, lookup)
        # Those that wait for the addresses of their host, the first to give up first.
        self._unresolved: dict[_Post[T], NamedHost] = {}
        self._asking_for: dict[str, list[_Post[T]]] = {}
        self._woken = False
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Requests submitted and not yet returned by `poll`."""
        return len(self._running) + len(self._unresolved) + len(self._finished)

    def submit(self, token: T, request: SinkRequest) -> None:
        """Starts a request; the next `poll` drives it. `url` is ASCII, see `addresses.check_sink_url`.

        A request that cannot be sent is returned by the next `poll`, as a failure `protocol`.
        """
        transfer = self._spare.pop() if self._spare else self._new_transfer()
        post = _Post(transfer, token, self._clock.monotonic())
        try:
            transfer.prepare(request)
        except (_RefusedError, pycurl.error, ValueError, TypeError) as error:
            self._refuse(post, error)
            return
        host = None if self._resolve else named_host(request.url)
        if host is None:
            self._launch(post, self._resolve)
        elif addresses := self._resolver.ask(host.name):
            self._launch(post, [_pin(host, addresses)])
        else:
            self._unresolved[post] = host
            self._asking_for.setdefault(host.name, []).append(post)

    def _launch(self, post: "_Post[T]", pins: Sequence[str]) -> None:
        transfer = post.transfer
        try:
            if pins:
                transfer.curl.setopt(pycurl.RESOLVE, list(pins))
            self._multi.add_handle(transfer.curl)
        except (pycurl.error, ValueError, TypeError) as error:
            self._refuse(post, error)
            return
        self._running[transfer.curl] = post

    def _refuse(self, post: "_Post[T]", error: Exception) -> None:
        self._finished.append((post.token, SinkFailure("protocol", _unsendable(error), 0)))
        post.transfer.curl.close()

    def poll(self, timeout_s: float) -> list[tuple[T, SinkReply]]:
        """Drives the transfers and returns those that finished, in the order of finishing.

        Returns as soon as there is one, when `wake` was called, or after `timeout_s`.
        """
        until_s = self._clock.monotonic() + timeout_s
        while True:
            self._loop.step(0.0 if self._finished else self._wait_s(until_s))
            self._resolve_names()
            self._collect()
            if self._finished or self._woken or self._clock.monotonic() >= until_s:
                if self._woken:
                    self._woken = False
                finished, self._finished = self._finished, []
                return finished

    def wake(self) -> None:
        """Makes a running or the next `poll` return. From any thread, also after `close`."""
        self._woken = True
        self._loop.wake()

    def _wait_s(self, until_s: float) -> float:
        if self._unresolved:
            until_s = min(until_s, next(iter(self._unresolved)).started_s + self._limits.connect_ms / 1000)
        return until_s - self._clock.monotonic()

    def _resolve_names(self) -> None:
        """Goes on with what has the addresses of its host, and gives up what waited too long for them."""
        for result in self._resolver.finished():
            for post in self._asking_for.pop(result.name, ()):
                host = self._unresolved.pop(post, None)
                if host is None:
                    continue
                if result.addresses:
                    post.transfer.shorten(self._elapsed_ms(post))
                    self._launch(post, [_pin(host, result.addresses)])
                else:
                    self._fail(post, result.fault)
        while self._unresolved:
            first = next(iter(self._unresolved))
            if self._elapsed_ms(first) < self._limits.connect_ms:
                return
            del self._unresolved[first]
            self._fail(first, f"no addresses within {self._limits.connect_ms} ms")

    def _elapsed_ms(self, post: "_Post[T]") -> int:
        return round((self._clock.monotonic() - post.started_s) * 1000)

    def _fail(self, post: "_Post[T]", detail: str) -> None:
        self._finished.append((post.token, SinkFailure("dns", one_line(detail), self._elapsed_ms(post))))
        self._spare_or_close(post.transfer)

    def close(self) -> None:
        """Drops what is in flight and every connection. Repeating it does nothing."""
        if self._closed:
            return
        self._closed = True
        self._resolver.close()
        for post in self._running.values():
            self._multi.remove_handle(post.transfer.curl)
            post.transfer.curl.close()
        for post in self._unresolved:
            post.transfer.curl.close()
        self._running.clear()
        self._unresolved.clear()
        self._finished.clear()
        while self._spare:
            self._spare.pop().curl.close()
        self._loop.close()
        closer = threading.Thread(target=self._multi.close, name="sink-close", daemon=True)
        closer.start()
        closer.join(_CLOSE_S)
        self._bundle.close()

    def _collect(self) -> None:
        while True:
            queued, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._finish(curl, pycurl.E_OK, "")
            for curl, code, message in failed:
                self._finish(curl, code, message)
            if not queued:
                return

    def _finish(self, curl: Any, code: int, message: str) -> None:
        post = self._running.pop(curl)
        self._multi.remove_handle(curl)
        self._finished.append((post.token, post.transfer.reply(code, message, self._elapsed_ms(post))))
        self._spare_or_close(post.transfer)

    def _spare_or_close(self, transfer: _Transfer) -> None:
        if len(self._spare) < _SPARE_HANDLES:
            self._spare.append(transfer)
        else:
            transfer.curl.close()

    def _new_transfer(self) -> _Transfer:
        transfer = _Transfer(self._limits, self._policy)
        set_option: Callable[[int, Any], None] = transfer.curl.setopt
        set_option(pycurl.PROTOCOLS, pycurl.PROTO_HTTPS)
        set_option(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        set_option(pycurl.FOLLOWLOCATION, 0)
        set_option(pycurl.PATH_AS_IS, 1)
        set_option(pycurl.USERAGENT, self._user_agent)
        # An empty proxy also keeps the proxy variables of the environment out.
        set_option(pycurl.PROXY, "")
        set_option(pycurl.NOPROXY, "*")
        set_option(pycurl.NETRC, pycurl.NETRC_IGNORED)
        set_option(pycurl.NOSIGNAL, 1)
        set_option(pycurl.SSL_VERIFYPEER, 1)
        set_option(pycurl.SSL_VERIFYHOST, 2)
        set_option(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        set_option(pycurl.CAINFO, str(self._bundle.path))
        set_option(pycurl.CONNECTTIMEOUT_MS, self._limits.connect_ms)
        set_option(pycurl.TIMEOUT_MS, self._limits.total_ms)
        set_option(pycurl.HEADERFUNCTION, transfer.on_header)
        set_option(pycurl.WRITEFUNCTION, transfer.on_body)
        set_option(pycurl.OPENSOCKETFUNCTION, transfer.on_open)
        return transfer
