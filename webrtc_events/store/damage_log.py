"""Tells the operator of records that cannot be read, with a limit of lines a minute."""

import logging
import re
import threading

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.core.one_line import one_line

__all__ = ["DamageLog"]

log = logging.getLogger(__name__)

_SUBSCRIPTION = re.compile(r"[0-9a-f]{32}-[0-9a-f]{2,8}")
# Names of keys that stand for nobody.
_PLAIN = re.compile(
    r"\{\d+\}:(due|ends|ended|initial|dead|attempts|rebuild|devices|device-ends|channel(-log)?:[0-9a-f]{32})|channel:\{[0-9a-f]{32}\}"
)


class DamageLog:
    """May be used by any thread."""

    def __init__(self, clock: Clock) -> None:
        self._limit = LineLimit(clock)
        self._lock = threading.Lock()

    def report(self, name: str, why: str) -> None:
        """`name` is a subscription's id or the name of a key."""
        with self._lock:
            left_out = self._limit.admit("damaged")
        if left_out is None:
            return
        more = f" ({left_out} lines like it were left out)" if left_out else ""
        if _SUBSCRIPTION.fullmatch(name):
            log.error(
                "damaged subscription=%s: %s. The others go on. Look at it: webrtc-events damaged show %s%s",
                name,
                one_line(why),
                name,
                more,
            )
        else:
            shown = name if _PLAIN.fullmatch(name) else PersonalData(one_line(name))
            log.error(
                "damaged record=%s: %s. The others go on. Find it: webrtc-events damaged list%s",
                shown,
                one_line(why),
                more,
            )
