"""A record that lacks what most records say is a record like any other."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.store.claiming import P, claim, claim_one, delete, numbers, settle
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.model import ContractVersion, Credential, Subscription
from webrtc_events.core.outcomes import ScheduledRetry
from webrtc_events.store.damaged_records import DamagedRecords
from webrtc_events.store.record_defaults import RECORD_DEFAULTS
from webrtc_events.store.retries import WaitingRetry
from webrtc_events.store.store import Store

EXPIRY_MS = 4_000_000_000_000


def omitted(raw_store: "redis.Redis", made: Subscription) -> set[str]:
    return RECORD_DEFAULTS.keys() - raw_store.hgetall(P.subscription(made.id)).keys()


def test_a_new_record_lacks_what_most_say(store: Store, raw_store: "redis.Redis") -> None:
    assert omitted(raw_store, created(store)) == RECORD_DEFAULTS.keys()


def test_a_new_record_has_what_others_do_not_say(store: Store, raw_store: "redis.Redis") -> None:
    credential = Credential("token", EXPIRY_MS)
    made = created(store, max_events=3, contract=ContractVersion.NEXT, credential=credential, sealed="sealed")
    kept = raw_store.hgetall(P.subscription(made.id))
    assert (kept["max_events"], kept["contract"]) == ("3", ContractVersion.NEXT)
    assert kept["token_expires_at"] == str(EXPIRY_MS)
    assert kept["token_stop_at"]
    assert kept["token_cut_at"]


def test_a_record_has_all_fields_where_the_release_before_may_read_it(
    store: Store, store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    former = created(store_with(shared_payloads="off"))
    raw_store.delete("shares-payloads")
    upgraded = created(store_with(shared_payloads="on"))
    for made in (former, upgraded):
        kept = raw_store.hgetall(P.subscription(made.id))
        assert {name: kept.get(name) for name in RECORD_DEFAULTS} == RECORD_DEFAULTS


def test_a_record_has_all_fields_where_a_release_began_that_takes_one_without_for_damaged(
    store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    """It knows of payloads that are shared, and of packed requests."""
    raw_store.set("shares-payloads", "1")
    raw_store.set("partitions", "64")
    made = created(store_with())
    kept = raw_store.hgetall(P.subscription(made.id))
    assert {name: kept.get(name) for name in RECORD_DEFAULTS} == RECORD_DEFAULTS
    assert kept["request"] != json.dumps(made.request)


def delivered_and_retried(store: Store, made: Subscription) -> list[object]:
    append(store, invitation(1), invitation(2), invitation(3))
    found = claim_one(store, events=2)
    seen: list[object] = [numbers(found), found.attempts, found.headers, found.contract, found.credential]
    seen.append(settle(store, found, through=1, follow_up=ScheduledRetry(60_000, 2, 2)))
    seen.append(store.retries.hasten([WaitingRetry(made.id, found.fence)]))
    again = claim_one(store)
    return [*seen, numbers(again), again.attempts, settle(store, again), claim(store)]


def hastened_before_any_claim(store: Store, made: Subscription) -> list[object]:
    append(store, invitation(1))
    return [store.retries.hasten([WaitingRetry(made.id, 0)]), numbers(claim_one(store))]


def deleted_while_it_waits(store: Store, made: Subscription) -> list[object]:
    append(store, invitation(1), invitation(2))
    answer = delete(store, made.id)
    end = claim_one(store)
    return [answer, [item.end for item in end.items], settle(store, end)]


def deleted_while_it_is_claimed(store: Store, made: Subscription) -> list[object]:
    append(store, invitation(1), invitation(2), invitation(3))
    found = claim_one(store, events=1)
    answer = delete(store, made.id)
    settled = settle(store, found)
    end = claim_one(store)
    return [answer, settled, [item.end for item in end.items], settle(store, end)]


def given_a_token(store: Store, made: Subscription) -> list[object]:
    found = store.subscriptions.get(made.id)
    assert found is not None
    renewed = replace(found, credential=Credential("token", EXPIRY_MS))
    result = store.subscriptions.update(renewed, expires_at_ms=None, sealed="sealed")
    append(store, invitation(1))
    return [result.outcome, claim_one(store).credential]


def read_by_an_operator(store: Store, made: Subscription) -> list[object]:
    assert store.subscriptions.get(made.id) is not None
    return list(DamagedRecords(store).find())


@pytest.mark.parametrize(
    "live",
    [
        delivered_and_retried,
        hastened_before_any_claim,
        deleted_while_it_waits,
        deleted_while_it_is_claimed,
        given_a_token,
        read_by_an_operator,
    ],
)
def test_it_lives_as_one_that_has_them(
    store: Store,
    store_with: StoreWith,
    raw_store: "redis.Redis",
    live: Callable[[Store, Subscription], list[object]],
) -> None:
    lacking = live(store, created(store))
    raw_store.flushdb()
    whole = live(store, created(store_with(shared_payloads="off")))
    assert lacking == whole
