"""Deliveries to channels: nothing is sent, the task's settle writes its events into the channel's log."""

import logging
from typing import Final

from webrtc_events.core.channel_urls import ChannelUrls
from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.delivery.attempts import Attempts
from webrtc_events.delivery.notifications import NotificationWriter, Skipped
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.store.settlements import ChannelEvent, SettleOutcome

__all__ = ["ChannelDelivery"]

log = logging.getLogger(__name__)

# What a settle that wrote the events leaves behind.
_WRITTEN: Final = frozenset({SettleOutcome.IDLE, SettleOutcome.DUE, SettleOutcome.ENDED})
_LINES_A_MINUTE: Final = 1


class ChannelDelivery:
    """Writes the events of a claim, each valid by its contract, and in order.

    What comes of the claim is settled as for any sink: a stale fence writes nothing, to the log neither. Only
    a settle that wrote them makes them delivered: until then nothing is counted, logged, or in a trace.
    """

    def __init__(
        self, urls: ChannelUrls, writer: NotificationWriter, attempts: Attempts, clock: Clock
    ) -> None:
        self._urls = urls
        self._writer = writer
        self._attempts = attempts
        self._now_s = clock.monotonic
        self._limit = LineLimit(clock, _LINES_A_MINUTE)

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
            self._attempts.stored(task, now_ms)

    def flush(self) -> None:
        """Writes the lines of what was settled."""
        self._attempts.flush()

    def settled(self, task: DeliveryTask, outcome: SettleOutcome) -> None:
        """Says what came of the task's events: nothing, unless the settle wrote them."""
        if outcome in _WRITTEN:
            self._attempts.report(task.reports)
        elif outcome is SettleOutcome.FULL:
            left_out = self._limit.admit("full")
            if left_out is not None:
                log.warning(
                    "events for channels wait, those of subscription=%s among them: the store is above "
                    "its watermark, and their logs get nothing until it has room (%d lines left out)",
                    task.claim.subscription_id,
                    left_out,
                )
