"""When deferred tasks come back: at a bounded rate in all, which clients share. Pure.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["Deferrals", "Deferred"]


@dataclass(frozen=True, slots=True)
class Deferred:
    """The task goes back to the store and comes again after `delay_s`.

    `unreachable`: because its host does not answer; else because the host is busy or asked for less, or the
    egress proxy fails.
    """

    delay_s: float
    unreachable: bool


class Deferrals:
    """One after the other of each client, `per_s` a second of all, and at most `max_s` later."""

    def __init__(self, per_s: float, max_s: float) -> None:
        self._per_s = per_s
        self._max_s = max_s
        # When the latest of each client comes back; the client deferred most recently is last.
        self._latest_s: OrderedDict[str, float] = OrderedDict()

    def delay_s(self, client: str, now_s: float) -> float:
        """How much later one more of that client comes back than it could."""
        latest_s = max(self._latest_s.pop(client, now_s), now_s)
        while self._latest_s and next(iter(self._latest_s.values())) <= now_s:
            self._latest_s.popitem(last=False)
        latest_s = min(latest_s + (len(self._latest_s) + 1) / self._per_s, now_s + self._max_s)
        self._latest_s[client] = latest_s
        return latest_s - now_s
