"""The two threads of a worker that report to operators, built from its parts."""

import logging
from random import random
from typing import Any, Self

from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.loops import Loop
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.host_records import HostRecords
from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.operator_sink import OperatorSink
from webrtc_events.operator_events.rules import Rules
from webrtc_events.operator_events.sending import Sending
from webrtc_events.operator_events.watching import Watching
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.signing import RequestSigner
from webrtc_events.store.store import Store

__all__ = ["OperatorLoops"]

log = logging.getLogger(__name__)


class OperatorLoops:
    """`loops` are to be started, and stopped before `close`, which is before the store is closed."""

    def __init__(self, watching: Watching, sending: Sending) -> None:
        self.loops: tuple[Loop, ...] = (watching.loop, sending.loop)
        self._watching = watching
        self._sending = sending

    @classmethod
    def of(
        cls,
        sink: OperatorSink,
        settings: Settings,
        store: Store,
        hosts: HostRecords,
        activity: Activity,
        clock: Clock,
        *,
        exchange_ms: int,
        client: SinkClient[Any],
        signer: RequestSigner | None,
    ) -> Self:
        """`exchange_ms`: what one request of the client may take at most. It is closed by `close`."""
        watching = Watching(
            store,
            hosts,
            OperatorEvents(settings.source),
            Rules.of(settings),
            activity,
            clock,
            watermark=settings.store_watermark,
        )
        outbox = store.operator_outbox
        return cls(watching, Sending(outbox, sink, client, signer, activity, clock, random, exchange_ms))

    def close(self, *, store_answers: bool) -> None:
        """Once the loops have stopped. What was settled since then is reported too, if the store answers."""
        self._sending.close()
        if store_answers:
            try:
                self._watching.step()
            except Unavailable:
                log.warning("cannot report to operators while stopping: the store does not answer")
