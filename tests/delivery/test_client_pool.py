"""Room that clients share: what one leaves is for the others."""

from webrtc_events.delivery.client_pool import ClientPool


def taken(pool: ClientPool, client: str) -> int:
    """How many the client gets until it may have no more."""
    count = 0
    while pool.may_have(client):
        pool.take(client)
        count += 1
    return count


def test_a_client_that_is_alone_leaves_a_fifth() -> None:
    assert taken(ClientPool(1000), "greedy") == 800


def test_whoever_comes_finds_something() -> None:
    pool = ClientPool(1000)
    taken(pool, "greedy")
    assert [taken(pool, name) for name in ("a", "b")] == [138, 8]


def test_what_is_given_back_is_free_again() -> None:
    pool = ClientPool(10)
    assert taken(pool, "a") == 8
    for _ in range(8):
        pool.give("a")
    assert taken(pool, "b") == 8
