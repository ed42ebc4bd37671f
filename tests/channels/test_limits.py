"""Bounds of channels and their readers, and what is slow, idle or away."""

import json
import socket
from collections.abc import Callable

import pytest
import redis

from tests.channels.conftest import CHANNELS, Stack
from tests.harness.valkeys import eventually
from webrtc_events.channels import readers, stream
from webrtc_events.store.keys import channel_key, partition_of

P = partition_of("r1", 64)
# More than the buffers between server and reader take, of 400 events, and room for all of them.
LONG = "a=" + 30_000 * "x"
ROOM = {"channel_bytes": 64_000_000}


def test_a_thousand_events_are_read_once_and_in_order(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    reader = service.read(channel)
    numbers = [number for _ in range(10) for number in service.publish(100)]
    assert reader.wait_events(1000, 60).numbers() == numbers


def test_a_log_that_was_trimmed_says_how_much_was_missed(service_with: Callable[..., Stack]) -> None:
    service = service_with(channel_length=10)
    channel = service.make()
    service.subscribed(channel)
    first = service.read(channel)
    numbers = service.publish(5)
    first.wait_events(5).close()
    numbers += service.publish(30)
    other = service.read(channel, first.events[-1].id)
    eventually(lambda: other.numbers()[-1:] == numbers[-1:], "the rest is delivered")
    late = service.read(channel, first.events[-1].id).wait_events(11)
    assert late.types[0] == "gap"
    assert late.events[0].json == {"missed": 20}
    assert late.numbers() == numbers[-10:]


def test_a_process_and_a_channel_have_bounded_readers(
    service_with: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_READERS_A_CHANNEL", 2)
    service = service_with(channel_readers=3)
    first, second = service.make(), service.make()
    mine = [service.read(first) for _ in range(3)]
    assert [reader.status for reader in mine] == [200, 200, 429]
    assert json.loads(mine[2].body)["code"] == "TOO_MANY_REQUESTS"
    assert [service.read(second).status for _ in range(2)] == [200, 429]
    # Who leaves makes room.
    mine[0].close()
    # At once, not with the next heartbeat.
    eventually(lambda: service.read(second).status == 200, "there is room", 10)


def test_a_heartbeat_comes_where_nothing_else_does(service: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.1)
    channel = service.make()
    service.subscribed(channel)
    reader = service.read(channel)
    eventually(lambda: reader.heartbeats >= 3, "heartbeats")
    numbers = service.publish(1)
    assert reader.wait_events(1).numbers() == numbers


def test_a_channel_that_nobody_uses_ends_and_its_subscriptions_with_it(
    service_with: Callable[..., Stack], raw_store: "redis.Redis"
) -> None:
    service = service_with(channel_idle_s=1)
    channel = service.make()
    subscription = service.subscribed(channel)
    eventually(lambda: not raw_store.exists(channel_key(channel.id)), "the channel is gone")
    assert service.read(channel).status == 404
    # Its log lives twice as long.
    eventually(lambda: not raw_store.exists(P.channel(channel.id)), "its log is gone")
    service.publish(1)
    path = f"/webrtc-events/v0.2/subscriptions/{subscription}"
    eventually(lambda: service.api("GET", path).json()["status"] == "EXPIRED", "its subscription ends")


def test_a_channel_with_a_reader_lives_on(
    service_with: Callable[..., Stack], raw_store: "redis.Redis"
) -> None:
    service = service_with(channel_idle_s=4)
    channel = service.make()
    service.subscribed(channel)
    reader = service.read(channel)
    key = channel_key(channel.id)
    created = raw_store.hget(key, "created_at")

    def used_for_ms() -> int:
        return int(raw_store.hget(key, "used_at")) - int(created)

    eventually(lambda: used_for_ms() > 6_000, "it was used for longer than it lives unused")
    numbers = service.publish(1)
    assert reader.wait_events(1).numbers() == numbers


def test_a_subscription_that_no_reader_was_told_of_is_found_by_a_look(
    service_with: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint is only a hint."""
    monkeypatch.setattr(readers.Readers, "_tell", lambda self: self._told.clear())
    # A look each second.
    service = service_with(channel_idle_s=4)
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(2)
    reader = service.read(channel)
    assert reader.wait_events(2).numbers() == numbers
    numbers += service.publish(1)
    assert reader.wait_events(3).numbers() == numbers


def test_a_client_that_has_gone_is_noticed(service: Stack) -> None:
    channel = service.make()
    path = f"GET {CHANNELS}/{channel.id}/events HTTP/1.1\r\nHost: x\r\n"
    request = f"{path}Authorization: Bearer {channel.token}\r\n\r\n"
    for _ in range(40):
        # More than may read at once, one after the other.
        with socket.create_connection(("127.0.0.1", service.api.port)) as connection:
            connection.sendall(request.encode())
            connection.settimeout(10)
            assert connection.recv(1000).startswith((b"HTTP/1.1 200", b"HTTP/1.1 429"))
    eventually(lambda: service.read(channel).status == 200, "those before are forgotten", 10)
