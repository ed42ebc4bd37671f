"""The tasks of a dispatcher that wait: for a permit, for their rate-limit slot, or for a token."""

from collections.abc import Callable, Iterator
from typing import Final

from webrtc_events.delivery.delay_queue import DelayQueue
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.sink_tokens import SinkTokens
from webrtc_events.delivery.tasks import DeliveryTask

__all__ = ["WaitingTasks"]

# How often it is seen whether a new host may be asked.
_NEW_WAIT_S: Final = 0.02


class WaitingTasks:
    """`now_s`: the monotonic clock. What waits for a host that has answered is the limiter's to say."""

    def __init__(
        self, limiter: HostLimiter[DeliveryTask], tokens: SinkTokens, now_s: Callable[[], float]
    ) -> None:
        self._limiter = limiter
        self._tokens = tokens
        self._now_s = now_s
        self._delayed: DelayQueue[DeliveryTask] = DelayQueue()

    def delay(self, task: DeliveryTask, moment_s: float) -> None:
        """Until its rate-limit slot."""
        self._delayed.put(task, moment_s)

    def wait_s(self, now_s: float) -> float:
        """How long none of them may go on; infinite if that depends on replies."""
        waits_s = _NEW_WAIT_S if self._limiter.has_new else float("inf")
        for next_s in (self._delayed.next_s, self._limiter.next_probe_s):
            if next_s is not None:
                waits_s = min(waits_s, next_s - now_s)
        return waits_s

    def due(self) -> Iterator[DeliveryTask]:
        """Those that have their slot now, or may go to a host that is new or late. Each goes on at once."""
        yield from self._delayed.due(self._now_s())
        for host in self._limiter.to_probe(self._now_s()):
            while (waiting := self._limiter.next_waiting(host, self._now_s())) is not None:
                yield waiting
        while (newcomer := self._limiter.next_new(self._now_s())) is not None:
            yield newcomer

    def clear(self) -> list[DeliveryTask]:
        """All of them; none waits any longer."""
        return [*self._limiter.clear(), *self._delayed.clear(), *self._tokens.clear()]
