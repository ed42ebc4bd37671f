"""When a refusal of one request is more than an accident, so that the queue need not wait for it."""

from collections import OrderedDict
from typing import Final

from webrtc_events.core.clock import Clock

__all__ = ["Refusals"]

_MIN_TRIES: Final = 5
_MIN_S: Final = 60.0
_QUIET_S: Final = 600.0
_MAX_IN_A_ROW: Final = 100
_MAX_KNOWN: Final = 10_000


class Refusals:
    """For one thread. A request is of a stream: a registration, or a media session, by any name.

    The first refusal holds the queue for a minute. After it was set aside, the next ones within ten minutes
    hold it no more, so that many bad ones cost no minute each. But where a hundred were set aside and nothing
    was taken between them, each takes its minute again: it may be the service that is wrong, not they.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._head = ""
        self._tries = 0
        self._since_s = 0.0
        self._known: OrderedDict[str, None] = OrderedDict()
        self._quick_until_s = 0.0
        self._in_a_row = 0

    def is_lasting(self, stream: str) -> bool:
        """Called with each refusal of the head: whether it has been so for long enough to be no accident."""
        now_s = self._clock.monotonic()
        if stream in self._known or (now_s < self._quick_until_s and self._in_a_row < _MAX_IN_A_ROW):
            return True
        if stream != self._head:
            self._head, self._tries, self._since_s = stream, 0, now_s
        self._tries += 1
        return self._tries >= _MIN_TRIES and now_s - self._since_s >= _MIN_S

    def set_aside(self, stream: str) -> None:
        """It was lasting, and the service takes others."""
        self._quick_until_s = self._clock.monotonic() + _QUIET_S
        self._in_a_row += 1
        self._head = ""
        self._known[stream] = None
        self._known.move_to_end(stream)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def taken(self, stream: str) -> None:
        """The service has decided on a request of it."""
        self._known.pop(stream, None)
        self._in_a_row = 0
        if stream == self._head:
            self._head = ""
