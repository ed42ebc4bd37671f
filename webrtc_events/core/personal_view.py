"""Personal data as an operator sees it: a pseudonym, as the log has it, until somebody reveals it."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from webrtc_events.core.log_masking import Masking

__all__ = ["PersonalView"]

# Members that are, or stand for, a person. Sources: webrtc-events.yaml, network-events.yaml.
_PERSONAL: Final = frozenset(
    {
        "deviceId",
        "originatorAddress",
        "originatorName",
        "owner",
        "receiverAddress",
        "receiverName",
        "registrationId",
        "subject",
    }
)
_HIDDEN: Final = frozenset({"headers"})
_LOCATION: Final = "locationDetails"
_SINK: Final = "sink"
_SDP: Final = "sdp"


class PersonalView:
    """`revealed`: in clear. Header values of a subscription may be secrets: they are never shown."""

    def __init__(self, masking: Masking, *, revealed: bool) -> None:
        self._masking = masking
        self.revealed = revealed

    def person(self, value: str | None) -> str:
        """What is, or stands for, a person: a registration, a user, an address, a name."""
        if not value or self.revealed:
            return value or ""
        return self._masking.pseudonym(value)

    def text(self, text: str) -> str:
        """Words of others, with what looks like an address masked."""
        return text if self.revealed else self._masking.text(text)

    def sink(self, url: str) -> str:
        """Its path may name a person."""
        if self.revealed:
            return url
        try:
            parts = urlsplit(url)
        except ValueError:
            return "…"
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}/…" if host else "…"

    def document(self, value: Any, name: str = "") -> Any:
        """A JSON value; `name` is the member that it is the value of."""
        if name in _HIDDEN:
            return dict.fromkeys(value, "•••") if isinstance(value, Mapping) else "•••"
        if name == _LOCATION and not self.revealed:
            return "(a location)"
        if isinstance(value, Mapping):
            inner = name if name in _PERSONAL else None
            return {member: self.document(found, inner or member) for member, found in value.items()}
        if isinstance(value, list):
            return [self.document(item, name) for item in value]
        return self._text(value, name) if isinstance(value, str) else value

    def _text(self, text: str, name: str) -> str:
        if self.revealed:
            return text
        if name in _PERSONAL:
            return self.person(text)
        if name == _SINK:
            return self.sink(text)
        if name == _SDP:
            return f"(SDP of {len(text)} characters)"
        return self.text(text)
