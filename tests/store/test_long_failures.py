"""What settles say of sinks that have failed for long."""

from collections.abc import Callable

import pytest

from tests.harness.builders import append, created, invitation
from tests.store.claiming import claim_one
from webrtc_events.core.outcomes import ScheduledRetry, SinkResult
from webrtc_events.store.long_failures import SinkNews
from webrtc_events.store.settlements import Settlement, SettleOutcome
from webrtc_events.store.store import Store

FAILURE_S = 1000
SINK = "https://sink.example/inbox"


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {
        "WEBRTC_EVENTS_SINK_FAILURE_S": str(FAILURE_S),
        "WEBRTC_EVENTS_SESSION_INVITATION_DEADLINE_S": "10000",
    }


def settled(store: Store, sink: SinkResult) -> SettleOutcome:
    claim = claim_one(store)
    number = claim.items[0].number
    if sink is SinkResult.DELIVERED:
        settlement = Settlement(claim, number, sink=sink)
    else:
        settlement = Settlement(claim, number - 1, follow_up=ScheduledRetry(0, 1, number), sink=sink)
    [outcome] = store.claims.settle([settlement])
    return outcome


def at(store_at: Callable[..., Store], seconds: float) -> Store:
    found = store_at(seconds)
    found.connection.long_failures.keep()
    return found


def test_a_sink_is_named_from_half_of_its_time_on(store_at: Callable[..., Store]) -> None:
    store = at(store_at, 0)
    made = created(store, sink=SINK)
    append(store, invitation(1), invitation(2))
    settled(store, SinkResult.FAILED)
    assert store.connection.long_failures.take() == []
    half = at(store_at, FAILURE_S / 2 + 1)
    settled(half, SinkResult.FAILED)
    [failing] = half.connection.long_failures.take()
    assert (failing.subscription_id, failing.news, failing.sink) == (made.id, SinkNews.FAILING, SINK)
    assert half.connection.long_failures.take() == []
    later = at(store_at, FAILURE_S / 2 + 30)
    settled(later, SinkResult.DELIVERED)
    [over] = later.connection.long_failures.take()
    assert (over.news, over.since_ms) == (SinkNews.DELIVERED, failing.since_ms)
    settled(later, SinkResult.FAILED)
    assert later.connection.long_failures.take() == []


def test_a_subscription_that_ends_by_it_is_named_once(store_at: Callable[..., Store]) -> None:
    store = at(store_at, 0)
    made = created(store, sink=SINK)
    append(store, invitation(1))
    settled(store, SinkResult.FAILED)
    late = at(store_at, FAILURE_S + 1)
    assert settled(late, SinkResult.FAILED) is SettleOutcome.DUE
    [ended] = late.connection.long_failures.take()
    assert (ended.subscription_id, ended.news) == (made.id, SinkNews.ENDED)
    assert settled(late, SinkResult.FAILED) is not SettleOutcome.DAMAGED
    assert [failure.news for failure in late.connection.long_failures.take()] == [SinkNews.FAILING]


def test_where_nobody_takes_them_nothing_is_kept(store_at: Callable[..., Store]) -> None:
    store = store_at(0)
    created(store, sink=SINK)
    append(store, invitation(1))
    settled(store, SinkResult.FAILED)
    late = store_at(FAILURE_S + 1)
    settled(late, SinkResult.FAILED)
    assert late.connection.long_failures.take() == []
