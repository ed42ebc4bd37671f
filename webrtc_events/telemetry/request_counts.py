"""Requests that a process answered, by operation: how many with which status, and how long they took."""

from collections.abc import Iterable

from webrtc_events.core.histogram import Histogram
from webrtc_events.telemetry.families import HTTP_BOUNDS_S, PREFLIGHT, UNKNOWN

__all__ = ["RequestCounts"]


class RequestCounts:
    """`operations`: the words that there are; any other one counts as UNKNOWN. One thread counts at a time.

    `apis`: the APIs, with their versions, that have them; versions share words. What is of no API, or of
    another, counts as of none. What a request says never becomes a label: not its path, not its method.
    """

    def __init__(self, operations: Iterable[str], apis: Iterable[str] = ()) -> None:
        self._operations = frozenset((*operations, PREFLIGHT, UNKNOWN))
        self._apis = frozenset(apis)
        self.answered: dict[tuple[str, ...], float] = {}
        self.seconds: dict[str, Histogram] = {}

    def note(self, operation: str, status: int, seconds: float, api: str = "") -> None:
        """The head of the answer is being sent, `seconds` after the request came."""
        if operation not in self._operations:
            operation = UNKNOWN
        key = operation, api if api in self._apis else "", str(status)
        self.answered[key] = self.answered.get(key, 0) + 1
        histogram = self.seconds.get(operation)
        if histogram is None:
            histogram = self.seconds[operation] = Histogram(HTTP_BOUNDS_S)
        histogram.observe(seconds)
