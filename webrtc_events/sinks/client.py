"""The HTTPS client for sinks: concurrent requests with limits on time, addresses and answers.

libcurl's multi interface drives the transfers; `poll` waits for all their sockets and its timer at once
(curl_loop.py), so that a sink that hangs costs nothing but its own time. What one request may do is in
transfer.py.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import pycurl

from webrtc_events.core.clock import Clock
from webrtc_events.core.one_line import one_line
from webrtc_events.core.outcomes import SinkFailure, SinkReply, SinkRequest
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.ca_bundle import CaBundle
from webrtc_events.sinks.curl_loop import CurlLoop
from webrtc_events.sinks.curl_options import RefusedError, new_handle, set_pins
from webrtc_events.sinks.egress import Egress
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.pending_lookups import PendingLookups
from webrtc_events.sinks.resolver import Lookup, named_host, system_lookup
from webrtc_events.sinks.transfer import Transfer

__all__ = ["SinkClient", "SinkPool"]

if TYPE_CHECKING:
    # It brings a library that most deployments have no use for.
    from webrtc_events.sinks.client_certificates import ClientCertificates

T = TypeVar("T")

_IDLE_CONNECTIONS = 1024
# Easy handles kept for reuse: setting one up costs more than a delivery.
_SPARE_HANDLES: Final = 1024
_CLOSE_S = 1.0
_OK: Final[int] = pycurl.E_OK
_LIMITS = SinkLimits()


@dataclass(frozen=True, slots=True)
class SinkPool:
    """Connections that are kept.

    `idle`: in all; beyond that the one unused for longest is closed. `per_host`: to one host, 0 for
    no limit. A request above that waits inside libcurl, at the cost of its own time to connect: so it is
    for multiplexed connections only, and callers limit the others.
    """

    idle: int = _IDLE_CONNECTIONS
    per_host: int = 0

    @classmethod
    def of(cls, in_flight: int, connections: int, descriptors: int) -> Self:
        """For at most `in_flight` requests to a host, and `connections` if it does not multiplex."""
        return cls(min(_IDLE_CONNECTIONS, descriptors // 4), connections if connections < in_flight else 0)


def _unsendable(error: Exception) -> str:
    # Of foreign errors the class alone: their text may quote a header.
    return str(error) if isinstance(error, RefusedError) else f"not sendable: {type(error).__name__}"


class _InFlight(Generic[T]):
    __slots__ = ("started_s", "token", "transfer")

    def __init__(self, transfer: Transfer, token: T, started_s: float) -> None:
        self.transfer: Final = transfer
        self.token: Final = token
        self.started_s: Final = started_s


class SinkClient(Generic[T]):
    """Requests in flight, each known by the caller's token.

    It belongs to one thread, which calls `submit` and `poll`; `wake` may come from any thread. `proxied`:
    which URLs are reached through the egress proxy, if there is one. `certificates`: what is shown to sinks;
    any thread may ask when they expire.

    Args:
        policy: decides on every address in the connect step.
        ca_file: PEM of CAs trusted besides the system's.
        clock: must run with real time, since libcurl's own timers do.
        limits: of each request.
        pool: connections that are kept.
        lookup: finds a name's addresses; the policy decides on those too.
        resolve: names pinned to addresses, `host:port:address`, read for each request, instead of any
            lookup; the policy decides on those too. Source: libcurl, CURLOPT_RESOLVE.
        egress: the proxy that requests go through; None for none. It is closed with the client.
        certificates: what is shown to sinks that ask for a client's certificate; None for nothing.

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
        egress: Egress | None = None,
        certificates: "ClientCertificates | None" = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._monotonic = clock.monotonic
        self._limits = limits
        self._resolve = resolve
        self._egress = egress
        self.certificates = certificates
        self.proxied = None if egress is None else egress.proxied
        self._bundle = CaBundle(ca_file)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, pool.idle)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, pool.per_host)
        self._loop = CurlLoop(self._multi, clock)
        self._spare: deque[Transfer] = deque(maxlen=_SPARE_HANDLES)
        self._running: dict[Any, _InFlight[T]] = {}
        self._finished: list[tuple[T, SinkReply]] = []
        # Handles whose final head has come, and until when the body of those not finished by it may end.
        self._headed: list[Any] = []
        self._bodies: dict[Any, float] = {}
        self._lookups: PendingLookups[_InFlight[T]] = PendingLookups(
            clock, self._loop.wake, lookup, limits.connect_ms
        )
        self._woken = False
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Requests submitted and not yet returned by `poll`."""
        return len(self._running) + len(self._lookups) + len(self._finished)

    def submit(self, token: T, request: SinkRequest) -> None:
        """Starts a request; the next `poll` drives it. `url` is ASCII, see `sink_url.check_sink_url`.

        A request that cannot be sent is returned by the next `poll`, as a failure `protocol`.
        """
        transfer = self._spare.pop() if self._spare else self._new_transfer()
        exchange = _InFlight(transfer, token, self._monotonic())
        try:
            transfer.prepare(request)
            if self._egress is None:
                host = None if self._resolve else named_host(request.url)
            else:
                host = transfer.take_way(self._egress, request.url)
            if self.certificates is not None:
                transfer.show(self.certificates.of(request.url))
        except (RefusedError, pycurl.error, ValueError, TypeError) as error:
            self._refuse(exchange, error)
            return
        if host is None:
            self._launch(exchange, self._resolve)
        elif pin := self._lookups.ask(exchange, host, request.client, exchange.started_s):
            self._launch(exchange, [pin])

    def _launch(self, exchange: _InFlight[T], pins: Sequence[str]) -> None:
        transfer = exchange.transfer
        try:
            if pins:
                set_pins(transfer.curl, pins)
            self._multi.add_handle(transfer.curl)
        except (pycurl.error, ValueError, TypeError) as error:
            self._refuse(exchange, error)
            return
        self._running[transfer.curl] = exchange

    def _refuse(self, exchange: _InFlight[T], error: Exception) -> None:
        reason = error.reason if isinstance(error, RefusedError) else "protocol"
        self._finished.append((exchange.token, SinkFailure(reason, _unsendable(error), 0)))
        exchange.transfer.curl.close()

    def poll(self, timeout_s: float) -> list[tuple[T, SinkReply]]:
        """Drives the transfers and returns those that finished, in the order of finishing.

        Returns as soon as there is one, when `wake` was called, or after `timeout_s`.
        """
        if self.certificates is not None:
            self.certificates.look()
        until_s = self._clock.monotonic() + timeout_s
        while True:
            self._loop.step(0.0 if self._finished else self._wait_s(until_s))
            self._take_lookups()
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

    def watch(self, fd: int, readable: Callable[[], None]) -> None:
        """Has `poll` call this as long as that descriptor of someone else can be read; see `interrupt`."""
        self._loop.watch(fd, readable)

    def forget(self, fd: int) -> None:
        """No more; to be called before the descriptor is closed."""
        self._loop.forget(fd)

    def interrupt(self) -> None:
        """Makes the `poll` that runs return. From what `poll` calls; `wake` is for other threads."""
        self._woken = True

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
            self._finish(curl, _OK, "", now_s)

    def _wait_s(self, until_s: float) -> float:
        if self._bodies:
            until_s = min(until_s, next(iter(self._bodies.values())))
        if (next_s := self._lookups.next_s) is not None:
            until_s = min(until_s, next_s)
        return until_s - self._clock.monotonic()

    def _take_lookups(self) -> None:
        """Goes on with what has the addresses of its host, and gives up what waited too long for them."""
        for looked_up in self._lookups.finished():
            exchange = looked_up.request
            if looked_up.pin is None:
                self._fail(exchange, looked_up.fault)
            else:
                exchange.transfer.shorten(self._elapsed_ms(exchange))
                self._launch(exchange, [looked_up.pin])

    def _elapsed_ms(self, exchange: _InFlight[T]) -> int:
        return round((self._clock.monotonic() - exchange.started_s) * 1000)

    def _fail(self, exchange: _InFlight[T], detail: str) -> None:
        # Through a proxy it is the proxy's name that has no addresses.
        reason = "proxy" if exchange.transfer.proxied else "dns"
        self._finished.append(
            (exchange.token, SinkFailure(reason, one_line(detail), self._elapsed_ms(exchange)))
        )
        self._spare_or_close(exchange.transfer)

    def close(self) -> None:
        """Drops what is in flight and every connection. Repeating it does nothing."""
        if self._closed:
            return
        self._closed = True
        for exchange in self._running.values():
            self._multi.remove_handle(exchange.transfer.curl)
            exchange.transfer.curl.close()
        for exchange in self._lookups.close():
            exchange.transfer.curl.close()
        self._running.clear()
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
        if self._egress is not None:
            self._egress.close()

    def _collect(self) -> None:
        while True:
            queued, succeeded, failed = self._multi.info_read()
            now_s = self._monotonic()
            for curl in succeeded:
                self._finish(curl, _OK, "", now_s)
            for curl, code, message in failed:
                self._finish(curl, code, message, now_s)
            if not queued:
                return

    def _finish(self, curl: Any, code: int, message: str, now_s: float) -> None:
        exchange = self._running.pop(curl)
        if self._bodies:
            self._bodies.pop(curl, None)
        self._multi.remove_handle(curl)
        elapsed_ms = round((now_s - exchange.started_s) * 1000)
        self._finished.append((exchange.token, exchange.transfer.reply(code, message, elapsed_ms)))
        self._spare_or_close(exchange.transfer)

    def _spare_or_close(self, transfer: Transfer) -> None:
        if len(self._spare) < _SPARE_HANDLES:
            self._spare.append(transfer)
        else:
            transfer.curl.close()

    def _new_transfer(self) -> Transfer:
        curl = new_handle(self._limits, self._bundle.path)
        if self._egress is not None:
            self._egress.set_up(curl)
        return Transfer(
            curl, self._limits, self._policy, on_head=self._headed.append, on_socket=self._loop.opening
        )
