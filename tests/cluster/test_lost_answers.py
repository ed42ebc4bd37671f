"""A claim whose answer does not arrive leaves nothing leased to nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import Build, Connect
from tests.cluster.relays import LossyRelay
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import ValkeyServer
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Claim
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as server:
        yield server


@pytest.fixture
def relay(server: ValkeyServer) -> Iterator[LossyRelay]:
    relay = LossyRelay(server.port)
    yield relay
    relay.close()


@pytest.fixture
def store(relay: LossyRelay, connect: Connect) -> Store:
    store = connect(f"redis://127.0.0.1:{relay.port}")
    # The first answer is that the script is not known yet; that is not the one to be lost.
    assert claim(store) == []
    return store


def claim(store: Store, subscriptions: int = 10) -> list[Claim]:
    return store.claims.claim([P], subscriptions=subscriptions, events=8)


def ids(claims: list[Claim]) -> set[str]:
    return {leased.subscription_id for leased in claims}


def lost_claim(store: Store, relay: LossyRelay, subscriptions: int = 10) -> None:
    relay.to_lose = 1
    with pytest.raises(Unavailable):
        claim(store, subscriptions)
    assert relay.to_lose <= 0


def test_what_a_lost_answer_had_claimed_is_in_the_next(store: Store, relay: LossyRelay) -> None:
    made = {created(store).id for _ in range(3)}
    append(store, invitation(1))
    lost_claim(store, relay)
    claims = claim(store)
    assert ids(claims) == made
    assert store.claims.settle([Settlement(leased, 1) for leased in claims]) == ["idle"] * 3


def test_so_it_is_after_several_lost_answers(store: Store, relay: LossyRelay) -> None:
    made = {created(store).id for _ in range(3)}
    append(store, invitation(1))
    for _ in range(3):
        lost_claim(store, relay, subscriptions=1)
    assert ids(claim(store)) == made


def test_what_a_frozen_store_does_once_it_is_awake_is_not_lost(store: Store, server: ValkeyServer) -> None:
    made = created(store)
    append(store, invitation(1))
    server.pause()
    with pytest.raises(Unavailable):
        claim(store)
    server.resume()
    # The store comes to the former claim first: it was there before.
    assert ids(claim(store)) == {made.id}


def test_what_is_held_stays_held(store: Store, relay: LossyRelay) -> None:
    for _ in range(3):
        created(store)
    append(store, invitation(1))
    held = claim(store, 1)
    lost_claim(store, relay, 1)
    again = claim(store)
    assert len(again) == 2
    assert not ids(again) & ids(held)
    assert store.claims.settle([Settlement(leased, 1) for leased in [*held, *again]]) == ["idle"] * 3


def test_what_others_hold_stays_held(
    store: Store, relay: LossyRelay, server: ValkeyServer, connect: Connect
) -> None:
    other = connect(server.url)
    assert claim(other) == []
    created(store)
    append(store, invitation(1))
    # Its second claim, as the lost one is of this store.
    held = claim(other)
    lost_claim(store, relay)
    assert claim(store) == []
    assert other.claims.settle([Settlement(leased, 1) for leased in held]) == ["idle"]


def test_what_was_claimed_by_another_meanwhile_stays_there(
    store: Store, relay: LossyRelay, server: ValkeyServer
) -> None:
    created(store)
    append(store, invitation(1))
    lost_claim(store, relay)
    with server.client() as raw:
        # As a claim of the release before this one leaves it: it tells nothing of who claimed.
        (subscription,) = raw.zrange(P.due, 0, -1)
        raw.hincrby(P.subscription(subscription), "fence", 1)
    assert claim(store) == []


def test_a_claim_that_comes_late_takes_nothing_from_those_after_it(store: Store, relay: LossyRelay) -> None:
    created(store)
    append(store, invitation(1))
    lost_claim(store, relay)
    lost_claim(store, relay)
    held = claim(store)
    # The claims were the second to the fourth. This is the third, as if it ran only now.
    late = Call("claim", [P.due], P.tag, [10, 8, store.claims._claimer, 3, 2, 1000, 1000, ""])
    _, _, damaged, _, _, _, _, *claims = store.scripts.run([late])[0]
    assert (damaged, claims) == ([], [])
    assert store.claims.settle([Settlement(leased, 1) for leased in held]) == ["idle"]


def test_nothing_waits_for_a_lease_that_nobody_has(
    server: ValkeyServer, relay: LossyRelay, connect: Connect, build: Build, sink: RecordingSink
) -> None:
    store = connect(server.url)
    for _ in range(20):
        created(store, sink=sink.url)
    build(f"redis://127.0.0.1:{relay.port}")
    for number in range(1, 6):
        relay.to_lose = 2
        append(store, invitation(number))
        # A lease is 13.2 s long.
        sink.wait_for(20 * number, timeout_s=8)
