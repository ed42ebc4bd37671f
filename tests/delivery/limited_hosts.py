"""A host limiter on a simulated clock."""

from itertools import count

from webrtc_events.delivery.deferrals import Deferred
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Healthy, HostSignal, Unreachable

LIMITS = HostLimits(in_flight=8, connections=8, permits=512, waiting=1024, hosts=100)
HEALTHY = Healthy()


class Yard:
    """A limiter with its clock moved by hand, and tasks that are numbers."""

    def __init__(self, limits: HostLimits = LIMITS, random: float = 0.5) -> None:
        self.limiter: HostLimiter[int] = HostLimiter(limits, lambda: random)
        self.now_s = 100.0
        self._tasks = count()

    def acquire(
        self, host: str = "h", client: str = "c", accepted_ms: int = 0, path: int = 0
    ) -> Permit | Deferred | None:
        task = next(self._tasks)
        return self.limiter.acquire(host, client, task, self.now_s, path=path, accepted_ms=accepted_ms)

    def permits(self, host: str = "h") -> list[Permit]:
        """All permits that the host has for now; the task that came after them waits or is deferred."""
        found = []
        while isinstance(permit := self.acquire(host), Permit):
            found.append(permit)
        return found

    def release(self, *permits: Permit, signal: HostSignal | None = HEALTHY) -> None:
        for permit in permits:
            self.limiter.release(permit, signal, self.now_s)

    def resume(self, host: str = "h") -> dict[int, Permit | Deferred | None]:
        """The tasks that need to wait no longer, and what became of them."""
        found = {}
        while (task := self.limiter.next_waiting(host, self.now_s)) is not None:
            found[task] = self.limiter.acquire(host, "c", task, self.now_s, path=0, accepted_ms=0)
        return found

    def later(self, seconds: float) -> None:
        self.now_s += seconds

    def warm(self, host: str = "h", answers: int = 16, seconds: float = 0.005) -> "Yard":
        """The host has answered, and has its whole limit."""
        for _ in range(answers):
            permit = self.acquire(host)
            assert isinstance(permit, Permit)
            self.later(seconds)
            self.release(permit)
        return self

    def break_off(self, host: str = "h") -> None:
        permit = self.acquire(host)
        assert isinstance(permit, Permit)
        self.later(10)
        self.release(permit, signal=Unreachable())
