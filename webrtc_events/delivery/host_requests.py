"""The requests in flight to one host, and which of them hang while it answers others. Pure.

| a request | says of its host |
| --- | --- |
| is in turn: none that was started later has been answered | for how long the host has not answered |
| is overtaken: one that was started later has been answered | nothing: the host is there |
| is late: it is overtaken, and takes far longer than usual | nothing: it may be its path |
| hangs: it is late, and its answer would not be prompt | nothing, and its path is slow |
| is of before: the circuit opened since | nothing, of its path neither |

Times are seconds of one monotonic clock.
"""

from typing import Final

from webrtc_events.delivery.host_health import StartedRequest

__all__ = ["HostRequests", "Permit"]


class Permit:
    """Allows one request to a host. `prompt`: it counts as one to a prompt host. `path`: see KnownPaths.

    `slow`: its path is known to hang. `hangs`: it is in flight, and hangs.
    """

    __slots__ = ("client", "hangs", "host", "path", "prompt", "slow", "started")

    def __init__(
        self, host: str, client: str, path: int, started: StartedRequest, *, prompt: bool, slow: bool
    ) -> None:
        self.host: Final = host
        self.client: Final = client
        self.path: Final = path
        self.started: Final = started
        self.prompt: Final = prompt
        self.slow = slow
        self.hangs = False


class HostRequests:
    """By their permits, each kind in the order in which they were started.

    `slow`: how many are of paths that are known to hang, those that hang among them. `overtaken_since_s`:
    none of those that are overtaken or late was started before; infinite if none is.
    """

    __slots__ = (
        "_before",
        "count",
        "hanging",
        "in_turn",
        "late",
        "overtaken",
        "overtaken_since_s",
        "slow",
    )

    def __init__(self) -> None:
        self.in_turn: dict[Permit, None] = {}
        self.overtaken: dict[Permit, None] = {}
        self.late: dict[Permit, None] = {}
        self.hanging: dict[Permit, None] = {}
        self._before: dict[Permit, None] = {}
        self.overtaken_since_s = float("inf")
        self.count = 0
        self.slow = 0

    def age_s(self, now_s: float) -> float:
        """For how long the oldest in turn is in flight; 0 if none is."""
        for oldest in self.in_turn:
            return now_s - oldest.started.at_s
        return 0.0

    def add(self, permit: Permit) -> None:
        self.in_turn[permit] = None
        self.count += 1
        self.slow += permit.slow

    def remove(self, permit: Permit) -> None:
        # First, as most are.
        if permit in self.in_turn:
            del self.in_turn[permit]
        elif permit in self.overtaken:
            del self.overtaken[permit]
        else:
            for kind in (self.late, self.hanging, self._before):
                kind.pop(permit, None)
        self.count -= 1
        self.slow -= permit.slow

    def answered(self, started: StartedRequest) -> None:
        """Those that were started before this one are overtaken."""
        number = started.number
        while self.in_turn:
            oldest = next(iter(self.in_turn))
            if oldest.started.number >= number:
                return
            del self.in_turn[oldest]
            self.overtaken[oldest] = None
            if oldest.started.at_s < self.overtaken_since_s:
                self.overtaken_since_s = oldest.started.at_s

    def open(self) -> None:
        """The circuit opened: all that is in flight is of before."""
        for kind in (self.hanging, self.late, self.overtaken, self.in_turn):
            self._before |= kind
            kind.clear()
        self.overtaken_since_s = float("inf")

    def age(self, now_s: float, late_s: float, hanging_s: float) -> list[Permit]:
        """Those overtaken are late after `late_s` in flight, and hang after `hanging_s`: returns these."""
        _move(self.overtaken, self.late, now_s - late_s)
        found = _move(self.late, self.hanging, now_s - hanging_s)
        for permit in found:
            self.slow += not permit.slow
            permit.slow = permit.hangs = True
        self.overtaken_since_s = float("inf")
        for kind in (self.late, self.overtaken):
            for oldest in kind:
                self.overtaken_since_s = min(self.overtaken_since_s, oldest.started.at_s)
                break
        return found


def _move(source: dict[Permit, None], target: dict[Permit, None], started_s: float) -> list[Permit]:
    """Those that were started by then, the oldest first."""
    found: list[Permit] = []
    for permit in source:
        if permit.started.at_s > started_s:
            break
        found.append(permit)
    for permit in found:
        del source[permit]
        target[permit] = None
    return found
