"""What an adapter counts, and what waits in its queue, for Prometheus."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.setting_values import HostPort
from webrtc_events.gateways.journal_view import totals
from webrtc_events.gateways.publisher import PublisherFigures
from webrtc_events.gateways.receiver_figures import ReceiverFigures
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.listener import listen
from webrtc_events.telemetry.sources import of_adapter

__all__ = ["adapter_exporter"]

log = logging.getLogger(__name__)

_SETTING: Final = "--metrics-address"


def adapter_exporter(
    address: HostPort,
    queue: Path,
    max_bytes: int,
    published: Callable[[], PublisherFigures],
    received: Callable[[], ReceiverFigures],
    clock: Clock,
) -> Exporter:
    """Listens at once; to be started, and stopped, by the caller.

    Raises:
        CannotStart: it cannot listen there.
    """
    exporter = Exporter(["gateway"], clock, listen(address, setting=_SETTING))
    log.info("metrics are at %s", exporter.url)
    lines = LineLimit(clock)

    def of_queue() -> Mapping[str, float]:
        try:
            found = totals(queue)
        except sqlite3.Error as error:
            if lines.admit("queue") is not None:
                log.warning("the queue cannot be read for /metrics: %s", error)
            return {}
        now_ms = clock.now() * 1000
        oldest_s = 0.0 if found.oldest_ms is None else max(0.0, now_ms - found.oldest_ms) / 1000
        return {
            "gateway_queue_requests": found.entries,
            "gateway_queue_bytes": found.bytes,
            "gateway_queue_limit_bytes": max_bytes,
            "gateway_queue_oldest_seconds": oldest_s,
            "gateway_set_aside": found.set_aside,
        }

    exporter.add(
        of_adapter(
            lambda: _records(received()),
            lambda: _connections(received(), published(), clock),
            lambda: _requests(published()),
            of_queue,
        )
    )
    return exporter


def _connections(received: ReceiverFigures, published: PublisherFigures, clock: Clock) -> Mapping[str, float]:
    now_s, since_s = clock.monotonic(), published.failing_since_s
    found: dict[str, float] = {
        "gateway_reconnects_total": received.reconnects,
        "gateway_failing_seconds": 0.0 if since_s is None else max(0.0, now_s - since_s),
    }
    if received.heard_s is not None:
        found["gateway_silent_seconds"] = max(0.0, now_s - received.heard_s)
    return found


def _records(figures: ReceiverFigures) -> Mapping[str, int]:
    return {
        "taken": figures.taken,
        "repeated": figures.repeated,
        "damaged": figures.damaged,
        "lost": figures.lost,
    }


def _requests(figures: PublisherFigures) -> Mapping[str, int]:
    return {
        "published": figures.sent,
        "rejected": figures.rejected,
        "set_aside": figures.set_aside,
        "failed": figures.failed_attempts,
    }
