"""What goes by registration elsewhere, for subscriptions to devices: repair, search, letters, erasure."""

import dataclasses
from typing import Any

import pytest
import redis

from tests.harness.builders import append, created, invitation, session_status
from tests.harness.channels import new_channel, page_of
from tests.store.call_notes import accepted, recorded
from tests.store.devices import (
    ALL_TYPES,
    DEVICE,
    HOME,
    OTHER_DEVICE,
    accept,
    created_for,
    end_of,
    listening_for,
    outbox,
    registered,
    said,
)
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim, EventType, NetworkEvent, Status, TerminationReason
from webrtc_events.store.damaged_records import DamagedRecords
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.device_erasure import DeviceErasure
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.keys import call_trace_key, partition_of, session_state_key
from webrtc_events.store.settlements import ChannelEvent, DroppedEvent, Settlement
from webrtc_events.store.store import Store
from webrtc_events.store.subscription_rows import SubscriptionFilter
from webrtc_events.store.subscription_search import Cursor, SubscriptionSearch

INVITATION, STATUS, ENDS = ALL_TYPES
R1 = partition_of("r1", 64)


def status(number: int, registration: str | None = "r1", **values: Any) -> NetworkEvent:
    return session_status(number, registration=registration, **values)


def claim_one(store: Store) -> Claim:
    (found,) = store.claims.claim([HOME], subscriptions=10, events=9)
    return found


def test_a_broken_index_is_made_anew(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    made, other = created_for(store), created_for(store, client="other")
    index = HOME.device(DEVICE, "app")
    raw_store.delete(index)
    raw_store.set(index, "?")
    with pytest.raises(Unavailable):
        store.events.accept([status(1)])
    store.expiry.sweep()
    assert raw_store.smembers(index) == {made.id}
    assert accept(store, status(1)) == [(True, 1)]
    assert (said(raw_store, made), said(raw_store, other)) == (["Ringing"], [])


def test_a_repaired_one_is_indexed_again(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    made = created_for(store)
    raw_store.srem(HOME.device(DEVICE, "app"), made.id)
    damaged = DamagedRecords(store)
    assert list(damaged.find()) == []
    assert damaged.repair(made.id) is None
    assert accept(store, status(1)) == [(True, 1)]


@pytest.mark.parametrize("kind", ["device", "device-ends", "devices"])
def test_keys_of_another_type_are_found(store: Store, raw_store: "redis.Redis", kind: str) -> None:
    key = f"{HOME.tag}:{kind}" + (f":{DEVICE} app" if kind == "device" else "")
    raw_store.xadd(key, {"a": "b"})
    (found,) = DamagedRecords(store).find()
    assert found.key == key


def test_a_registration_that_lacks_its_device_is_found(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    raw_store.hdel(R1.registration_record("r1"), "device")
    (found,) = DamagedRecords(store).find()
    assert found.why == "it lacks its device"


def test_a_discarded_one_leaves_its_index(store: Store, raw_store: "redis.Redis") -> None:
    made, other = created_for(store), created_for(store)
    raw_store.hset(HOME.subscription(made.id), "starts_at", "?")
    assert store.subscriptions.discard(made.id, "app")
    assert raw_store.smembers(HOME.device(DEVICE, "app")) == {other.id}


def found_by(store: Store, **wanted: Any) -> set[str]:
    search = SubscriptionSearch(store, SystemClock())
    found, place, is_last = set(), Cursor(), False
    while not is_last:
        page = search.page(SubscriptionFilter(**wanted), place)
        found |= {row.id for row in page.rows}
        assert not any(row.fault for row in page.rows)
        place, is_last = page.reached, page.is_last
    return found


def test_a_search_by_registration_finds_those_to_its_device(store: Store) -> None:
    registered(store)
    old = created(store)
    new, of_ends = created_for(store), created_for(store, types=(ENDS,))
    created_for(store, client="other")
    created_for(store, OTHER_DEVICE)
    live = frozenset({Status.ACTIVE, Status.ACTIVATION_REQUESTED})
    for statuses in (live, frozenset[Status]()):
        assert found_by(store, registration="r1", statuses=statuses) == {old.id, new.id, of_ends.id}
        assert found_by(store, registration="r1", statuses=statuses, type=STATUS) == {new.id}
    assert found_by(store, registration="r2") == set()


def test_a_search_by_device_finds_those_of_every_client(store: Store) -> None:
    made = {created_for(store).id, created_for(store, client="other").id}
    created_for(store, OTHER_DEVICE)
    created(store)
    assert found_by(store, device=DEVICE) == made
    (row,) = SubscriptionSearch(store, SystemClock()).page(SubscriptionFilter(client="other"), Cursor()).rows
    assert (row.device, row.registration, row.types, row.type) == (DEVICE, "", ALL_TYPES, INVITATION)


def test_a_letter_names_its_registration_and_is_delivered_again(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    registered(store, "r2")
    made = created_for(store)
    accept(store, status(1), status(2, "r2"))
    store.claims.settle(
        [Settlement(claim_one(store), 2, dead=tuple(DroppedEvent(n, "refused", "") for n in (1, 2)))]
    )
    letters = DeadLetters(store)
    (letter,) = letters.newest_first(DeadLetterFilter(registration="r2"))
    assert (letter.registrations, letter.type) == (["r2"], STATUS)
    # Whoever the registration belongs to by now: the event was the subscriber's.
    registered(store, "r2", owner="another")
    assert letters.redeliver(letter).outcome == "redelivered"
    assert [payload["registrations"] for payload in outbox(raw_store, made)] == [["r2"]]


def test_an_erased_registration_leaves_nothing_in_outboxes_letters_and_notes(
    store: Store, raw_store: "redis.Redis"
) -> None:
    soon = raw_store.time()[0] * 1000 + 60_000
    registered(store, "r1", expires_at_ms=soon, end=end_of().payload)
    registered(store, "r2")
    made = created_for(store)
    accept(store, status(1), status(2, "r2"), status(3, session="s3"), status(4, "r2"))
    store.claims.settle([Settlement(claim_one(store), 2, dead=(DroppedEvent(1, "refused", ""),))])
    raw_store.hset(R1.device_ends, mapping={"7 r1": "{}", "7 r12": "{}"})
    recorded(store, accepted("s3", registration="r1"))
    erasure = Erasure(store)
    held = erasure.find("r1").of_devices
    assert [len(entries) for entries in held.entries.values()] == [1]
    assert list(map(len, held.dead_letters.values())) == [1]
    erasure.erase(erasure.find("r1"))
    assert [payload["registrations"] for payload in outbox(raw_store, made)] == [["r2"]]
    assert raw_store.xlen(HOME.dead) == 0
    assert raw_store.hkeys(R1.device_ends) == ["7 r12"]
    assert not raw_store.exists(session_state_key("s3"), call_trace_key("s3"))
    assert not erasure.find("r1")
    (claim,) = store.claims.claim([HOME], subscriptions=10, events=9)
    assert [item.number for item in claim.items] == [4]
    assert store.claims.settle([Settlement(claim, 4)]) == ["idle"]


def test_a_claim_with_an_erased_event_settles_as_lost_and_the_rest_is_sent_again(
    store: Store, raw_store: "redis.Redis"
) -> None:
    registered(store)
    registered(store, "r2")
    made = created_for(store)
    accept(store, status(1), status(2, "r2"))
    lost = claim_one(store)
    erasure = Erasure(store)
    erasure.erase(erasure.find("r1"))
    assert store.claims.settle([Settlement(lost, 2)]) == ["lost"]
    assert [item.number for item in claim_one(store).items] == [2]
    assert len(outbox(raw_store, made)) == 1


def test_a_shared_payload_goes_with_the_last_that_refers_to_it(
    store_with: StoreWith, raw_store: "redis.Redis"
) -> None:
    store = store_with(shared_payloads="on")
    registered(store)
    made = [created_for(store) for _ in range(20)]
    long = dataclasses.replace(status(1), payload=status(1).payload.replace("Ringing", "R" * 9000))
    accept(store, long)
    erasure = Erasure(store)
    erasure.erase(erasure.find("r1"))
    assert [outbox(raw_store, one) for one in made] == [[]] * 20
    assert raw_store.keys(HOME.payload("*")) == []
    assert store.claims.claim([HOME], subscriptions=20, events=8) == []


def test_what_is_in_the_log_of_a_channel_goes_too(store: Store) -> None:
    registered(store)
    registered(store, "r2")
    channel = new_channel(store)
    listening_for(store, channel)
    accept(store, status(1), status(2, "r2"), status(3))
    claim = claim_one(store)
    events = tuple(ChannelEvent(item.number, "t", item.payload.encode()) for item in claim.items)
    assert store.claims.settle([Settlement(claim, 3, channel=channel.id, events=events)]) == ["idle"]
    assert len(page_of(store, channel, HOME).events) == 3
    erasure = Erasure(store)
    erasure.erase(erasure.find("r1"))
    (left,) = page_of(store, channel, HOME).events
    assert '["r2"]' in left.body


def test_a_newer_releases_events_are_left_alone(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    made = created_for(store)
    accept(store, status(1))
    raw_store.hset(HOME.subscription(made.id), "format", "6")
    erasure = Erasure(store)
    erasure.erase(erasure.find("r1"))
    assert said(raw_store, made) == ["Ringing"]


def test_a_channel_knows_its_subscriptions_until_they_are_over(
    store: Store, raw_store: "redis.Redis"
) -> None:
    channel = new_channel(store)
    made = listening_for(store, channel)
    index = HOME.channel_subscriptions(channel.id)
    assert made.id in raw_store.smembers(index)
    store.subscriptions.end(
        made.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    assert made.id not in raw_store.smembers(index)


def test_a_one_type_search_of_a_registration_without_device(store: Store) -> None:
    made = created(store, event_type=EventType.SESSION_INVITATION)
    append(store, invitation(1))
    assert found_by(store, registration="r1", type=INVITATION) == {made.id}


def test_an_erased_device_leaves_nothing_and_others_stay(store: Store, raw_store: "redis.Redis") -> None:
    registered(store)
    registered(store, "r2", OTHER_DEVICE)
    mine = [created_for(store), created_for(store, client="another", types=(ENDS,))]
    other = created_for(store, OTHER_DEVICE)
    unnumbered = dataclasses.replace(status(3), numbered=False)
    accept(store, status(1), status(2, "r2"), unnumbered)
    claim = claim_one(store)
    channel = new_channel(store)
    listening_for(store, channel)
    attempt = {"event": f"{mine[0].id}.1"}
    dead = (DroppedEvent(1, "refused", ""),)
    store.claims.settle([Settlement(claim, 1, dead=dead, attempts=(attempt,))])
    note = '{"device":"%s","owner":"app","subject":"","end":"{}"}'
    raw_store.hset(
        R1.device_ends, mapping={"7 r1": note % DEVICE.upper(), "7 r2": note % OTHER_DEVICE, "8 r3": "?"}
    )
    lost = claim_one(store)
    erasure = DeviceErasure(store)
    found = erasure.find(DEVICE.upper())
    assert (len(found.clients), len(found.sequences), found.newer) == (3, 1, [])
    assert sorted(map(len, found.streams.values())) == [1, 1]
    erasure.erase(found)
    assert not erasure.find(DEVICE)
    assert store.claims.settle([Settlement(lost, 3)]) == ["lost"]
    assert [store.subscriptions.get(made.id) for made in mine] == [None, None]
    assert not raw_store.exists(HOME.device(DEVICE, "app"), HOME.device(DEVICE, "another"))
    assert raw_store.zrange("client:{app}", 0, -1) == [other.id]
    assert sorted(raw_store.hkeys(R1.device_ends)) == ["7 r2", "8 r3"]
    assert said(raw_store, other) == ["Ringing"]
    assert accept(store, status(4), status(5, "r2")) == [(True, 0), (True, 1)]


def test_what_a_newer_release_made_of_a_device_is_named_and_stays(
    store: Store, raw_store: "redis.Redis"
) -> None:
    made = created_for(store)
    raw_store.hset(HOME.subscription(made.id), "format", "6")
    erasure = DeviceErasure(store)
    found = erasure.find(DEVICE)
    assert (found.newer, bool(found)) == ([made.id], False)
    erasure.erase(found)
    assert raw_store.exists(HOME.subscription(made.id))
