"""What the readers of a channel do, who have its token: read and acknowledge."""

from collections.abc import Mapping
from typing import Any

from webrtc_events.channels.readers import Readers
from webrtc_events.channels.stream import ChannelStream
from webrtc_events.core.channel_urls import CHANNEL_ID
from webrtc_events.core.cursor import parse_cursor
from webrtc_events.core.errors import InvalidArgument, NotFound, Unauthenticated
from webrtc_events.core.model import ReaderToken
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.store import Store

__all__ = ["ChannelReading"]


class ChannelReading:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, store: Store, readers: Readers) -> None:
        self._store = store
        self._readers = readers

    def stream(self, channel_id: str, token: ReaderToken) -> ChannelStream:
        """The answer to a reader; by this the channel is used.

        Raises:
            NotFound: there is no such channel, or its owner has deleted it.
            Unauthenticated: the token is not the channel's.
        """
        return ChannelStream(self._readers, self._used(self._admitted(channel_id, token)))

    def acknowledge(self, channel_id: str, token: ReaderToken, body: Mapping[str, Any]) -> None:
        """
        Raises:
            NotFound, Unauthenticated: as `stream`.
            InvalidArgument: the cursor is none.
        """
        try:
            cursor = parse_cursor(body["cursor"])
        except ValueError as error:
            raise InvalidArgument(f"$.cursor: {error}") from None
        channel = self._used(self._admitted(channel_id, token))
        own = {number: last for number, last in cursor.items() if number in channel.partitions}
        self._store.channel_logs.acknowledge(channel.id, own)

    def _used(self, channel: Channel) -> Channel:
        found = self._store.channels.use(channel)
        if found is None:
            raise NotFound
        self._store.channel_logs.keep(found.id, found.partitions)
        return found

    def _admitted(self, channel_id: str, token: ReaderToken) -> Channel:
        found = self._store.channels.get(channel_id) if CHANNEL_ID.fullmatch(channel_id) else None
        if found is None or found.is_ending:
            raise NotFound
        if not found.admits(token.text):
            raise Unauthenticated
        return found
