"""Names to addresses, looked up in threads of our own, so that names that hang hold back no others.

libcurl has twenty threads for this and takes two of them for a name, for as long as the system's
resolver tries: ten names that hang stop every new connection for ten seconds. Here a name has one
thread at most, and threads are kept apart by what is known of their names: those found before,
those new, and those whose last lookup failed, took too long or was given up. Of each kind a client may
have as many threads at work as it leaves to the others.

An answer is used for a minute. After that it is still used while it is looked up anew, for an hour
if that fails: so names that are in use do not depend on how the resolver feels. Which addresses may
be connected to is judged elsewhere, at every connection.
"""

import re
import socket
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from queue import SimpleQueue
from urllib.parse import urlsplit

from webrtc_events.core.clock import Clock

__all__ = ["Lookup", "LookupResult", "NamedHost", "Resolver", "named_host", "system_lookup"]

Lookup = Callable[[str], Sequence[str]]
"""The addresses of a name. Raises OSError (socket.gaierror) if there are none."""

_FRESH_S = 60.0
_USABLE_S = 3600.0
_NAMES = 20_000
# A lookup that takes longer makes its name a suspect.
_SLOW_S = 2.0
# Who asked has given up by then; a lookup that waited so long for a thread is not done.
_PATIENCE_S = 5.0
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
    took_s: float


@dataclass(slots=True)
class _Known:
    """What is known of a name, and when it was last asked for."""

    addresses: tuple[str, ...] = ()
    found_s: float = float("-inf")
    looked_up_s: float = float("-inf")
    asked_s: float = float("-inf")
    suspect: bool = False


class _Crew:
    """Threads that do one thing after another, started as they are needed. Clients take turns."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tasks: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._at_work: Counter[str] = Counter()
        self._threads = 0
        self._closed = False
        self._changed = threading.Condition()

    def do(self, task: Callable[[], None], client: str) -> None:
        with self._changed:
            self._tasks.setdefault(client, deque()).append(task)
            if self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._run, name="resolver", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while (found := self._next()) is not None:
            client, task = found
            try:
                task()
            finally:
                self._done(client)

    def _next(self) -> tuple[str, Callable[[], None]] | None:
        """Waits for something to do, and for whom. None: the crew is closed."""
        with self._changed:
            while not self._closed:
                client = self._whose_turn()
                if client is not None:
                    self._at_work[client] += 1
                    return client, self._take(client)
                self._changed.wait()
        return None

    def _whose_turn(self) -> str | None:
        left = self._size - self._at_work.total()
        return next((client for client in self._tasks if self._at_work[client] < left), None)

    def _take(self, client: str) -> Callable[[], None]:
        tasks = self._tasks[client]
        task = tasks.popleft()
        if tasks:
            self._tasks.move_to_end(client)
        else:
            del self._tasks[client]
        return task

    def _done(self, client: str) -> None:
        with self._changed:
            self._at_work[client] -= 1
            if not self._at_work[client]:
                del self._at_work[client]
            # There may be something for more than this one thread: of each client there may be more at work.
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Resolver:
    """Belongs to one thread. `wake` is called, from another, when there is something in `finished`."""

    def __init__(self, clock: Clock, wake: Callable[[], None], lookup: Lookup = system_lookup) -> None:
        self._clock = clock
        self._wake = wake
        self._lookup = lookup
        self._names: OrderedDict[str, _Known] = OrderedDict()
        self._under_way: set[str] = set()
        self._results: SimpleQueue[tuple[str, LookupResult | None]] = SimpleQueue()
        self._known = _Crew(_THREADS_FOR_KNOWN)
        self._new = _Crew(_THREADS_FOR_NEW)
        self._suspects = _Crew(_THREADS_FOR_SUSPECTS)

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
        for crew in (self._known, self._new, self._suspects):
            crew.close()

    def _start(self, name: str, known: _Known, client: str, now_s: float) -> None:
        if name in self._under_way:
            return
        self._under_way.add(name)
        known.looked_up_s = now_s
        crew = self._suspects if known.suspect else self._known if known.addresses else self._new
        crew.do(partial(self._look_up, name, known), client)

    def _learn(self, result: LookupResult) -> None:
        known = self._names.get(result.name)
        if known is None:
            return
        known.suspect = not result.addresses or result.took_s > _SLOW_S
        if result.addresses:
            known.addresses, known.found_s = result.addresses, self._clock.monotonic()
        elif result.gone:
            known.addresses, known.found_s = (), float("-inf")

    def _look_up(self, name: str, known: _Known) -> None:
        """In a thread of a crew."""
        result = None
        try:
            started_s = self._clock.monotonic()
            if started_s - known.asked_s < _PATIENCE_S:
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
