"""What a process says of itself every few seconds, for people who operate it."""

from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["MAX_HOSTS", "HostReport", "HostState", "ProcessReport", "WorkerReport"]

MAX_HOSTS: Final = 50
"""How many hosts a worker names."""


class HostState(StrEnum):
    """What is wrong with a sink's host, the worst first.

    OPEN: it does not answer, and gets a probe now and then. THROTTLED: it asks for less, and gets nothing
    for a moment. SLOW: its answers take longer than a second.
    """

    OPEN = "open"
    THROTTLED = "throttled"
    SLOW = "slow"


class HostReport(msgspec.Struct, frozen=True):
    """A host that is not well. `host`: scheme, name and port.

    `seconds`: since when it is unreachable (OPEN), for how much longer it gets nothing (THROTTLED), how long
    its answers take (SLOW). `in_flight`: requests to it that are under way. `limit`: how many there may be
    at the moment, as it answers; None: a release that does not say.
    """

    host: str
    state: HostState
    seconds: float
    in_flight: int
    limit: int | None = None


class WorkerReport(msgspec.Struct, frozen=True):
    """What a worker has in hand: subscriptions that it has claimed, and requests that are under way.

    `hosts`: those that are not well, the worst first, at most `MAX_HOSTS`. `more_hosts`: how many more
    there are.
    """

    claimed: int = 0
    in_flight: int = 0
    hosts: tuple[HostReport, ...] = ()
    more_hosts: int = 0


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """`role`: `api` or `worker`. `machine`: its host's name. `at_ms`, `started_ms`: by the store's clock.

    `compiled`: whether its delivery path is. `cpu`: shares of a core that it used since its last report.
    `still`: names of its threads that do not come round. `troubles`: what it finds wrong with the store.
    `counts`: since it started, see `Activity`. `worker`: None of what is no worker.
    """

    role: str
    machine: str
    pid: int
    version: str
    at_ms: int
    started_ms: int
    compiled: bool = False
    cpu: float = 0.0
    memory_bytes: int = 0
    still: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    worker: WorkerReport | None = None
