"""Requests that a process answered, by operation: how many with which status, and how long they took."""

from webrtc_events.core.histogram import Histogram
from webrtc_events.telemetry.families import HTTP_BOUNDS_S, PREFLIGHT, UNKNOWN

__all__ = ["RequestCounts"]


class RequestCounts:
    """`operations`: the words that there are; any other one counts as UNKNOWN. One thread counts at a time.

    What a request says never becomes a label: not its path, not its method.
    """

    def __init__(self, operations: "frozenset[str]") -> None:
        self._operations = operations | {PREFLIGHT, UNKNOWN}
        self.answered: dict[tuple[str, ...], float] = {}
        self.seconds: dict[str, Histogram] = {}

    def note(self, operation: str, status: int, seconds: float) -> None:
        """The head of the answer is being sent, `seconds` after the request came."""
        if operation not in self._operations:
            operation = UNKNOWN
        key = operation, str(status)
        self.answered[key] = self.answered.get(key, 0) + 1
        histogram = self.seconds.get(operation)
        if histogram is None:
            histogram = self.seconds[operation] = Histogram(HTTP_BOUNDS_S)
        histogram.observe(seconds)
