"""Channels: how many a client has, who is admitted, how long they live."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.harness.channels import TOKEN, listening, new_channel
from tests.store.claiming import P
from webrtc_events.core.errors import DamagedRecord, NewerRelease, Unavailable
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
