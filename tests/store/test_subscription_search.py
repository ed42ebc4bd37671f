"""Subscriptions are found page by page, each once, whatever the store is, and in bounded steps."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import redis

from tests.harness.builders import created
from tests.harness.clocks import SteppedClock
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import EventType, Status
from webrtc_events.core.settings import Settings
from webrtc_events.core.store_url import parse_store_url
from webrtc_events.store import subscription_search
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of
from webrtc_events.store.redis.scripts import connect
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_rows import SubscriptionFilter
from webrtc_events.store.subscription_search import Cursor, SubscriptionPage, SubscriptionSearch

P = partition_of("r1", 64)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription_search, "_KEYS_A_STEP", 20)
    monkeypatch.setattr(subscription_search, "_IDS_A_STEP", 15)
    monkeypatch.setattr(subscription_search, "_RECORDS_A_STEP", 7)


def pages(
    store: Store, wanted: SubscriptionFilter, clock: Any = None, cursor: Cursor | None = None
) -> Iterator[SubscriptionPage]:
    search = SubscriptionSearch(store, clock or SystemClock())
    page = search.page(wanted, cursor or Cursor())
    yield page
    while not page.is_last:
        # As a link has it.
        page = search.page(wanted, Cursor.parse(str(page.reached)))
        yield page


def ids(store: Store, clock: Any = None, **wanted: Any) -> list[str]:
    return [row.id for page in pages(store, SubscriptionFilter(**wanted), clock) for row in page.rows]


def test_every_subscription_comes_once(store: Store) -> None:
    made = [created(store, registration=f"r{number}").id for number in range(120)]
    assert sorted(ids(store)) == sorted(made)
    assert sorted(ids(store, host="localhost")) == sorted(made)
    assert ids(store, client="app") == made
    assert [len(page.rows) for page in pages(store, SubscriptionFilter(client="app"))] == [50, 50, 20]


def test_subscriptions_to_a_registration_come_once_type_by_type(store: Store) -> None:
    types = [EventType.SESSION_INVITATION, EventType.REGISTRATION_ENDS]
    made = {
        kind: [created(store, event_type=kind, client=f"c{n % 3}").id for n in range(20)] for kind in types
    }
    assert sorted(ids(store, registration="r1")) == sorted(chain(*made.values()))
    assert sorted(ids(store, registration="r1", type=types[1])) == sorted(made[types[1]])
    assert ids(store, registration="r2") == []


def test_a_page_ends_with_its_time_and_the_next_goes_on(store: Store) -> None:
    """Each look at the clock takes a while here, so a page has a step."""

    class Hurried(SteppedClock):
        def monotonic(self) -> float:
            self.sleep(0.2)
            return self.elapsed

    made = [created(store, registration=f"r{number}").id for number in range(40)]
    found = list(pages(store, SubscriptionFilter(client="app"), Hurried()))
    assert [row.id for page in found for row in page.rows] == made
    assert max(len(page.rows) for page in found) <= 7
    assert [page.reached.records for page in found] == sorted(page.reached.records for page in found)
    assert found[-1].reached.records == 40
    assert sorted(ids(store, Hurried())) == sorted(made)


def test_an_empty_store_has_one_empty_page(store: Store) -> None:
    for wanted in (
        SubscriptionFilter(),
        SubscriptionFilter(client="a"),
        SubscriptionFilter(registration="r"),
    ):
        (page,) = pages(store, wanted)
        assert (page.rows, page.is_last) == ([], True)


def test_the_whole_store_is_counted_where_no_index_leads(store: Store, raw_store: "redis.Redis") -> None:
    for number in range(30):
        created(store, registration=f"r{number}")
    *_, last = pages(store, SubscriptionFilter(host="nowhere.example"))
    assert (last.rows, last.reached.records, last.is_last) == ([], 30, True)
    assert last.keys is not None
    assert last.keys >= 60
    (by_client,) = pages(store, SubscriptionFilter(client="app"))
    assert by_client.keys is None


def test_what_ends_in_between_costs_no_other(store: Store) -> None:
    made = [created(store, registration=f"r{number}").id for number in range(80)]
    search = SubscriptionSearch(store, SystemClock())
    first = search.page(SubscriptionFilter(), Cursor())
    store.subscriptions.discard(first.rows[-1].id, "app")
    rest = [row.id for page in pages(store, SubscriptionFilter(), cursor=first.reached) for row in page.rows]
    assert set(made) == {row.id for row in first.rows} | set(rest)


def test_an_index_may_name_what_is_not_there(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    raw_store.zadd(client_key("app"), {new_subscription_id(P): 1_700_000_000, "no id at all": 1_700_000_001})
    raw_store.sadd(P.registration(EventType.SESSION_INVITATION, "r1"), "no id at all", new_subscription_id(P))
    assert ids(store, client="app") == [made.id]
    assert ids(store, registration="r1") == [made.id]


def test_indexes_of_another_type_lead_nowhere(store: Store, raw_store: "redis.Redis") -> None:
    made = created(store)
    for key in (client_key("app"), P.registration(EventType.SESSION_INVITATION, "r1")):
        raw_store.delete(key)
        raw_store.set(key, "x")
    # A client's index is made anew, that of a registration by the sweeper.
    assert ids(store, client="app") == [made.id]
    assert ids(store, registration="r1") == []
    assert ids(store, registration="r1", statuses=frozenset({Status.ACTIVE, Status.EXPIRED})) == [made.id]


@pytest.mark.parametrize(
    "text", ["", "x", "a_b_c_d", "0x0__1", "0x0__1_1_1", "0x0__-1_1", "/_a_1_1", "0x0__1_1 "]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place in a list"):
        Cursor.parse(text)


@pytest.mark.parametrize(
    ("wanted", "at"),
    [
        (SubscriptionFilter(), "zz"),
        (SubscriptionFilter(), "1~2"),
        (SubscriptionFilter(client="app"), "zz~x"),
        (SubscriptionFilter(registration="r1"), "0"),
    ],
)
def test_a_cursor_of_another_search_is_refused(store: Store, wanted: SubscriptionFilter, at: str) -> None:
    with pytest.raises(ValueError, match="place in"):
        SubscriptionSearch(store, SystemClock()).page(wanted, Cursor(at))


@pytest.mark.parametrize("wanted", [SubscriptionFilter(), SubscriptionFilter(registration="r1")])
def test_a_place_behind_the_last_is_the_end(store: Store, wanted: SubscriptionFilter) -> None:
    created(store)
    page = SubscriptionSearch(store, SystemClock()).page(wanted, Cursor("9x0"))
    assert (page.rows, page.is_last) == ([], True)


def test_a_store_that_is_away_is_said(settings: Settings, store: Store) -> None:
    store.client.close()
    store.client = connect(replace(settings, redis_url=parse_store_url("redis://127.0.0.1:1/0")).redis_url)
    for wanted in (SubscriptionFilter(), SubscriptionFilter(registration="r1")):
        with pytest.raises(Unavailable):
            SubscriptionSearch(store, SystemClock()).page(wanted, Cursor())
