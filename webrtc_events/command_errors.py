"""What goes wrong in a command, told to the person who gave it, without a traceback."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

__all__ = ["store_told", "told"]

_NOT_CONFIGURED = 2


def told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Says what a person can mend. Wrong settings exit with 2, the rest with 1."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        from webrtc_events.local.errors import LocalError
        from webrtc_events.settings import SettingsError

        try:
            return command(*args, **options)
        except SettingsError as error:
            click.echo("Error: the settings are not right:", err=True)
            for fault in error.faults:
                click.echo(f"  {fault}", err=True)
            sys.exit(_NOT_CONFIGURED)
        except LocalError as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def store_told(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a store that cannot be used."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        from webrtc_events.errors import NewerRelease, Unavailable
        from webrtc_events.store import PartitionMismatch

        try:
            return command(*args, **options)
        except PartitionMismatch as error:
            raise click.ClickException(str(error)) from error
        except NewerRelease as error:
            raise click.ClickException(
                "a newer release keeps this; run the command of that release"
            ) from error
        except Unavailable as error:
            raise click.ClickException(f"WEBRTC_EVENTS_REDIS_URL: {error.__cause__ or error}") from error

    return wrapped
