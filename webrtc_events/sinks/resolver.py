"""Name resolution in threads of the client, so that names that hang hold back no others.

libcurl has twenty threads for this and takes two of them for a name, for as long as the system's
resolver tries: ten names that hang stop every new connection for ten seconds. Here a name has one
thread at most, and there is one thread pool for each kind of name: those found before, those new, and
those whose last lookup failed, took too long or was given up.

An answer is used for a minute. After that it is still used while it is looked up anew, for an hour
if that fails: so names in use survive an outage of the resolver. Which addresses may be connected to
is decided elsewhere, at every connection.
"""

import re
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from queue import SimpleQueue
from urllib.parse import urlsplit

from webrtc_events.core.clock import Clock
from webrtc_events.sinks.thread_pool import FairThreadPool

__all__ = ["Lookup", "LookupResult", "NamedHost", "Resolver", "named_host", "system_lookup"]

Lookup = Callable[[str], Sequence[str]]
"""The addresses of a name. Raises OSError (socket.gaierror) if there are none."""

_FRESH_S = 60.0
_USABLE_S = 3600.0
_NAMES = 20_000
# A lookup that takes longer makes its name a suspect.
_SLOW_S = 2.0
# The request has been given up by then; a lookup that waited this long for a thread is not done.
_MAX_WAIT_S = 5.0
# A client that is alone has half of them at work at most.
_THREADS_FOR_KNOWN, _THREADS_FOR_NEW, _THREADS_FOR_SUSPECTS = 16, 64, 32
# The name does not exist: what was known of it is over.
_GONE = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


# Labels of letters, digits, hyphens and underscores, the last of which begins with a letter: addresses,
# in any of their spellings, do not.
_NAME = re.compile(r"([0-9A-Za-z_-]{1,63}\.)*[A-Za-z_][0-9A-Za-z_-]{0,62}")


@dataclass(frozen=True, slots=True)
class NamedHost:
    """A host that has to be looked up."""

    name: str
    port: int


@lru_cache(maxsize=20_000)
def named_host(url: str) -> NamedHost | None:
    """The host of an HTTPS URL, if it is a name; None for an address, and for what is neither."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port or 443
    except ValueError:
        return None
    return NamedHost(name, port) if _NAME.fullmatch(name) else None


def system_lookup(name: str) -> list[str]:
    """As the host's own resolver has it: /etc/hosts, DNS, whatever it is set to."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class LookupResult:
    """Of one lookup: addresses, or why there are none. `gone`: the name does not exist."""

    name: str
    addresses: tuple[str, ...]
    fault: str
    gone: bool
    spent_s: float


@dataclass(slots=True)
class _Known:
    """What is known of a name, and when it was last asked for."""

    addresses: tuple[str, ...] = ()
    found_s: float = float("-inf")
    looked_up_s: float = float("-inf")
    asked_s: float = float("-inf")
    suspect: bool = False


class Resolver:
    """Belongs to one thread. `wake` is called, from another, when there is something in `finished`."""

    def __init__(self, clock: Clock, wake: Callable[[], None], lookup: Lookup = system_lookup) -> None:
        self._clock = clock
        self._wake = wake
        self._lookup = lookup
        self._names: OrderedDict[str, _Known] = OrderedDict()
        self._under_way: set[str] = set()
        self._results: SimpleQueue[tuple[str, LookupResult | None]] = SimpleQueue()
        self._known = FairThreadPool(_THREADS_FOR_KNOWN)
        self._new = FairThreadPool(_THREADS_FOR_NEW)
        self._suspects = FairThreadPool(_THREADS_FOR_SUSPECTS)

    def ask(self, name: str, client: str = "") -> tuple[str, ...]:
        """Its addresses; none if it is being looked up for that client, see `finished`."""
        now_s = self._clock.monotonic()
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = _Known()
            if len(self._names) > _NAMES:
                self._names.popitem(last=False)
        self._names.move_to_end(name)
        known.asked_s = now_s
        usable = now_s - known.found_s <= _USABLE_S
        if not usable or now_s - known.looked_up_s > _FRESH_S:
            self._start(name, known, client, now_s)
        return known.addresses if usable else ()

    def finished(self) -> list[LookupResult]:
        """What was looked up since."""
        results = []
        while not self._results.empty():
            name, result = self._results.get()
            self._under_way.discard(name)
            if result is not None:
                self._learn(result)
                results.append(result)
            elif (known := self._names.get(name)) is not None:
                # It waited behind others of its client that hang.
                known.suspect = not known.addresses
        return results

    def close(self) -> None:
        """Threads end once their lookups do, or with the process."""
        for pool in (self._known, self._new, self._suspects):
            pool.close()

    def _start(self, name: str, known: _Known, client: str, now_s: float) -> None:
        if name in self._under_way:
            return
        self._under_way.add(name)
        known.looked_up_s = now_s
        pool = self._suspects if known.suspect else self._known if known.addresses else self._new
        pool.submit(partial(self._look_up, name, known), client)

    def _learn(self, result: LookupResult) -> None:
        known = self._names.get(result.name)
        if known is None:
            return
        known.suspect = not result.addresses or result.spent_s > _SLOW_S
        if result.addresses:
            known.addresses, known.found_s = result.addresses, self._clock.monotonic()
        elif result.gone:
            known.addresses, known.found_s = (), float("-inf")

    def _look_up(self, name: str, known: _Known) -> None:
        """In a thread of a pool."""
        result = None
        try:
            started_s = self._clock.monotonic()
            if started_s - known.asked_s < _MAX_WAIT_S:
                result = self._ask_system(name, started_s)
        finally:
            self._results.put((name, result))
            self._wake()

    def _ask_system(self, name: str, started_s: float) -> LookupResult:
        addresses: Sequence[str] = ()
        fault, gone = "", False
        try:
            addresses = self._lookup(name)
        except (OSError, UnicodeError) as error:
            fault = getattr(error, "strerror", None) or str(error)
            gone = isinstance(error, socket.gaierror) and error.errno in _GONE
        return LookupResult(name, tuple(addresses), fault, gone, self._clock.monotonic() - started_s)
