"""Hosts that became unreachable at the same time are probed once one of them is back. Pure.

What made several hosts unreachable together may be over for all: the network of this worker, or one that they
share. So each host that is back has two others probed before their cool-downs are over. If they are back too,
each has two more probed, and all are found within moments; if not, that was all. A host is probed early once
in an outage.

Times are seconds of one monotonic clock.
"""

from collections import OrderedDict

__all__ = ["HostOutages"]

_PROBES = 2
_TOGETHER_S = 5.0


class HostOutages:
    """Of at most `max_hosts` hosts: of more, those unreachable for longest are no longer probed early."""

    def __init__(self, max_hosts: int) -> None:
        self._max_hosts = max_hosts
        # Since when each is unreachable, the latest last. Without those that were probed early.
        self._since_s: OrderedDict[str, float] = OrderedDict()

    def begin(self, host: str, now_s: float) -> None:
        """The host has become unreachable."""
        self._since_s[host] = now_s
        self._since_s.move_to_end(host)
        if len(self._since_s) > self._max_hosts:
            self._since_s.popitem(last=False)

    def end(self, host: str, since_s: float) -> list[str]:
        """The host, unreachable since then, is back. Returns those to be probed, the latest first."""
        self._since_s.pop(host, None)
        found: list[str] = []
        while self._since_s and len(found) < _PROBES:
            latest, latest_s = next(reversed(self._since_s.items()))
            if latest_s < since_s - _TOGETHER_S:
                break
            found.append(latest)
            del self._since_s[latest]
        return found
