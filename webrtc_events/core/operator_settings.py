"""The settings of what is reported to operators, and to which sink."""

from collections.abc import Iterator
from dataclasses import dataclass

from webrtc_events.core import setting_values as read
from webrtc_events.core.setting_fields import setting as _setting
from webrtc_events.core.setting_sources import SettingTexts

__all__ = ["OperatorSettings"]


# Without slots: Python allows one base with slots, and `Settings` has several parts.
@dataclass(frozen=True, kw_only=True)
class OperatorSettings:
    """A part of `Settings`."""

    operator_sink: str | None = _setting(
        read.https_url,
        "",
        "https URL of the operator's own sink, which gets what is wrong as events",
        # The path of a chat's webhook lets whoever knows it write there.
        secret=True,
    )
    operator_sink_token: str | None = _setting(
        read.bearer_token, "", "bearer token that the operator's sink is shown", secret=True
    )
    operator_dead_letters_a_minute: int = _setting(
        read.count(0), "60", "dead letters a minute above which an event says so; 0: never"
    )

    def contradictions_of_operators(self, texts: SettingTexts) -> Iterator[str]:
        """What is wrong with these, each right by itself."""
        if self.operator_sink is None and self.operator_sink_token is not None:
            named = texts["operator_sink_token"].named
            yield f"{named} has no sink to go to: {texts['operator_sink'].named} is not set"
