"""A delivery into a channel is counted, logged and traced once its settle has written it, not before."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence

import pytest
import redis

from tests.conftest import servers_of
from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import BreaksAtSettle, Make, P, dead_letters, nonzero
from tests.harness.builders import append, invitation, with_claims
from tests.harness.channels import BASE, events_of, listening, new_channel, sequence_of
from tests.store.call_notes import recorder_of
from webrtc_events.core.activity import Activity
from webrtc_events.core.call_trace import AttemptEntry
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.store.claims import Claims
from webrtc_events.store.script_steps import ScriptStep
from webrtc_events.store.settlements import Settlement, SettleOutcome
from webrtc_events.store.store import Store
from webrtc_events.store.trace_recorder import TraceRecorder


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE}


@pytest.fixture
def activity() -> Activity:
    return Activity()


@pytest.fixture
def recorder(store: Store) -> TraceRecorder:
    return recorder_of(store)


@pytest.fixture
def driver(make_driver: Make, activity: Activity, recorder: TraceRecorder) -> DispatcherDriver:
    return make_driver(activity=activity, notes=AttemptNotes(recorder))


@pytest.fixture
def full(raw_store: "redis.Redis") -> Iterator[Callable[[int], None]]:
    """Sets the store's memory; with 1,024 bytes it is above its watermark."""

    def limit(size: int) -> None:
        for server in servers_of(raw_store):
            server.config_set("maxmemory", size)

    yield limit
    limit(0)


def delivered_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "outcome=delivered" in line]


def outcomes_traced(store: Store, recorder: TraceRecorder) -> list[tuple[str, str]]:
    recorder.flush()
    session = json.loads(invitation(1).payload)["data"]["mediaSessionId"]
    entries = store.call_traces.read(session).entries
    return [(entry.outcome, entry.reason) for entry in entries if isinstance(entry, AttemptEntry)]


def test_above_the_watermark_nothing_is_delivered_in_figures_log_and_trace_until_it_is_written(
    store: Store,
    driver: DispatcherDriver,
    activity: Activity,
    recorder: TraceRecorder,
    full: Callable[[int], None],
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    channel = new_channel(store)
    made = listening(store, channel)
    append(store, invitation(1), invitation(2))
    full(1024)
    refused = 0
    for _ in range(400):
        driver.dispatcher.step()
        refused = int(raw_store.hget(P.subscription(made.id), "fence") or 0)
        if refused and driver.dispatcher.idle:
            break
    first = refused
    # It is tried again, a second later, and refused again.
    for _ in range(400):
        driver.dispatcher.step()
        if int(raw_store.hget(P.subscription(made.id), "fence") or 0) > first and driver.dispatcher.idle:
            break
    else:
        raise AssertionError("it was not tried again")
    assert nonzero(activity) == {}
    assert delivered_lines(caplog) == []
    assert caplog.text.count("the store is above its watermark") == 1
    assert raw_store.llen(P.outbox(made.id)) == 2
    assert raw_store.xlen(P.attempts) == 0
    full(0)
    driver.run(rounds=2_000)
    assert sequence_of(events_of(store, channel, P)) == [1, 2]
    assert nonzero(activity) == {"delivered": 2}
    assert len(delivered_lines(caplog)) == 2
    assert outcomes_traced(store, recorder) == [("delivered", "")] * 2


class StolenAtSettle(Claims):
    """Another worker claims what a settle is about to be for: its fence is an older one by then."""

    steal: Callable[[], None] | None = None

    def settling(self, settlements: Sequence[Settlement]) -> ScriptStep[list[SettleOutcome]]:
        steal, self.steal = self.steal, None
        if steal is not None:
            steal()
        return super().settling(settlements)


def test_a_stolen_fence_delivers_nothing_and_says_so(
    store: Store,
    driver: DispatcherDriver,
    activity: Activity,
    recorder: TraceRecorder,
    store_at: Callable[..., Store],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    channel = new_channel(store)
    listening(store, channel)
    append(store, invitation(1))
    later = store_at(60)
    taken = []

    def steal() -> None:
        taken.extend(later.claims.claim([P], subscriptions=1, events=8))

    with_claims(store, StolenAtSettle).steal = steal
    driver.dispatcher.step()
    assert len(taken) == 1
    assert nonzero(activity) == {}
    assert delivered_lines(caplog) == []
    assert caplog.text.count("lease lost") == 1
    assert outcomes_traced(store, recorder) == []
    assert events_of(store, channel, P) == []


@pytest.mark.parametrize("cut", ["request", "answer"])
def test_a_settle_that_is_repeated_is_counted_once(
    store: Store, driver: DispatcherDriver, activity: Activity, recorder: TraceRecorder, cut: str
) -> None:
    channel = new_channel(store)
    listening(store, channel)
    with_claims(store, BreaksAtSettle).cut = [cut, cut]
    append(store, invitation(1), invitation(2), invitation(3))
    driver.run()
    assert sequence_of(events_of(store, channel, P)) == [1, 2, 3]
    assert nonzero(activity) == {"delivered": 3}
    assert outcomes_traced(store, recorder) == [("delivered", "")] * 3


def test_what_was_for_a_channel_that_is_gone_is_given_up_and_never_delivered(
    store: Store,
    raw_store: "redis.Redis",
    driver: DispatcherDriver,
    activity: Activity,
    recorder: TraceRecorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store.connection.given_up.tell(activity, recorder)
    channel = new_channel(store)
    listening(store, channel)
    append(store, invitation(1), invitation(2))
    store.channel_logs.remove(channel.id, [P.number])
    driver.run()
    assert [reason for reason, _ in dead_letters(raw_store)] == ["subscription_ended"] * 2
    assert nonzero(activity) == {"given_up": 2, "ended": 1}
    assert activity.drops == {"subscription_ended": 2}
    assert delivered_lines(caplog) == []
    assert outcomes_traced(store, recorder) == [("drop", "subscription_ended")] * 2
    session = json.loads(invitation(1).payload)["data"]["mediaSessionId"]
    # In the lane of channels, as those that were delivered.
    assert all(entry.channel for entry in store.call_traces.read(session).entries)
