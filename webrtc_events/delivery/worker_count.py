"""Whether it is news that another number of workers share the partitions. Pure.

After an outage of the store, or a time in which this process stood still, the store has forgotten who did not
say in time that they run. All that do run say so again, each when it comes to it: until then they only seem
to be gone.

Times are seconds of one monotonic clock.
"""

from typing import Final

__all__ = ["WorkerCount"]

# In that many polls each worker that runs has said so, whenever it noticed that the store is back.
_BEATS: Final = 4
_UNTIL_IT_ANSWERS: Final = float("inf")


class WorkerCount:
    """As one worker hears it, which asks every `poll_s` and is alone until it hears of others."""

    def __init__(self, poll_s: float) -> None:
        self._patience_s = _BEATS * poll_s
        self._known = 1
        self._heard_s = _UNTIL_IT_ANSWERS
        self._counts_from_s = 0.0

    def missed(self) -> None:
        """The store did not answer."""
        self._counts_from_s = _UNTIL_IT_ANSWERS

    def heard(self, workers: int, now_s: float) -> int | None:
        """The store says that so many run. Returns how many did before, if that is news."""
        stood_still = now_s - self._heard_s > self._patience_s
        if stood_still or self._counts_from_s == _UNTIL_IT_ANSWERS:
            self._counts_from_s = now_s + self._patience_s
        self._heard_s = now_s
        if now_s < self._counts_from_s or workers == self._known:
            return None
        before, self._known = self._known, workers
        return before
