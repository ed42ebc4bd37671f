"""A worker's host limiter on a simulated clock: subscriptions with a backlog, and paths that never answer."""

from collections import Counter
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import NamedTuple

from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Healthy, Unreachable

_TIMEOUT_S = 10.0
# How long a sink takes to answer.
_ANSWER_S = 0.005
# Of one claim.
_EVENTS = 16
# How often a dispatcher looks for what is overdue.
_LOOK_S = 0.5


class Path(NamedTuple):
    """One subscription: its events go there one after the other."""

    host: str
    name: str
    client: str = "c"

    @property
    def hangs(self) -> bool:
        return self.name.startswith("hangs")


class SimulatedWorker:
    """Claims whatever is due, and retries what timed out after a while that grows, as a dispatcher does.

    `request_s`: what each costs its thread. `asked` and `delivered`: moments, by path. `hanging`: requests
    in flight to paths that hang, by host.
    """

    def __init__(self, paths: Iterable[Path], events: int, request_s: float = 0.0001) -> None:
        self._random = Random(1)
        self._request_s = request_s
        self.limiter: HostLimiter[Path] = HostLimiter(HostLimits(), self._random.random)
        self.now_s = 0.0
        self.left = dict.fromkeys(paths, events)
        self.delivered: dict[Path, list[float]] = {path: [] for path in self.left}
        self.asked: dict[Path, list[float]] = {path: [] for path in self.left}
        self.permits: dict[Permit, Path] = {}
        self.hanging: Counter[str] = Counter()
        self.max_hanging: Counter[str] = Counter()
        self._order = count()
        self._happens: list[tuple[float, int, Path | None, Permit | None]] = []
        paths = list(self.left)
        self._random.shuffle(paths)
        for path in paths:
            self._at(0.0, path)
        self._at(0.0, None)

    def _at(self, moment_s: float, path: Path | None, permit: Permit | None = None) -> None:
        heappush(self._happens, (moment_s, next(self._order), path, permit))

    def run(self, until_s: float) -> "SimulatedWorker":
        """Until then, or until all that answers has its events."""
        while self._happens and self._happens[0][0] < until_s:
            if not any(left for path, left in self.left.items() if not path.hangs):
                break
            moment_s, _, path, permit = heappop(self._happens)
            # One thread: what happens while it is at work comes later.
            self.now_s = max(self.now_s, moment_s)
            if path is None:
                self._look()
            elif permit is None:
                self._go_on(path)
            else:
                self._replied(path, permit)
        return self

    def _look(self) -> None:
        for host in self.limiter.to_probe(self.now_s):
            self._resume(host)
        while (new := self.limiter.next_new(self.now_s)) is not None:
            self._go_on(new)
        for late in self.limiter.overdue(self.now_s):
            self._go_on(late)
        next_s = self.limiter.next_probe_s
        self._at(min(self.now_s + _LOOK_S, self.now_s + _LOOK_S if next_s is None else next_s), None)

    def _resume(self, host: str) -> None:
        while (waiting := self.limiter.next_waiting(host, self.now_s)) is not None:
            self._go_on(waiting)

    def _go_on(self, path: Path) -> None:
        if not self.left[path]:
            return
        entry = self.limiter.acquire(path.host, path.client, path, self.now_s, path=hash(path), accepted_ms=0)
        if isinstance(entry, Deferred):
            self._at(self.now_s + entry.delay_s, path)
        elif entry is not None:
            self.now_s += self._request_s
            self.permits[entry] = path
            self.asked[path].append(self.now_s)
            self.hanging[path.host] += path.hangs
            self.max_hanging[path.host] = max(self.max_hanging[path.host], self.hanging[path.host])
            self._at(self.now_s + (_TIMEOUT_S if path.hangs else _ANSWER_S), path, entry)

    def _replied(self, path: Path, permit: Permit) -> None:
        del self.permits[permit]
        self.hanging[path.host] -= path.hangs
        self.limiter.release(permit, Unreachable() if path.hangs else Healthy(), self.now_s)
        if path.hangs:
            longest_s = min(60.0, 2.0 ** (len(self.asked[path]) - 1))
            self._at(self.now_s + longest_s * self._random.random(), path)
        else:
            self.left[path] -= 1
            self.delivered[path].append(self.now_s)
            if self.left[path] % _EVENTS:
                self._go_on(path)
            else:
                self._at(self.now_s, path)
        self._resume(path.host)


def paths(hosts: int, answering: int, hanging: int, client: str = "c") -> list[Path]:
    """So many of each kind at each host."""
    return [
        Path(f"h{host}", f"{kind}-{number}", client)
        for host in range(hosts)
        for kind, size in (("answers", answering), ("hangs", hanging))
        for number in range(size)
    ]
