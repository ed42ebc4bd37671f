"""What keeps a process from starting, said to the person who started it: no traceback, once."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from webrtc_events.errors import NewerRelease, Unavailable
from webrtc_events.settings import SettingsError
from webrtc_events.store import PartitionMismatch
from webrtc_events.store_watch import UnfitStore

__all__ = ["StartFault", "exit_with_fault", "start_fault"]

_FAILED = 1
_NOT_CONFIGURED = 2


@dataclass(frozen=True, slots=True)
class StartFault:
    """`status` is the process's exit status: 2 for settings, which no restart mends, else 1."""

    text: str
    status: int


def start_fault(error: Exception) -> StartFault | None:
    """None: `error` is a bug, whose traceback is wanted."""
    match error:
        case SettingsError(faults=faults):
            lines = ["the settings are not right:", *(f"  {fault}" for fault in faults)]
            return StartFault("\n".join(lines), _NOT_CONFIGURED)
        case PartitionMismatch() | UnfitStore():
            return StartFault(str(error), _FAILED)
        case NewerRelease():
            return StartFault("a newer release keeps this; run the command of that release", _FAILED)
        case Unavailable():
            return StartFault(f"WEBRTC_EVENTS_REDIS_URL: {error.__cause__ or error}", _FAILED)
    return None


@contextmanager
def exit_with_fault(status: int | None = None) -> Iterator[None]:
    """Ends the process, with `status` in place of the fault's own, if what is inside cannot start."""
    try:
        yield
    except Exception as error:
        fault = start_fault(error)
        if fault is None:
            raise
        print(f"webrtc-events: {fault.text}", file=sys.stderr)
        sys.exit(fault.status if status is None else status)
