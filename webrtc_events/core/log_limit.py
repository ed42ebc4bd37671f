"""Keeps one kind of log line from drowning all others."""

from webrtc_events.core.clock import Clock

__all__ = ["LineLimit"]


class LineLimit:
    """Of each kind of line, up to `burst` at once and `burst` more each minute.

    Kinds are few and chosen by the code, never by a client. For one thread at a time.
    """

    def __init__(self, clock: Clock, burst: int = 30) -> None:
        self._clock = clock
        self._burst = burst
        self._kinds: dict[str, _Kind] = {}

    def admit(self, kind: str) -> int | None:
        """How many lines of this kind were left out before this one; None: it is to be left out."""
        now_s = self._clock.monotonic()
        found = self._kinds.setdefault(kind, _Kind(self._burst, now_s))
        return found.admit(self._burst, now_s)


class _Kind:
    """A token bucket, and what did not fit."""

    def __init__(self, burst: int, now_s: float) -> None:
        self._tokens = float(burst)
        self._at_s = now_s
        self._left_out = 0

    def admit(self, burst: int, now_s: float) -> int | None:
        self._tokens = min(burst, self._tokens + (now_s - self._at_s) * burst / 60)
        self._at_s = now_s
        if self._tokens < 1:
            self._left_out += 1
            return None
        self._tokens -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out
