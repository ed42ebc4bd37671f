"""How many readers a process serves at once, and how many of them may be one client's. Pure."""

from collections import Counter

from webrtc_events.core.errors import TooManyRequests, Unavailable

__all__ = ["ReaderPlaces"]

_RETRY = {"Retry-After": "10"}
# As with permits of sinks (delivery/shares.py): a client may have four times what it leaves to others, and
# the last sixteenth is for clients that have little.
_TIMES_WHAT_IS_LEFT = 4
_LAST, _LITTLE = 16, 8


class ReaderPlaces:
    """A client alone may have four fifths of them; the more clients there are, the less each has.

    So whoever comes finds a place, however many another takes. Source: Choudhury and Hahne, Dynamic Queue
    Length Thresholds, 1998.
    """

    def __init__(self, max_readers: int) -> None:
        self._max = max_readers
        self._last = max_readers // _LAST
        self._left = max_readers
        self._used: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        return self._max - self._left

    def take(self, client: str) -> None:
        """One more is that client's, until it is given back.

        Raises:
            TooManyRequests: the client has its share.
            Unavailable: all are taken, by others.
        """
        own = self._used[client]
        if own and (own >= _TIMES_WHAT_IS_LEFT * self._left or (own >= _LITTLE and self._left <= self._last)):
            raise TooManyRequests("The client has too many readers here; try again later.", headers=_RETRY)
        if not self._left:
            raise Unavailable(
                "As many readers as CHANNEL_READERS permits are here; try again.", headers=_RETRY
            )
        self._used[client] += 1
        self._left -= 1

    def give(self, client: str) -> None:
        self._left += 1
        self._used[client] -= 1
        if not self._used[client]:
            del self._used[client]
