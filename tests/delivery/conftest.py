"""A recording sink, and dispatchers that deliver to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from tests.harness.sinks import RecordingSink
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import Clock, SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.delivery.attempt_spans import AttemptSpans
from webrtc_events.delivery.cloud_event import EventFormats
from webrtc_events.delivery.dispatcher import Dispatcher, DispatcherOptions, DispatcherSettings
from webrtc_events.delivery.notifications import NotificationSettings, NotificationWriter
from webrtc_events.delivery.store_calls import StoreCalls, StoreThread
from webrtc_events.delivery.store_loop import StoreLoop
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.sinks.token_source import TokenSource
from webrtc_events.store.store import Store

LIMITS = SinkLimits(connect_ms=500, total_ms=1_000)

CALLS: dict[str, Callable[[SinkClient[Any], Clock], StoreCalls]] = {
    "at once": lambda sink, clock: StoreCalls(),  # noqa: ARG005
    "in a thread": lambda sink, clock: StoreThread(sink.wake, clock),
    "in the loop": StoreLoop,
}


@dataclass
class DispatcherDriver:
    """A dispatcher that is driven by the test's own thread. Retries have no delay."""

    dispatcher: Dispatcher
    sink: SinkClient[Any]
    raw_store: "redis.Redis"

    def run(self, rounds: int = 200) -> None:
        """Steps until nothing is on its way and no subscription is due, now or later."""
        for _ in range(rounds):
            self.dispatcher.step()
            if self.dispatcher.idle and not self.raw_store.keys("*:due"):
                return
        raise AssertionError(f"still busy after {rounds} rounds")


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """Many subscriptions to one registration are quickly made."""
    return environ | {"WEBRTC_EVENTS_MAX_REGISTRATION_SUBSCRIPTIONS": "0"}


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.fixture
def make_driver(
    settings: Settings, store: Store, sink: RecordingSink, raw_store: "redis.Redis"
) -> Iterator[Callable[..., DispatcherDriver]]:
    made: list[DispatcherDriver] = []

    def make(
        at: Store = store,
        settings: Settings = settings,
        clock: Clock | None = None,
        formats: EventFormats | None = None,
        options: DispatcherOptions | None = None,
        random: Callable[[], float] = lambda: 0.0,
        limits: SinkLimits = LIMITS,
        calls: str = "at once",
        notes: AttemptNotes | None = None,
        activity: Activity | None = None,
        spans: AttemptSpans | None = None,
        tokens: TokenSource | None = None,
    ) -> DispatcherDriver:
        """`calls`: where the store is waited for, see CALLS; in a worker it is in the loop."""
        http: SinkClient[Any] = SinkClient(
            policy=AddressPolicy(settings.sink_allowed_networks),
            ca_file=sink.ca_file,
            clock=SystemClock(),
            limits=limits,
        )
        dispatcher = Dispatcher(
            store=at,
            sink=http,
            writer=NotificationWriter(
                formats or EventFormats.of(settings),
                NotificationSettings.of(settings),
                spans=spans,
                tokens=tokens,
            ),
            settings=DispatcherSettings.of(settings),
            clock=clock or SystemClock(),
            random=random,
            options=options or DispatcherOptions(poll_s=0.02, limits=LIMITS),
            calls=CALLS[calls](http, clock or SystemClock()),
            notes=notes,
            activity=activity or Activity(),
        )
        made.append(DispatcherDriver(dispatcher, http, raw_store))
        return made[-1]

    yield make
    for running in made:
        assert running.dispatcher.close(10)
        running.sink.close()
