"""Concurrent requests to sinks, with limits on time, addresses and answers.

One `SinkClient` belongs to one thread, which calls `submit` and `poll`; `wake` may come from any
thread. libcurl's multi interface drives the transfers; it tells us which sockets and which
timer it waits for, and `poll` waits for them all at once, so that a sink that hangs costs
nothing but its own time. What one request may do is in transfer.py.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import pycurl

from webrtc_events.core.clock import Clock
from webrtc_events.core.one_line import one_line
from webrtc_events.core.outcomes import SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.ca_bundle import CaBundle
from webrtc_events.sinks.curl_loop import CurlLoop
from webrtc_events.sinks.resolver import Lookup, NamedHost, Resolver, named_host, system_lookup
from webrtc_events.sinks.transfer import RefusedError, SinkLimits, Transfer

__all__ = ["SinkClient", "SinkLimits", "SinkPool"]

T = TypeVar("T")

_IDLE_CONNECTIONS = 1024
# Easy handles kept for reuse: setting one up costs more than a delivery.
_SPARE_HANDLES = 1024
_CLOSE_S = 1.0
_LIMITS = SinkLimits()


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


def _user_agent() -> str:
    try:
        return f"webrtc-events/{version('webrtc-events')}"
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        return "webrtc-events"


def _unsendable(error: Exception) -> str:
    # Of foreign errors the class alone: their text may quote a header.
    return str(error) if isinstance(error, RefusedError) else f"not sendable: {type(error).__name__}"


def _pin(host: NamedHost, addresses: Sequence[str]) -> str:
    """For RESOLVE. The plus lets libcurl forget it after a while."""
    quoted = (f"[{address}]" if ":" in address else address for address in addresses)
    return f"+{host.name}:{host.port}:{','.join(quoted)}"


@dataclass(frozen=True, slots=True, eq=False)
class _Post(Generic[T]):
    transfer: Transfer
    token: T
    started_s: float


class SinkClient(Generic[T]):
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
        limits: SinkLimits = _LIMITS,
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
        self._loop = CurlLoop(self._multi, clock)
        self._spare: deque[Transfer] = deque(maxlen=_SPARE_HANDLES)
        self._running: dict[Any, _Post[T]] = {}
        self._finished: list[tuple[T, SinkReply]] = []
        # Handles whose final head has come, and until when the body of those not finished by it may end.
        self._headed: list[Any] = []
        self._bodies: dict[Any, float] = {}
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
        except (RefusedError, pycurl.error, ValueError, TypeError) as error:
            self._refuse(post, error)
            return
        host = None if self._resolve else named_host(request.url)
        if host is None:
            self._launch(post, self._resolve)
        elif addresses := self._resolver.ask(host.name, request.client):
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
            if self._headed or self._bodies:
                self._cut_bodies()
            if self._finished or self._woken or self._clock.monotonic() >= until_s:
                if self._woken:
                    self._woken = False
                finished, self._finished = self._finished, []
                return finished

    def wake(self) -> None:
        """Makes a running or the next `poll` return. From any thread, also after `close`."""
        self._woken = True
        self._loop.wake()

    def _cut_bodies(self) -> None:
        """Finishes what is answered but for a body that takes too long; its connection is dropped with it."""
        now_s = self._clock.monotonic()
        for curl in self._headed:
            if curl in self._running:
                self._bodies[curl] = now_s + self._limits.body_ms / 1000
        self._headed.clear()
        while self._bodies:
            curl, until_s = next(iter(self._bodies.items()))
            if now_s < until_s:
                return
            self._finish(curl, pycurl.E_OK, "")

    def _wait_s(self, until_s: float) -> float:
        if self._bodies:
            until_s = min(until_s, next(iter(self._bodies.values())))
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
        self._headed.clear()
        self._bodies.clear()
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
        if self._bodies:
            self._bodies.pop(curl, None)
        self._multi.remove_handle(curl)
        self._finished.append((post.token, post.transfer.reply(code, message, self._elapsed_ms(post))))
        self._spare_or_close(post.transfer)

    def _spare_or_close(self, transfer: Transfer) -> None:
        if len(self._spare) < _SPARE_HANDLES:
            self._spare.append(transfer)
        else:
            transfer.curl.close()

    def _new_transfer(self) -> Transfer:
        transfer = Transfer(self._limits, self._policy, self._headed.append)
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
        set_option(pycurl.PREREQFUNCTION, transfer.on_request)
        return transfer
