"""Options that several commands share."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from webrtc_events.core.settings import Settings


__all__ = ["SLOT_OPTION", "config_option", "data_option", "given_environ", "read_settings"]

SLOT_OPTION = "--metrics-slot"
"""By which a child of a worker's parent is given a descriptor and a number: where it writes its metrics."""

_CONFIG = "WEBRTC_EVENTS_CONFIG"
_DATA_DIR = "WEBRTC_EVENTS_DATA_DIR"


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=_DATA_DIR,
        help=f"The directory for keys, certificates and the store.  [env: {_DATA_DIR}; default: "
        "$XDG_DATA_HOME/webrtc-events or ~/.local/share/webrtc-events]",
    )(command)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """For a command that reads settings: by `read_settings`, or from `given_environ`."""

    def keep(context: click.Context, _option: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.meta[_CONFIG] = str(Path(value).absolute())

    return click.option(
        "--config",
        metavar="FILE",
        expose_value=False,
        callback=keep,
        help=f"A TOML file of settings; the environment wins over it.  [env: {_CONFIG}]",
    )(command)


def given_environ() -> Mapping[str, str]:
    """The environment of the command under way, if one is, in which `--config` names the file of settings."""
    context = click.get_current_context(silent=True)
    named = None if context is None else context.meta.get(_CONFIG)
    return os.environ if named is None else os.environ | {_CONFIG: named}


def read_settings() -> "Settings":
    """
    Raises:
        SettingsError: see `Settings.from_environ`.
    """
    from webrtc_events.core.settings import Settings

    return Settings.from_environ(given_environ())
