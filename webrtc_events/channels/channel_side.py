"""What may be done with channels: the use cases that the handlers of channels.yaml share."""

from collections.abc import Callable
from dataclasses import dataclass

from webrtc_events.channels.readers import Readers
from webrtc_events.channels.reading import ChannelReading
from webrtc_events.channels.resources import ChannelResources
from webrtc_events.core.channel_urls import ChannelUrls
from webrtc_events.core.model import Caller
from webrtc_events.store.store import Store

__all__ = ["ChannelSide"]


@dataclass(frozen=True, slots=True)
class ChannelSide:
    """One object for all handlers: each takes the use case that it needs."""

    resources: ChannelResources
    reading: ChannelReading

    @classmethod
    def of(
        cls,
        store: Store,
        urls: ChannelUrls,
        readers: Readers,
        count_request: Callable[[Caller], None] | None = None,
    ) -> "ChannelSide":
        return cls(ChannelResources(store, urls), ChannelReading(store, readers, count_request))
