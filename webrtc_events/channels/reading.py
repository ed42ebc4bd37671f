"""What the readers of a channel do, who have its token: read and acknowledge."""

from collections.abc import Callable, Mapping
from typing import Any

from webrtc_events.channels.readers import Readers
from webrtc_events.channels.socket import ChannelSocket
from webrtc_events.channels.stream import ChannelStream
from webrtc_events.core.channel_urls import CHANNEL_ID
from webrtc_events.core.cursor import parse_cursor
from webrtc_events.core.errors import InvalidArgument, NotFound, Unauthenticated
from webrtc_events.core.model import Caller, ReaderToken
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.store import Store

__all__ = ["ChannelReading"]


class ChannelReading:
    """Every method may raise `errors.Unavailable`."""

    def __init__(
        self, store: Store, readers: Readers, count_request: Callable[[Caller], None] | None = None
    ) -> None:
        """`count_request` counts a request of a reader as one of its channel's client; None: no limit."""
        self._store = store
        self._readers = readers
        self._count_request = count_request

    def stream(self, channel_id: str, token: ReaderToken) -> ChannelStream:
        """The answer to a reader; by this the channel is used.

        Raises:
            NotFound: there is no such channel, or its owner has deleted it.
            Unauthenticated: the token is not the channel's.
            TooManyRequests: the rate of the channel's client is used up.
        """
        return ChannelStream(self._readers, self._used(self._admitted(channel_id, token)))

    def socket(self, channel_id: str, token: ReaderToken, after: str) -> ChannelSocket:
        """The same over a WebSocket. `after`: the id of the last event that the reader has; empty: none.

        Raises:
            NotFound, Unauthenticated, TooManyRequests: as `stream`.
            InvalidArgument: `after` is no such id.
        """
        channel = self._admitted(channel_id, token)
        try:
            cursor = parse_cursor(after) if after else {}
        except ValueError as error:
            raise InvalidArgument(f"{error}.") from None
        return ChannelSocket(self._readers, self._used(channel), cursor)

    def acknowledge(self, channel_id: str, token: ReaderToken, body: Mapping[str, Any]) -> None:
        """
        Raises:
            NotFound, Unauthenticated, TooManyRequests: as `stream`.
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
        if self._count_request is not None:
            # Before all that the request costs beside this.
            self._count_request(Caller(found.client, found.subject, frozenset()))
        return found
