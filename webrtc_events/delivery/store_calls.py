"""Whether the store answers within one round of a dispatcher; an outage may be of some of its nodes only."""

from collections.abc import Callable
from typing import TypeVar

from webrtc_events.core.errors import Unavailable

__all__ = ["REPEAT_S", "StoreCalls"]

REPEAT_S = 0.2
"""What the store did not answer is asked again after this."""

T = TypeVar("T")


class StoreCalls:
    """The calls to the store of the current round, and whether any was answered."""

    def __init__(self) -> None:
        self._outage: Unavailable | None = None
        self._answered = False

    def begin_round(self) -> None:
        self._outage, self._answered = None, False

    def call(self, method: Callable[[], list[T]]) -> list[T] | None:
        """What the store answers; None for an outage."""
        try:
            found = method()
        except Unavailable as error:
            self._outage = error
            return None
        self._answered = True
        return found

    def check(self) -> None:
        """
        Raises:
            Unavailable: there were calls in this round, and none was answered.
        """
        if self._outage is not None and not self._answered:
            raise self._outage
