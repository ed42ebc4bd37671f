"""What goes wrong in a command, told to the person who gave it, without a traceback."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

__all__ = ["handle_cli_errors"]


def handle_cli_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Says what a person can mend. Wrong settings exit with 2, the rest with 1."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        from webrtc_events.local.errors import LocalError

        try:
            return command(*args, **options)
        except LocalError as error:
            raise click.ClickException(str(error)) from error
        except Exception as error:
            from webrtc_events.core.start_faults import start_fault

            fault = start_fault(error)
            if fault is None:
                raise
            click.echo(f"Error: {fault.text}", err=True)
            sys.exit(fault.status)

    return wrapped
