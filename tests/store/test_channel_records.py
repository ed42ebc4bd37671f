"""Channels: how many a client has, who is admitted, how long they live."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.harness.builders import created
from tests.harness.channels import TOKEN, listening, new_channel, url_of
from tests.store.claiming import P
from webrtc_events.core.errors import DamagedRecord, NewerRelease, Unavailable
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.store.channel_subscriptions import subscriptions_of
from webrtc_events.store.connection import Connection
from webrtc_events.store.keys import channel_key, client_channels_key
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.store import Store


def test_a_channel_is_read_as_it_was_made(store: Store) -> None:
    made = new_channel(store)
    assert store.channels.get(made.id) == made
    assert made.admits(TOKEN)
    assert not made.admits("another")
    assert store.channels.get(secrets.token_hex(16)) is None


def test_the_token_is_not_in_the_store(store: Store, raw_store: "redis.Redis") -> None:
    made = new_channel(store)
    assert TOKEN not in repr(raw_store.hgetall(channel_key(made.id)))


def test_a_client_has_a_bounded_number(store_with: Callable[..., Store]) -> None:
    store = store_with(max_channels=2)
    first, _ = new_channel(store), new_channel(store)
    assert store.channels.make("f" * 32, "app", None, TOKEN) is None
    assert store.channels.make("f" * 32, "other", None, TOKEN) is not None
    store.channels.remove(first)
    assert store.channels.make("e" * 32, "app", None, TOKEN) is not None


def test_one_that_could_not_be_made_does_not_count(
    store_with: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(max_channels=1)
    run = Connection.run

    def cut(connection: Connection, call: Call) -> Any:
        if call.script == "make_channel":
            raise Unavailable
        return run(connection, call)

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "run", cut)
        with pytest.raises(Unavailable):
            store.channels.make("f" * 32, "app", None, TOKEN)
    assert store.channels.make("e" * 32, "app", None, TOKEN) is not None


def test_one_that_is_gone_is_not_counted_by_who_used_it(store_with: Callable[..., Store]) -> None:
    store = store_with(max_channels=1)
    made = new_channel(store)
    store.channels.remove(made)
    assert store.channels.use(made) is None
    assert store.channels.make("e" * 32, "app", None, TOKEN) is not None


def test_those_that_nobody_used_do_not_count(store_with: Callable[..., Store]) -> None:
    store = store_with(max_channels=1, channel_idle_s=100)
    new_channel(store)
    assert store.channels.make("f" * 32, "app", None, TOKEN) is None
    assert store_with(101, max_channels=1, channel_idle_s=100).channels.make("f" * 32, "app", None, TOKEN)


def test_one_that_is_used_lives_on(store: Store, raw_store: "redis.Redis") -> None:
    made = new_channel(store)
    raw_store.pexpire(channel_key(made.id), 5_000)
    used = store.channels.use(made)
    assert used is not None
    assert used.expires_at_ms >= made.expires_at_ms
    assert raw_store.pttl(channel_key(made.id)) > 80_000_000


def test_one_that_ends_can_only_be_ended_again(store: Store) -> None:
    made = new_channel(store)
    listening(store, made)
    ending = store.channels.end(made.id)
    assert ending is not None
    assert ending.partitions == (P.number,)
    assert store.channels.use(made) is None
    assert store.channels.join(made.id, 3) is None
    again = store.channels.end(made.id)
    assert again == ending
    assert again.is_ending
    store.channels.remove(made)
    assert store.channels.end(made.id) is None


@pytest.mark.parametrize("field", ["format", "starts_at"])
def test_a_damaged_subscription_that_is_discarded_goes_out_of_its_channels_index(
    store: Store, raw_store: "redis.Redis", field: str
) -> None:
    made = new_channel(store)
    kept, damaged = listening(store, made), listening(store, made)
    raw_store.hset(P.subscription(damaged.id), field, "?")
    assert store.subscriptions.discard(damaged.id, "app")
    assert raw_store.smembers(P.channel_subscriptions(made.id)) == {"", kept.id}
    channel = store.channels.get(made.id)
    assert channel is not None
    assert list(subscriptions_of(store, channel, url_of(made.id))) == [kept.id]


def test_an_index_of_another_type_is_set_aside(store: Store, raw_store: "redis.Redis") -> None:
    key = client_channels_key("app")
    raw_store.set(key, "?")
    new_channel(store)
    assert raw_store.zcard(key) == 1
    assert raw_store.get(f"set-aside:{key}") == "?"


@pytest.mark.parametrize("damage", ["type", "field", "moment"])
def test_one_that_is_damaged_is_named(store: Store, raw_store: "redis.Redis", damage: str) -> None:
    made = new_channel(store)
    key = channel_key(made.id)
    match damage:
        case "type":
            raw_store.delete(key)
            raw_store.set(key, "?")
        case "field":
            raw_store.hdel(key, "client")
        case "moment":
            raw_store.hset(key, "used_at", "now")
    with pytest.raises(DamagedRecord) as raised:
        store.channels.get(made.id)
    assert raised.value.name == key


def test_one_of_a_newer_release_is_left_alone(store: Store, raw_store: "redis.Redis") -> None:
    made = new_channel(store)
    raw_store.hset(channel_key(made.id), "format", "99")
    with pytest.raises(NewerRelease):
        store.channels.get(made.id)


def test_its_subscriptions_are_found_and_no_others_are_looked_at(
    store: Store, raw_store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each partition; one that is over is in the index no more."""
    made, other = new_channel(store), new_channel(store)
    mine = [listening(store, made, registration=registration) for registration in ("r1", "r1", "r2", "r1")]
    listening(store, other)
    created(store)
    gone = mine.pop()
    store.subscriptions.end(
        gone.id, TerminationReason.SUBSCRIPTION_DELETED, Status.DELETED, drop_pending=True
    )
    channel = store.channels.get(made.id)
    assert channel is not None
    monkeypatch.setattr(store.client_index, "pages", None)
    found = list(subscriptions_of(store, channel, url_of(made.id)))
    assert sorted(found) == sorted(subscription.id for subscription in mine)
    store.channels.remove(channel)
    assert not raw_store.keys(f"*:channel-subscriptions:{made.id}")


@pytest.mark.parametrize("former", ["none", "of another type"])
def test_where_a_release_before_made_the_log_the_index_of_the_client_finds_them(
    store: Store, raw_store: "redis.Redis", former: str
) -> None:
    made = new_channel(store)
    first = listening(store, made)
    raw_store.delete(P.channel_subscriptions(made.id))
    if former != "none":
        raw_store.set(P.channel_subscriptions(made.id), "?")
    second = listening(store, made)
    elsewhere = listening(store, made, registration="r2")
    channel = store.channels.get(made.id)
    assert channel is not None
    found = list(subscriptions_of(store, channel, url_of(made.id)))
    assert sorted(found) == sorted([first.id, second.id, elsewhere.id])


def test_the_index_of_a_channel_lives_as_long_as_its_log(store: Store, raw_store: "redis.Redis") -> None:
    made = new_channel(store)
    listening(store, made)
    keys = [P.channel(made.id), P.channel_subscriptions(made.id)]
    for key in keys:
        raw_store.pexpire(key, 5_000)
    store.channel_logs.keep(made.id, [P.number])
    assert all(raw_store.pttl(key) > 80_000_000 for key in keys)
