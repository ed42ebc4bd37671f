"""The file of a call: its trace as JSON, to be kept or sent, and read again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.clock import format_time
from webrtc_events.core.errors import InvalidArgument

__all__ = ["MAX_FILE_BYTES", "CallFile", "read_call_file", "written_call_file"]

MAX_FILE_BYTES: Final = 2 << 20

_FORMAT = "webrtc-events call trace"
_VERSION = 1
# A trace has 500; a file may have been put together from several.
_MAX_ENTRIES = 20_000
_LEVELS = ("metadata", "full")


@dataclass(frozen=True, slots=True)
class CallFile:
    """`level`: `full` with what was sent, else `metadata`. All texts are those of whoever wrote the file."""

    session: str
    exported_at: str
    level: str
    entries: Sequence[object]


def written_call_file(session: str, entries: Sequence[object], level: str, now_ms: int) -> str:
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "session": session,
        "exportedAt": format_time(now_ms),
        "level": level if level in _LEVELS else _LEVELS[0],
        "entries": list(entries),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def read_call_file(content: bytes) -> CallFile:
    """Entries may be damaged: whoever shows them says so.

    Raises:
        InvalidArgument: it is no such file. The message does not repeat what is in it.
    """
    document = parse_json(content.removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise InvalidArgument(f'This is no file of a call: it does not say "format": "{_FORMAT}".')
    if document.get("version") != _VERSION:
        raise InvalidArgument(f"This file is of another version; this release reads version {_VERSION}.")
    entries = document.get("entries")
    if not isinstance(entries, list):
        raise InvalidArgument("The file has no list of entries.")
    if len(entries) > _MAX_ENTRIES:
        raise InvalidArgument(f"The file has more than {_MAX_ENTRIES:,} entries.")
    level = _text(document, "level")
    return CallFile(
        session=_text(document, "session") or "without a session",
        exported_at=_text(document, "exportedAt"),
        level=level if level in _LEVELS else _LEVELS[0],
        entries=entries,
    )


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
