"""The operations of channels.yaml, each a function of its operationId in snake case.

Owners come with an access token, so their handlers get its `Caller`; readers come with the channel's token.
"""

from webrtc_events.api.streams import EventStream
from webrtc_events.channels.channel_side import ChannelSide
from webrtc_events.contract.channels_types import Channel, ChannelCursor, NewChannel
from webrtc_events.core.model import Caller, ReaderToken

__all__ = [
    "create_channel",
    "delete_channel",
    "put_channel_cursor",
    "read_channel_events",
    "retrieve_channel",
]


def create_channel(channels: ChannelSide, caller: Caller) -> tuple[NewChannel, int]:
    return channels.resources.make(caller), 201


def retrieve_channel(channels: ChannelSide, channel_id: str, caller: Caller) -> Channel:
    return channels.resources.show(caller, channel_id)


def delete_channel(channels: ChannelSide, channel_id: str, caller: Caller) -> tuple[None, int]:
    channels.resources.delete(caller, channel_id)
    return None, 204


def read_channel_events(channels: ChannelSide, channel_id: str, caller: ReaderToken) -> EventStream:
    return EventStream(channels.reading.stream(channel_id, caller))


def put_channel_cursor(
    channels: ChannelSide, channel_id: str, payload: ChannelCursor, caller: ReaderToken
) -> tuple[None, int]:
    channels.reading.acknowledge(channel_id, caller, payload)
    return None, 204
