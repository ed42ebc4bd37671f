"""SIP response codes as statuses of a media session: the one table of all adapters. Pure.

Sources: RFC 3261, section 21; RFC 8197 (607), RFC 8688 (608); network-events.yaml, NetworkSessionState.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = [
    "FINAL_STATUSES",
    "PROVISIONAL_STATUSES",
    "TRIED_AGAIN",
    "SessionStatus",
    "failure_status",
    "provisional_status",
]


class SessionStatus(StrEnum):
    """Source: network-events.yaml, NetworkSessionState."""

    INITIAL = "Initial"
    IN_PROGRESS = "InProgress"
    RINGING = "Ringing"
    PROCEEDING = "Proceeding"
    CONNECTED = "Connected"
    TERMINATED = "Terminated"
    HOLD = "Hold"
    RESUME = "Resume"
    SESSION_CANCELLED = "SessionCancelled"
    DECLINED = "Declined"
    FAILED = "Failed"
    WAITING = "Waiting"
    NO_ANSWER = "NoAnswer"
    NOT_REACHABLE = "NotReachable"
    BUSY = "Busy"


PROVISIONAL_STATUSES: Final[Mapping[int, SessionStatus]] = {
    100: SessionStatus.IN_PROGRESS,
    180: SessionStatus.RINGING,
    181: SessionStatus.IN_PROGRESS,
    182: SessionStatus.WAITING,
    183: SessionStatus.PROCEEDING,
}
"""Any other 1xx says nothing of the session."""

FINAL_STATUSES: Final[Mapping[int, tuple[SessionStatus, SessionStatus]]] = {
    404: (SessionStatus.NOT_REACHABLE, SessionStatus.NOT_REACHABLE),
    408: (SessionStatus.NOT_REACHABLE, SessionStatus.NO_ANSWER),
    410: (SessionStatus.NOT_REACHABLE, SessionStatus.NOT_REACHABLE),
    430: (SessionStatus.NOT_REACHABLE, SessionStatus.NOT_REACHABLE),
    480: (SessionStatus.NOT_REACHABLE, SessionStatus.NO_ANSWER),
    486: (SessionStatus.BUSY, SessionStatus.BUSY),
    487: (SessionStatus.SESSION_CANCELLED, SessionStatus.SESSION_CANCELLED),
    600: (SessionStatus.BUSY, SessionStatus.BUSY),
    603: (SessionStatus.DECLINED, SessionStatus.DECLINED),
    604: (SessionStatus.NOT_REACHABLE, SessionStatus.NOT_REACHABLE),
    607: (SessionStatus.DECLINED, SessionStatus.DECLINED),
    608: (SessionStatus.DECLINED, SessionStatus.DECLINED),
}
"""Before the party called was alerted (no 180 came), and after. Any other code of 300 and above is Failed."""

TRIED_AGAIN: Final = frozenset({401, 407, 422})
"""They end no call: the caller sends its INVITE again, with credentials, or for a longer session interval.

Sources: RFC 3261, sections 22.2 and 22.3; RFC 4028, section 6.
"""


def provisional_status(code: int) -> SessionStatus | None:
    """Of a 1xx; None: it says nothing."""
    return PROVISIONAL_STATUSES.get(code)


def failure_status(code: int, *, alerted: bool) -> SessionStatus:
    """Of a final response that is no 2xx."""
    found = FINAL_STATUSES.get(code)
    return SessionStatus.FAILED if found is None else found[alerted]
