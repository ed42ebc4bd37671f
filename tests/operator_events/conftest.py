"""Watchers and senders on a real store, driven by the test's own thread."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.sinks import RecordingSink
from webrtc_events.core.activity import Activity
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.host_records import Outage
from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.operator_sink import OperatorSink
from webrtc_events.operator_events.rules import Rules
from webrtc_events.operator_events.sending import Sending
from webrtc_events.operator_events.watching import Watching
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.client import SinkClient
from webrtc_events.sinks.limits import SinkLimits
from webrtc_events.store.store import Store

LIMITS = SinkLimits()


class Hosts:
    """As a dispatcher knows them; a test says what they do."""

    def __init__(self) -> None:
        self.open: dict[str, str] = {}
        self.answered: dict[str, int] = {}

    def outages(self) -> list[Outage]:
        now_s = SystemClock().monotonic()
        return [Outage(host, now_s, now_s, reason) for host, reason in self.open.items()]

    def answers(self, name: str) -> int:
        return self.answered.get(name, 0)


class Watcher:
    """One worker's."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.hosts = Hosts()
        self.activity = Activity()
        self.watching = Watching(
            store,
            self.hosts,
            OperatorEvents(settings.source),
            Rules.of(settings),
            self.activity,
            SystemClock(),
            watermark=settings.store_watermark,
        )

    def step(self) -> None:
        self.watching.step()


@pytest.fixture
def operator() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.fixture
def environ(environ: dict[str, str], operator: RecordingSink) -> dict[str, str]:
    return environ | {
        "WEBRTC_EVENTS_OPERATOR_SINK": operator.url_of("/operators"),
        "WEBRTC_EVENTS_SINK_CA_FILE": str(operator.ca_file),
    }


@pytest.fixture
def watcher(store: Store, settings: Settings) -> Callable[..., Watcher]:
    def make(at: Store = store) -> Watcher:
        return Watcher(at, settings)

    return make


@pytest.fixture
def sender(settings: Settings, store: Store) -> Iterator[Callable[..., Sending]]:
    """Retries have no delay."""
    made: list[Sending] = []

    def make(at: Store = store, settings: Settings = settings, **more: Any) -> Sending:
        client: SinkClient[Any] = SinkClient(
            policy=AddressPolicy(settings.sink_allowed_networks),
            ca_file=settings.sink_ca_file,
            clock=SystemClock(),
            limits=LIMITS,
        )
        sink = OperatorSink.of(settings)
        assert sink is not None
        values: dict[str, Any] = {"signer": None, "activity": Activity(), "random": lambda: 0.0} | more
        clock = SystemClock()
        made.append(
            Sending(at.operator_outbox, sink, client, clock=clock, exchange_ms=LIMITS.total_ms, **values)
        )
        return made[-1]

    yield make
    for sending in made:
        sending.close()
