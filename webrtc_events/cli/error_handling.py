"""Errors of a command as one message to the person who runs it."""

import errno
import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from webrtc_events.core.start_faults import StartFault

__all__ = ["handle_cli_errors", "handle_local_errors"]

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def handle_cli_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Prints what a person can fix, without a traceback. Wrong settings exit with 2, the rest with 1."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except click.ClickException as error:
            from webrtc_events.core.log_start import logs_json, say

            if not logs_json():
                raise
            say(error.format_message(), logging.CRITICAL)
            sys.exit(error.exit_code)
        except Exception as error:
            from webrtc_events.core.start_faults import start_fault

            fault = start_fault(error) or _no_room(error)
            if fault is None:
                raise
            from webrtc_events.core.log_start import say

            say(f"Error: {fault.text}", logging.CRITICAL)
            sys.exit(fault.status)

    return wrapped


def _no_room(error: Exception) -> "StartFault | None":
    """What is printed, or kept in a file, does not fit where it is to go."""
    from webrtc_events.core.start_faults import StartFault

    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        place = f"{error.filename}: " if error.filename else ""
        return StartFault(f"{place}it cannot be written: {error.strerror}. Make room, and run it again", 1)
    return None


def handle_local_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for the commands of one machine, which have errors of `webrtc_events.local` besides."""

    @handle_cli_errors
    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        from webrtc_events.local.local_error import LocalError

        try:
            return command(*args, **options)
        except LocalError as error:
            raise click.ClickException(str(error)) from error

    return wrapped
