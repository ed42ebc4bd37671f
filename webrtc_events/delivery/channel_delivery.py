"""Deliveries to channels: nothing is sent, the task's settle writes its events into the channel's log."""

from typing import Final

from webrtc_events.core.channel_urls import ChannelUrls
from webrtc_events.core.clock import Clock
from webrtc_events.core.outcomes import SinkAnswer
from webrtc_events.delivery.attempts import Attempts
from webrtc_events.delivery.notifications import NotificationWriter, Skipped
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.settlements import ChannelEvent

__all__ = ["ChannelDelivery"]

# As an attempt at a web server is kept and logged: the event was made part of the log.
_STORED: Final = SinkAnswer(201, None, 0)


class ChannelDelivery:
    """Writes the events of a claim, each valid by its contract, and in order.

    What comes of the claim is settled as for any sink: a stale fence writes nothing, to the log neither.
    """

    def __init__(
        self, urls: ChannelUrls, writer: NotificationWriter, attempts: Attempts, clock: Clock
    ) -> None:
        self._urls = urls
        self._writer = writer
        self._attempts = attempts
        self._now_s = clock.monotonic

    def is_for(self, task: DeliveryTask) -> bool:
        """Whether its sink is a channel, which the task then names."""
        if not self._urls.covers(task.claim.sink):
            return False
        task.channel = self._urls.id_of(task.claim.sink) or "none"
        return True

    def deliver(self, task: DeliveryTask) -> None:
        """Takes all of the task's events that can be written now."""
        while not task.exhausted:
            now_ms = task.now_ms(self._now_s())
            written = self._writer.stored(task.claim, task.item, now_ms)
            task.event_type = written.type
            if isinstance(written, Skipped):
                task.correlator = ""
                if written.outcome is None or not self._attempts.apply(task, written.outcome, now_ms):
                    return
                continue
            task.correlator = written.correlator
            if self._attempts.keeps_content:
                task.body = written.body
            task.stored.append(ChannelEvent(task.item.number, written.type, written.body))
            self._attempts.replied(task, _STORED, now_ms)
