"""What keeps a process from starting, said to the person who started it: no traceback, once."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import NewerRelease, Unavailable
from webrtc_events.core.log_start import say
from webrtc_events.core.settings import SettingsError

__all__ = ["CannotStart", "StartFault", "exit_one_of_many", "exit_with_fault", "start_fault"]

_FAILED = 1
_NOT_CONFIGURED = 2
_PAUSE_S = 2.0


class CannotStart(Exception):
    """A process cannot start, for a reason that its text says. `passes`: see `StartFault`."""

    passes: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class StartFault:
    """`status` is the process's exit status: 2 for settings, which no restart mends, else 1.

    `passes`: it may be over by itself, as when the store is back.
    """

    text: str
    status: int
    passes: bool = False


def start_fault(error: Exception) -> StartFault | None:
    """None: `error` is a bug, whose traceback is wanted."""
    match error:
        case SettingsError(faults=faults):
            lines = ["the settings are not right:", *(f"  {fault}" for fault in faults)]
            return StartFault("\n".join(lines), _NOT_CONFIGURED)
        case CannotStart(passes=passes):
            return StartFault(str(error), _FAILED, passes)
        case NewerRelease():
            return StartFault("a newer release keeps this; run the command of that release", _FAILED)
        case Unavailable():
            text = f"WEBRTC_EVENTS_REDIS_URL: {error.__cause__ or error}"
            return StartFault(text, _FAILED, passes=True)
    return None


@contextmanager
def exit_with_fault() -> Iterator[None]:
    """Ends the process with the fault's status if what is inside cannot start."""
    try:
        yield
    except Exception as error:
        fault = start_fault(error)
        if fault is None:
            raise
        _say(fault)
        sys.exit(fault.status)


@contextmanager
def exit_one_of_many(final_status: int, clock: Clock) -> Iterator[None]:
    """The same for a process that others are started beside, and in whose place another is started.

    `final_status` tells who starts them that it is of no use. While a fault may pass, others go on,
    and the next is started after a pause.
    """
    try:
        yield
    except Exception as error:
        fault = start_fault(error)
        if fault is None:
            raise
        _say(fault)
        if not fault.passes:
            sys.exit(final_status)
        clock.sleep(_PAUSE_S)
        sys.exit(fault.status)


def _say(fault: StartFault) -> None:
    say(f"webrtc-events: {fault.text}", logging.CRITICAL)
