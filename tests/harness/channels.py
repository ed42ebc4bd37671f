"""Notification channels as the service makes them, and subscriptions that are delivered into them."""

import json
import secrets
from typing import Any

from tests.harness.builders import created, new_subscription
from webrtc_events.core.model import Subscription
from webrtc_events.store.channel_logs import LogPage, LogPosition
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.keys import Partition, partition_of_subscription
from webrtc_events.store.store import Store

__all__ = ["BASE", "events_of", "listening", "new_channel", "page_of", "sequence_of", "url_of"]

BASE = "https://channels.localhost/channels/v0"
TOKEN = "t0ken-of-the-channel"


def url_of(channel: str) -> str:
    return f"{BASE}/channels/{channel}"


def new_channel(store: Store, client: str = "app") -> Channel:
    made = store.channels.make(secrets.token_hex(16), client, None, TOKEN)
    assert made is not None
    return made


def listening(store: Store, channel: Channel, **values: Any) -> Subscription:
    """A subscription that is delivered into the channel."""
    partition = partition_of_subscription(new_subscription(**_placed(values)).id, store.partitions)
    assert partition is not None
    store.channel_logs.make(channel.id, partition)
    assert store.channels.join(channel.id, partition.number) is not None
    return created(store, sink=url_of(channel.id), channel=channel.id, **values)


def _placed(values: dict[str, Any]) -> dict[str, Any]:
    return {"registration": values["registration"]} if "registration" in values else {}


def page_of(store: Store, channel: Channel, partition: Partition, after: int | None = None) -> LogPage:
    (found,) = store.channel_logs.read([LogPosition(channel.id, partition.number, after)])
    assert isinstance(found, LogPage), found
    return found


def events_of(store: Store, channel: Channel, partition: Partition) -> list[dict[str, Any]]:
    """All CloudEvents in a log, page by page."""
    found: list[dict[str, Any]] = []
    after: int | None = None
    while True:
        page = page_of(store, channel, partition, after)
        found += [json.loads(event.body) for event in page.events]
        if not page.more:
            return found
        after = page.events[-1].number


def sequence_of(events: list[dict[str, Any]]) -> list[Any]:
    """The sequence numbers, an end by its reason."""
    data = [event["data"] for event in events]
    return [fields.get("sequenceNumber", fields.get("terminationReason")) for fields in data]
