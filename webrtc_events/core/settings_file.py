"""The file of settings: TOML with a key for each setting, and the line in which each stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webrtc_events.core.setting_files import MAX_SETTINGS_BYTES, read_text

__all__ = ["SettingsFile", "read_settings_file"]

_PLACE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")

# A key, or the head of a table.
_KEY = r"""^[ \t]*(?:\[+[ \t]*)?(["']?){}\1[ \t]*[=.\]]"""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """`settings`: the values, as TOML has them."""

    path: Path
    settings: Mapping[str, Any]
    text: str = field(repr=False)

    def place(self, name: str) -> str:
        """Where a setting stands, as compilers write it; the file alone where its line cannot be found."""
        # Each look goes through the file, so not for all that it names.
        line = _line(self.text, name)
        return str(self.path) if line is None else f"{self.path}:{line}"


def read_settings_file(path: Path) -> SettingsFile:
    """
    Raises:
        ValueError: names the file, its line if there is one, what is wrong and what to do. It repeats no
            value.
    """
    try:
        # As editors of any system end lines; TOML itself refuses a carriage return alone.
        text = read_text(path, MAX_SETTINGS_BYTES).replace("\r\n", "\n")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not text.strip():
        raise ValueError(f"{path}: the file is empty: write settings into it, or do not name it")
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_damage(path, str(error))) from None
    except RecursionError:
        raise ValueError(f"{path}: the file nests values too deep: write one value or a list") from None
    return SettingsFile(path, document, text)


def _damage(path: Path, message: str) -> str:
    place = _PLACE.search(message)
    line = f":{place[1]}" if place and place[1] else ""
    column = f" in column {place[2]}" if place and place[2] else " at its end" if place else ""
    what = _PLACE.sub("", message)
    return f"{path}{line}: the file is not valid TOML{column}: {what}. Texts stand in double quotes"


def _line(text: str, name: str) -> int | None:
    """In which line, from 1 on, the top-level key stands. tomllib does not tell."""
    found = [match.start() for match in re.finditer(_KEY.format(re.escape(name)), text, re.MULTILINE)]
    if len(found) > 1:
        # The same words within a text of several lines.
        found = [start for start in found if _is_between_keys(text[:start])]
    return text.count("\n", 0, found[0]) + 1 if found else None


def _is_between_keys(text: str) -> bool:
    import tomllib

    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True
