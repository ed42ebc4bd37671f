"""When what was sent away comes back: at a bounded rate in all, which clients share. Pure.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict

__all__ = ["ComingBack"]


class ComingBack:
    """One after the other of each client, `per_s` a second of all, and at most `most_s` later."""

    def __init__(self, per_s: float, most_s: float) -> None:
        self._per_s = per_s
        self._most_s = most_s
        # When the latest of each client comes back; who sent one away most recently is last.
        self._latest_s: OrderedDict[str, float] = OrderedDict()

    def delay_s(self, client: str, now_s: float) -> float:
        """How much later one more of that client comes back than it could."""
        latest_s = max(self._latest_s.pop(client, now_s), now_s)
        while self._latest_s and next(iter(self._latest_s.values())) <= now_s:
            self._latest_s.popitem(last=False)
        latest_s = min(latest_s + (len(self._latest_s) + 1) / self._per_s, now_s + self._most_s)
        self._latest_s[client] = latest_s
        return latest_s - now_s
