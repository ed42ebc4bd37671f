"""Does what was measured over and over grow? Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import median

__all__ = ["Growth", "Trend"]

# Caches fill, and allocators take what they need: that is no growth.
_WARM_UP = 0.25
_MIN_SAMPLES = 4
# Percent.
_MAX_AN_HOUR = 1.0
_MAX_BRIEFLY = 10.0
_LONG_S = 2400.0
_TOO_BRIEF_S = 300.0


@dataclass(frozen=True, slots=True)
class Trend:
    """Of one thing: how far it rose while it was watched, in percent of its median."""

    name: str
    median: float
    highest: float
    percent: float
    watched_s: float
    noise: float = 0.0

    @property
    def percent_an_hour(self) -> float:
        """The growth at that rate, in percent."""
        return self.percent * 3600 / self.watched_s

    @property
    def too_much(self) -> bool:
        """In less than an hour what still fills up looks like a slow leak: only a fast one counts."""
        if self.watched_s < _TOO_BRIEF_S or self.percent / 100 * self.median <= self.noise:
            return False
        return (
            self.percent_an_hour > _MAX_AN_HOUR if self.watched_s >= _LONG_S else self.percent > _MAX_BRIEFLY
        )


class Growth:
    """Takes samples, in order of time. `noise`: by so much may what has that in its name rise in any case."""

    def __init__(self, noise: Mapping[str, float] | None = None) -> None:
        self._noise = noise or {}
        self._samples: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def add(self, at_s: float, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._samples[name].append((at_s, value))

    def trends(self) -> list[Trend]:
        """After the first quarter. What has too few samples has no trend.

        The slope is the median of the slopes between any two samples (Theil and Sen): a few that stand out do
        not count.
        """
        found = []
        for name, samples in self._samples.items():
            kept = samples[int(len(samples) * _WARM_UP) :]
            if len(kept) < _MIN_SAMPLES:
                continue
            middle = median(value for _, value in kept)
            slope = median(
                (value - former) / (at - before) for (before, former), (at, value) in combinations(kept, 2)
            )
            share = slope / middle * 100 if middle else 0.0
            watched_s = kept[-1][0] - kept[0][0]
            highest = max(value for _, value in kept)
            noise = max((percent for part, percent in self._noise.items() if part in name), default=0.0)
            found.append(Trend(name, middle, highest, share * watched_s, watched_s, noise))
        return found
