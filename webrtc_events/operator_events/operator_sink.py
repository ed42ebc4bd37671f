"""The operator's own sink, as the settings name it."""

from dataclasses import dataclass, field
from typing import Self

from webrtc_events.core.settings import PREFIX, Settings, SettingsError
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.sink_url import check_sink_url

__all__ = ["OperatorSink"]


@dataclass(frozen=True, slots=True)
class OperatorSink:
    """`url`: as libcurl takes it. `token`: what it is shown, if anything."""

    url: str
    token: str | None = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """None: nothing is reported.

        Raises:
            SettingsError: no sink may have this URL.
        """
        if settings.operator_sink is None:
            return None
        policy = AddressPolicy(settings.sink_allowed_networks, settings.sink_ports)
        try:
            url = check_sink_url(settings.operator_sink, policy)
        except ValueError as error:
            raise SettingsError([f"{PREFIX}OPERATOR_SINK: as a sink, {error}"]) from None
        return cls(url, settings.operator_sink_token)
