"""Requests that wait for the addresses of their host."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from webrtc_events.core.clock import Clock
from webrtc_events.sinks.resolver import Lookup, NamedHost, Resolver

__all__ = ["LookedUp", "PendingLookups"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LookedUp(Generic[T]):
    """A request that waits no longer. `pin`: the addresses for libcurl; None for a `fault`."""

    request: T
    pin: str | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Pending:
    host: NamedHost
    give_up_s: float


class PendingLookups(Generic[T]):
    """Belongs to one thread. A request is given up after `max_wait_ms`; `wake`: see `Resolver`."""

    def __init__(self, clock: Clock, wake: Callable[[], None], lookup: Lookup, max_wait_ms: int) -> None:
        self._clock = clock
        self._max_wait_ms = max_wait_ms
        self._resolver = Resolver(clock, wake, lookup)
        # The first to give up first.
        self._pending: dict[T, _Pending] = {}
        self._by_name: dict[str, list[T]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def ask(self, request: T, host: NamedHost, client: str, now_s: float) -> str | None:
        """The pin for the request if its host's addresses are known; None: it waits, see `finished`."""
        addresses = self._resolver.ask(host.name, client)
        if addresses:
            return _pin(host, addresses)
        self._pending[request] = _Pending(host, now_s + self._max_wait_ms / 1000)
        self._by_name.setdefault(host.name, []).append(request)
        return None

    @property
    def next_s(self) -> float | None:
        """When the next request is given up; None if none waits."""
        first = next(iter(self._pending.values()), None)
        return None if first is None else first.give_up_s

    def finished(self) -> Iterator[LookedUp[T]]:
        """What has the addresses of its host, and what waited too long for them."""
        for result in self._resolver.finished():
            for request in self._by_name.pop(result.name, ()):
                pending = self._pending.pop(request, None)
                if pending is not None:
                    pin = _pin(pending.host, result.addresses) if result.addresses else None
                    yield LookedUp(request, pin, result.fault)
        while (next_s := self.next_s) is not None and next_s <= self._clock.monotonic():
            request = next(iter(self._pending))
            del self._pending[request]
            yield LookedUp(request, None, f"no addresses within {self._max_wait_ms} ms")

    def close(self) -> list[T]:
        """Everything that waits; nothing does any longer."""
        self._resolver.close()
        waiting = list(self._pending)
        self._pending.clear()
        return waiting


def _pin(host: NamedHost, addresses: Sequence[str]) -> str:
    """For `curl_options.set_pins`. The plus lets libcurl forget it after a while."""
    quoted = (f"[{address}]" if ":" in address else address for address in addresses)
    return f"+{host.name}:{host.port}:{','.join(quoted)}"
