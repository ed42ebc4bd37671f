"""Where many are due, clients alternate, and so do the hosts of each client."""

from collections import Counter
from collections.abc import Sequence

import pytest
import redis

from tests.harness.builders import append, created, invitation
from webrtc_events.core.model import Claim
from webrtc_events.store.keys import partition_of
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
SLOW = "https://slow.example/"


def due(
    store: Store, count: int, *, client: str = "greedy", sink: str = SLOW, registration: str = "r1"
) -> list[str]:
    """`count` due subscriptions of one registration."""
    made = [created(store, client=client, sink=sink, registration=registration).id for _ in range(count)]
    append(store, invitation(1, registration=registration, source=f"/{registration}/{client}/{sink}"))
    return made


def others_of_partition(count: int) -> list[str]:
    """Registrations of the partition of r1, without r1."""
    found = (f"s{number}" for number in range(100_000) if partition_of(f"s{number}", 64).number == P.number)
    return [next(found) for _ in range(count)]


def claim(store: Store, subscriptions: int) -> list[Claim]:
    return store.claims.claim([P], subscriptions=subscriptions, events=8)


def clients_of(claims: Sequence[Claim]) -> Counter[str]:
    return Counter(leased.client for leased in claims)


def listed(raw_store: "redis.Redis") -> list[str]:
    names = (P.clients, P.hosts("*"), P.queue("*", "*"))
    return [key for name in names for key in raw_store.keys(name)]


def flood(store: Store, *, sinks: Sequence[str] = (SLOW,)) -> None:
    """Of one client, twelve times fifty."""
    for number, registration in enumerate(others_of_partition(12)):
        due(store, 50, sink=sinks[number % len(sinks)], registration=registration)


@pytest.mark.parametrize(
    ("client", "sink"),
    [("other", "https://new.example/"), ("other", SLOW), ("greedy", "https://new.example/")],
)
def test_what_is_new_waits_behind_nobody_who_has_much_due(store: Store, client: str, sink: str) -> None:
    """Of another client, also to the same host; or of the same client, to another host."""
    flood(store)
    (new,) = due(store, 1, client=client, sink=sink)
    # Half of what is claimed is due for longest.
    found = [leased.subscription_id for _ in range(2) for leased in claim(store, 2)]
    assert new in found


def test_where_one_is_asked_for_the_halves_alternate(store: Store) -> None:
    flood(store)
    (new,) = due(store, 1, client="other")
    assert new in [leased.subscription_id for _ in range(2) for leased in claim(store, 1)]


def test_clients_have_equal_shares_of_the_claims(store: Store) -> None:
    flood(store)
    for client in ("a", "b", "c"):
        due(store, 20, client=client, registration=others_of_partition(15)["abc".index(client) + 12])
    found = clients_of(claim(store, 40))
    # Of forty, twenty are due for longest: the flood's. Of the others each has a quarter.
    assert found == {"greedy": 25, "a": 5, "b": 5, "c": 5}


def test_a_host_of_which_much_is_due_leaves_claims_of_its_client_to_the_others(store: Store) -> None:
    flood(store, sinks=[SLOW])
    sinks = [f"https://h{number}.example:8443/x" for number in range(4)]
    for sink, registration in zip(sinks, others_of_partition(16)[12:], strict=True):
        due(store, 2, sink=sink, registration=registration)
    found = Counter(leased.sink for leased in claim(store, 20))
    assert [found[sink] for sink in sinks] == [2, 2, 2, 2]


def test_nobody_waits_while_there_is_room(store: Store) -> None:
    """Whoever is alone gets all that is asked for."""
    flood(store)
    assert len(claim(store, 200)) == 200
    assert len(claim(store, 1000)) == 400


def test_what_is_due_for_longest_is_not_forgotten_over_it(store: Store) -> None:
    oldest = due(store, 3)
    flood(store)
    claimed = []
    for number, registration in enumerate(others_of_partition(20)[12:]):
        due(store, 5, client=f"c{number}", registration=registration)
        claimed += [leased.subscription_id for leased in claim(store, 2)]
    assert set(oldest) <= set(claimed)


def test_where_few_are_due_nothing_is_listed(store: Store, raw_store: "redis.Redis") -> None:
    due(store, 2)
    assert listed(raw_store) == []
    assert len(claim(store, 10)) == 2


def test_whose_sink_fails_waits_by_its_age(store: Store, raw_store: "redis.Redis") -> None:
    flood(store)
    failing = created(store, client="other", sink="https://fails.example/").id
    raw_store.hset(P.subscription(failing), "failing_since", 1)
    append(store, invitation(1))
    assert raw_store.zscore(P.clients, "other") is None
    assert failing in [leased.subscription_id for leased in claim(store, 1000)]


def test_more_that_came_in_while_it_was_claimed_is_listed_again(
    store: Store, raw_store: "redis.Redis"
) -> None:
    (new,) = due(store, 1, client="other", sink="https://new.example/")
    (first,) = claim(store, 1)
    flood(store)
    append(store, invitation(2))
    store.claims.settle([Settlement(first, 1)])
    again = [leased.subscription_id for _ in range(2) for leased in claim(store, 2)]
    assert new in again


def test_nothing_stays_of_the_lists(store: Store, raw_store: "redis.Redis") -> None:
    flood(store)
    assert len(listed(raw_store)) == 3
    while claims := claim(store, 100):
        store.claims.settle([Settlement(leased, leased.items[-1].number) for leased in claims])
    for _ in range(20):
        claim(store, 10)
    assert listed(raw_store) == []
    assert not raw_store.exists(P.due)


def test_lists_that_were_lost_or_tell_too_much_hold_back_nobody(
    store: Store, raw_store: "redis.Redis"
) -> None:
    """A process of the release before knows no lists; what it makes due, or claims, they do not tell."""
    flood(store)
    (new,) = due(store, 1, client="other")
    raw_store.delete(P.hosts("greedy"), P.queue("other", "slow.example"))
    raw_store.rpush(P.queue("other", "slow.example"), "nobody", "nobody", new, new)
    found = [leased.subscription_id for _ in range(8) for leased in claim(store, 100)]
    assert len(found) == len(set(found)) == 601


def test_lists_are_bounded_where_nobody_takes_from_them(store: Store, raw_store: "redis.Redis") -> None:
    """Workers of the release before do not, while processes of this one accept events."""
    queue = P.queue("greedy", "slow.example")
    raw_store.rpush(queue, *(f"former-{number}" for number in range(1000)))
    made = due(store, 20)
    assert raw_store.llen(queue) == 1000
    assert set(raw_store.lrange(queue, -18, -1)) <= set(made)


@pytest.mark.parametrize("key", [P.clients, P.hosts("greedy"), P.queue("greedy", "slow.example")])
def test_a_list_of_another_type_is_set_aside(store: Store, raw_store: "redis.Redis", key: str) -> None:
    flood(store)
    raw_store.delete(key)
    raw_store.set(key, "x")
    assert claim(store, 10)
    due(store, 3, registration="r1")
    assert len([leased for _ in range(10) for leased in claim(store, 100)]) == 593
    assert raw_store.exists(f"set-aside:{key}")


def test_a_host_is_the_same_however_it_is_written(store: Store, raw_store: "redis.Redis") -> None:
    due(store, 4, sink="https://Slow.Example/a")
    due(store, 4, sink="https://slow.example/b?c", registration=others_of_partition(1)[0])
    assert raw_store.zrange(P.hosts("greedy"), 0, -1) == ["slow.example"]
