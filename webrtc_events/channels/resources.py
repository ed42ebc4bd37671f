"""The channel resource: make, show, delete."""

import logging
import secrets

from webrtc_events.contract.channels_types import Channel as ChannelResource
from webrtc_events.contract.channels_types import NewChannel
from webrtc_events.core.channel_urls import CHANNEL_ID, ChannelUrls
from webrtc_events.core.clock import format_time
from webrtc_events.core.errors import DamagedRecord, NotFound, TooManyRequests
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.core.model import Caller, Status, TerminationReason
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.channel_subscriptions import subscriptions_of
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.store import Store

__all__ = ["ChannelResources"]

log = logging.getLogger(__name__)

_TOKEN_BYTES = 32


class ChannelResources:
    """What clients do with their channels. Every method may raise `errors.Unavailable`."""

    def __init__(self, store: Store, urls: ChannelUrls) -> None:
        self._store = store
        self._urls = urls

    def make(self, caller: Caller) -> NewChannel:
        """
        Raises:
            TooManyRequests: the client has as many as it may.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        made = self._store.channels.make(secrets.token_hex(16), caller.client, caller.subject, token)
        if made is None:
            raise TooManyRequests(
                "The client has as many channels as it may; delete one first.", code="QUOTA_EXCEEDED"
            )
        log.info("made channel=%s subject=%s", made.id, PersonalData(made.subject))
        return {**self._shown(made), "token": token}

    def show(self, caller: Caller, channel_id: str) -> ChannelResource:
        """
        Raises:
            NotFound: none with that id, or another's: the two look alike.
        """
        found = self._own(caller, channel_id)
        if found.is_ending:
            raise NotFound
        return self._shown(found)

    def delete(self, caller: Caller, channel_id: str) -> None:
        """Ends its subscriptions. To be repeated until it answers: a crash in the middle leaves the rest.

        Raises:
            NotFound: none with that id, or another's.
        """
        self._own(caller, channel_id)
        ending = self._store.channels.end(channel_id)
        if ending is None:
            raise NotFound
        logs = self._store.channel_logs
        logs.remove(channel_id, ending.partitions)
        home = partition_of(channel_id, self._store.partitions)
        for partition in {home.number, *ending.partitions}:
            logs.tell(channel_id, Partition(partition))
        for subscription_id in subscriptions_of(self._store, ending, self._urls.url_of(channel_id)):
            # What waits becomes dead letters, as with a sink that answers 410.
            self._end(subscription_id)
        self._store.channels.remove(ending)
        log.info("deleted channel=%s", channel_id)

    def _end(self, subscription_id: str) -> None:
        try:
            self._store.subscriptions.end(
                subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
            )
        except DamagedRecord as error:
            # Once it is mended it ends at its next event; the others do not wait for that.
            self._store.damage.report(error.name, error.why)

    def _own(self, caller: Caller, channel_id: str) -> Channel:
        found = self._store.channels.get(channel_id) if CHANNEL_ID.fullmatch(channel_id) else None
        if found is None or found.client != caller.client or caller.subject not in (None, found.subject):
            raise NotFound
        return found

    def _shown(self, channel: Channel) -> ChannelResource:
        return {
            "id": channel.id,
            "sink": self._urls.url_of(channel.id),
            "expiresAt": format_time(channel.expires_at_ms),
        }
