"""The URLs of notification channels: the sinks that are no web servers, but logs in the store. Pure."""

import re
from dataclasses import dataclass

__all__ = ["CHANNEL_ID", "NO_CHANNELS", "ChannelUrls"]

CHANNEL_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ChannelUrls:
    """`base` is the public address of the channels' API; None: this deployment has no channels."""

    base: str | None

    def url_of(self, channel_id: str) -> str:
        """The sink that a subscription names to be delivered into the channel."""
        return f"{self.base}/channels/{channel_id}"

    def covers(self, url: str) -> bool:
        """Whether the URL is below `base`: no such URL is ever connected to."""
        return self.base is not None and url.startswith(f"{self.base}/")

    def id_of(self, url: str) -> str | None:
        """The channel that the URL names; None if it names none."""
        if self.base is None or not url.startswith(f"{self.base}/channels/"):
            return None
        name = url.removeprefix(f"{self.base}/channels/")
        return name if CHANNEL_ID.fullmatch(name) else None


NO_CHANNELS = ChannelUrls(None)
