"""What is in a channel, over a WebSocket: an event a message, and its acknowledgements on the way back.

Who is slow, says too much or has gone is found below (api/websocket_protocol.py), where the connection is.
"""

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive, Send

from webrtc_events.channels.feed import Feed
from webrtc_events.channels.readers import Readers
from webrtc_events.channels.socket_messages import acknowledged, acknowledgement, failed, text_of
from webrtc_events.core.errors import NotFound, Unavailable
from webrtc_events.store.channel_records import Channel

__all__ = ["ChannelSocket"]


class ChannelSocket:
    """One reader's, that was admitted to the channel and has read up to `cursor`."""

    def __init__(self, readers: Readers, channel: Channel, cursor: Mapping[int, int]) -> None:
        self._readers = readers
        self._channel = channel
        self._cursor = cursor

    async def __call__(self, receive: Receive, send: Send) -> None:
        """From its opening until its client has left. What it raises is why the server closes it.

        Raises:
            NotFound: the channel has ended.
            InvalidArgument: the client has sent what is no acknowledgement.
            TooManyRequests, Unavailable: see `Feed`.
            OSError: by `send`: the client has gone.
        """
        feed = Feed(self._readers, self._channel, self._cursor)
        taking = asyncio.ensure_future(self._take(feed, receive, send))
        taking.add_done_callback(lambda _: feed.leave())
        try:
            while (events := await feed.next()) is not None:
                for event in events:
                    await send(_text(text_of(event)))
        finally:
            feed.close()
            taking.cancel()
            (error,) = await asyncio.gather(taking, return_exceptions=True)
        if isinstance(error, Exception):
            raise error
        if feed.is_over:
            raise NotFound("The channel has ended.")

    async def _take(self, feed: Feed, receive: Receive, send: Send) -> None:
        """What the client sends, one after the other: the next is taken once this one is dealt with."""
        while (message := await receive())["type"] == "websocket.receive":
            text, cursor = acknowledgement(message.get("text"))
            own = {number: last for number, last in cursor.items() if number in feed.channel.partitions}
            try:
                await self._readers.acknowledge(feed.channel, own)
            except Unavailable as error:
                await send(_text(failed(error)))
            else:
                await send(_text(acknowledged(text)))


def _text(text: str) -> Message:
    return {"type": "websocket.send", "text": text}
