"""Hides what identifies a person in the entries of a trace, whatever state they are in.

What is known to be harmless stays; every other text becomes a pseudonym, the same for the same value, or is
searched for addresses where it is prose. So the form of an entry can still be read, and who is who be told
apart.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from webrtc_events.console.ladder.entries import notification_in
from webrtc_events.core.log_masking import Masking

__all__ = ["EntryMasking"]

# Of entries. `data`, `body`, `sink` and `registration` are masked as what they are.
_HARMLESS = frozenset(
    {
        "kind",
        "session",
        "id",
        "source",
        "time",
        "type",
        "status",
        "subscription",
        "event",
        "outcome",
        "reason",
        "host",
    }
)
# Of the data of events. Source: webrtc-events.yaml and network-events.yaml, schemas of `data`.
_HARMLESS_DATA = frozenset(
    {"status", "mediaSessionId", "subscriptionId", "terminationReason", "type", "timestamp"}
)
_PROSE = frozenset(
    {"reason", "terminationDescription", "callObjectRef", "clientCorrelator", "serverCorrelator"}
)
# Of a CloudEvent.
_HARMLESS_EVENT = frozenset({"id", "source", "specversion", "type", "time", "datacontenttype"})
# As `Masking.pseudonym` writes it: what was masked before stays as it is.
_PSEUDONYM = re.compile(r"~[0-9a-f]{12}")
_MEDIA = re.compile(r"^m=(\w{1,20})", re.MULTILINE)
_MASKED = "masked"

_Mask = Callable[[str, str], str]


class EntryMasking:
    """Pseudonyms are those of the log."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking

    def masked(self, entry: object) -> object:
        """The same entry, fit for everyone. What is no object is hidden whole."""
        if not isinstance(entry, dict):
            return _MASKED
        return {name: self._member(name, value, entry) for name, value in entry.items()}

    def _member(self, name: str, value: Any, entry: Mapping[str, Any]) -> Any:
        if name == "data":
            return self._walked(value, self._of_data)
        if name == "body":
            return self._body(value)
        if name == "sink":
            return self._sink(value, entry.get("host"))
        return self._walked(value, self._of_entry, name)

    def _walked(self, value: Any, mask: _Mask, name: str = "") -> Any:
        """Every text of a value masked by its member's name; the items of a list have that of the list."""
        match value:
            case str():
                return mask(name, value)
            case dict():
                return {member: self._walked(inner, mask, member) for member, inner in value.items()}
            case list():
                return [self._walked(item, mask, name) for item in value]
            case _:
                return value

    def _of_entry(self, name: str, text: str) -> str:
        if name in _HARMLESS:
            return text
        return self._masking.text(text) if name in ("detail", "client") else self._pseudonym(text)

    def _of_data(self, name: str, text: str) -> str:
        if name in _HARMLESS_DATA:
            return text
        if name in _PROSE:
            return self._masking.text(text)
        return _described(text) if name == "sdp" else self._pseudonym(text)

    def _of_event(self, name: str, text: str) -> str:
        return text if name in _HARMLESS_EVENT else self._pseudonym(text)

    def _body(self, body: Any) -> str:
        """A notification, again as text."""
        event = notification_in(body)
        if event is None:
            return f"{_MASKED}, {len(body):,} characters" if isinstance(body, str) else _MASKED
        masked = {
            name: self._walked(value, self._of_data if name == "data" else self._of_event, name)
            for name, value in event.items()
        }
        return json.dumps(masked, ensure_ascii=False)

    def _sink(self, sink: Any, host: Any) -> str:
        """The path of a sink may name a person, or be a secret."""
        return f"{host}/…" if isinstance(host, str) and isinstance(sink, str) else _MASKED

    def _pseudonym(self, text: str) -> str:
        return text if not text or _PSEUDONYM.fullmatch(text) else self._masking.pseudonym(text)


def _described(sdp: str) -> str:
    """A session description by what is in it. Source: RFC 8866, section 5.14."""
    if sdp.startswith(f"{_MASKED}: "):
        return sdp
    media = ", ".join(_MEDIA.findall(sdp)) or "no media"
    return f"{_MASKED}: {media}, {len(sdp.splitlines()):,} lines"
