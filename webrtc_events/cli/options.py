"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["SLOT_OPTION", "data_option"]

SLOT_OPTION = "--metrics-slot"
"""By which a child of a worker's parent is given a descriptor and a number: where it writes its metrics."""

_DATA_DIR = "WEBRTC_EVENTS_DATA_DIR"


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=_DATA_DIR,
        help=f"The directory for keys, certificates and the store.  [env: {_DATA_DIR}; default: "
        "$XDG_DATA_HOME/webrtc-events or ~/.local/share/webrtc-events]",
    )(command)
