"""Whatever workers do, and the store's clock: a worker that skips some claims all others that are due."""

import random
from collections.abc import Iterator

import pytest
import redis

from tests.harness.builders import append, created, invitation
from tests.harness.channels import BASE, listening, new_channel
from tests.store.claiming import P
from tests.store.shared_payloads import StoreWith
from webrtc_events.core.model import Claim
from webrtc_events.core.outcomes import ScheduledRetry
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

STEPS = 100
# Also back, by more than a partition makes up for, and past the moment at which all are looked at again.
CLOCKS_S = (0, 1, 2, 3, 5, 8, 13, 30, 62)


class Worker:
    """One by its claims, at whatever time; a store for each."""

    def __init__(self, store_with: StoreWith, channels_url: str | None) -> None:
        self.at = {clock_s: store_with(clock_s, channels_url=channels_url) for clock_s in CLOCKS_S}
        first = self.at[0].claims
        for store in self.at.values():
            store.claims.__dict__.update(
                {name: first.__dict__[name] for name in ("_claimer", "_numbers", "_passed", "_unanswered")}
            )


def claimed(store: Store, chance: random.Random) -> Iterator[Claim]:
    """All that are due, however few are asked for at once."""
    while True:
        subscriptions = chance.choice([1, 2, 50])
        found = store.claims.claim_round([P], subscriptions=subscriptions, events=2)
        yield from found.claims
        if not found.claims and found.due_in_ms.get(P.number) != 0:
            return


def settle(store: Store, claim: Claim, chance: random.Random) -> None:
    """As delivered, or to be tried again."""
    first, last = claim.items[0].number, claim.items[-1].number
    if chance.random() < 0.5:
        store.claims.settle([Settlement(claim, last, (), (), None)])
    else:
        retry = ScheduledRetry(chance.choice([0, 500, 3000]), 1, first)
        store.claims.settle([Settlement(claim, first - 1, (), (), retry)])


@pytest.mark.parametrize("seed", range(8))
def test_what_is_due_is_claimed(store_with: StoreWith, raw_store: "redis.Redis", seed: int) -> None:
    chance = random.Random(seed)
    knowing, ignorant = Worker(store_with, BASE), Worker(store_with, None)
    channel = new_channel(knowing.at[0])
    for _ in range(3):
        listening(knowing.at[0], channel)
    webhooks = {created(knowing.at[0]).id for _ in range(6)}
    place, held = 0, []
    for step in range(STEPS):
        if chance.random() < 0.2:
            place = max(0, min(len(CLOCKS_S) - 1, place + chance.choice([-1, 1, 1])))
        clock_s = CLOCKS_S[place]
        match chance.choice(["append", "append", "claim", "settle", "settle", "look"]):
            case "append":
                append(knowing.at[clock_s], invitation(step))
            case "claim":
                claims = knowing.at[clock_s].claims
                held += claims.claim([P], subscriptions=chance.choice([1, 3, 50]), events=2)
            case "settle" if held:
                settle(knowing.at[clock_s], held.pop(chance.randrange(len(held))), chance)
        # No partition is behind its store.
        began_ms = ignorant.at[clock_s].processes.now_ms() + clock_s * 1000
        held += claimed(ignorant.at[clock_s], chance)
        due = raw_store.zrange(P.due, 0, -1, withscores=True)
        assert [id_ for id_, score in due if id_ in webhooks and score < began_ms] == [], step
