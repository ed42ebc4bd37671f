"""What a setting is, before there is a text for it: a field, and the error of all that are wrong."""

from collections.abc import Callable
from dataclasses import field
from typing import Any, Final

__all__ = ["OPEN_TELEMETRY", "PREFIX", "SettingsError", "setting", "variable_of"]

PREFIX: Final = "WEBRTC_EVENTS_"

OPEN_TELEMETRY: Final = "otel_"
"""With it begin the settings whose names are OpenTelemetry's."""


class SettingsError(Exception):
    """Every fault of the settings at once, each with the setting's name and where it stands."""

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join(faults))


def setting(parse: Callable[[str], Any], default: str | None, help_: str, *, secret: bool = False) -> Any:
    """A field with what is needed to fill it. `default` None: must be given."""
    meta = {"parse": parse, "default": default, "help": help_, "secret": secret}
    return field(metadata=meta, repr=not secret)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return name.upper() if name.startswith(OPEN_TELEMETRY) else PREFIX + name.upper()
