"""What a sink has received: waits for it, and says whether anything is lost, doubled or out of order."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = ["Arrivals", "Verdict", "verdict"]

_POLL_S = 0.02


@dataclass(frozen=True)
class Verdict:
    """Of a drain: how many events never came, came again, or came behind a later one of their target."""

    lost: int
    doubled: int
    overtaken: int


class Arrivals:
    """Reads the sink's file as it grows. Times are seconds since the epoch, to the ms."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self._offset = self._count = 0

    def _read(self) -> int:
        with self._path.open() as file:
            file.seek(self._offset)
            more = file.read()
            self._offset = file.tell()
        self._text += more
        self._count += more.count("\n")
        return self._count

    def wait(self, count: int, timeout_s: float, failed: Callable[[], str | None] = lambda: None) -> None:
        """Returns once `count` requests have come.

        Raises:
            RuntimeError: they did not in time, or `failed` gives a reason.
        """
        until = time.monotonic() + timeout_s
        while (come := self._read()) < count:
            if (reason := failed()) is not None:
                raise RuntimeError(f"{come} of {count} arrived: {reason}")
            if time.monotonic() > until:
                raise RuntimeError(f"{come} of {count} arrived in {timeout_s:.0f} s")
            time.sleep(_POLL_S)

    def all(self) -> list[tuple[float, str]]:
        """Moment and event id of each request, in the order in which they came."""
        self._read()
        found = (line.partition(" ") for line in self._text.splitlines())
        return [(float(moment), event) for moment, _, event in found]


def verdict(events: list[str], targets: int, per_target: int) -> Verdict:
    """`events` are ids `<target>.<number>`, numbered from 1, in the order in which they came."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in events:
        target, _, number = event.rpartition(".")
        numbers[target].append(int(number) if number.isdigit() else 0)
    expected = range(1, per_target + 1)
    distinct = sum(len(set(came).intersection(expected)) for came in numbers.values())
    overtaken = sum(later < earlier for came in numbers.values() for earlier, later in pairwise(came))
    return Verdict(targets * per_target - distinct, len(events) - distinct, overtaken)
