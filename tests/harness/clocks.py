"""A clock of the test's own."""

__all__ = ["NOW", "SteppedClock"]

NOW = 1_800_000_000.0
"""The wall-clock time at which a `SteppedClock` begins, in s since the epoch."""


class SteppedClock:
    """Stands still until it is moved: `elapsed` are the seconds since it began."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> float:
        return NOW + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds
