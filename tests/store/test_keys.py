"""Partitions and ids."""

import dataclasses
import hashlib

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness.builders import append, created, invitation
from tests.harness.channels import listening, new_channel
from tests.store.claiming import P, claim_one, now_ms
from webrtc_events.core.model import EventType, Status, Subscription, TerminationReason
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.keys import (
    Partition,
    channel_key,
    client_channels_key,
    client_key,
    end_note,
    end_notes_of,
    new_subscription_id,
    partition_of,
    partition_of_subscription,
    rate_slots_key,
    read_end_note,
    session_key,
)
from webrtc_events.store.settlements import ChannelEvent, DroppedEvent, Settlement
from webrtc_events.store.store import Store


@given(st.text(max_size=50), st.integers(min_value=1, max_value=1000))
def test_an_id_leads_back_to_its_partition(routing_key: str, partitions: int) -> None:
    partition = partition_of(routing_key, partitions)
    found = partition_of_subscription(new_subscription_id(partition), partitions)
    assert found is not None
    assert found.number == partition.number < partitions


@given(st.text(max_size=60))
def test_a_foreign_id_has_no_partition(text: str) -> None:
    assert partition_of_subscription(text, 64) is None


def test_every_key_of_a_partition_carries_its_hash_tag() -> None:
    p = Partition(7)
    keys = [
        p.due,
        p.clients,
        p.hosts("{c}"),
        p.queue("{c}", "h"),
        p.ends,
        p.dead,
        p.attempts,
        p.marks,
        p.clock,
        p.wakeup,
        p.subscription("i"),
        p.outbox("i"),
        p.registration("t", "r"),
        p.registration_record("r"),
        p.session("{s}"),
        p.seen("{a}", "{b}"),
        p.payloads,
        p.payload("5d"),
        p.channel("5d"),
        p.channel_log("5d"),
        p.channel_subscriptions("5d"),
        p.channel_news,
        p.devices,
        p.devices_elsewhere,
    ]
    assert all(key.startswith("{7}:") for key in keys)
    assert len(set(keys)) == len(keys)


def test_the_rate_limit_slots_of_a_sink_have_a_separate_key_whatever_its_address_holds() -> None:
    keys = {rate_slots_key(f"https://a/{path}") for path in ("", "{", "}x{y}")}
    assert len(keys) == 3
    assert all(key.startswith("turns:{") and key.count("{") == key.count("}") == 1 for key in keys)


def test_keys_of_sessions_and_clients_are_tagged_by_them() -> None:
    assert (session_key("s"), client_key("c")) == ("session:{s}", "client:{c}")
    assert (channel_key("i"), client_channels_key("c")) == ("channel:{i}", "channels:{c}")


def channel_that_was_written(store: Store) -> tuple[Channel, Subscription]:
    """A channel with an event in its log, and the subscription that it was for, which has ended."""
    channel = new_channel(store)
    heard = listening(store, channel)
    append(store, invitation(0))
    told = Settlement(claim_one(store), 1, channel=channel.id, events=(ChannelEvent(1, "t", b"{}"),))
    store.claims.settle([told])
    store.subscriptions.end(
        heard.id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
    )
    store.claims.settle([Settlement(claim_one(store), 2)])
    return channel, heard


def test_every_key_that_scripts_derive_is_named_by_keys_py(store: Store, raw_store: "redis.Redis") -> None:
    """A key that only Lua knows would be missed by whoever reads keys.py."""
    status = created(store, event_type=EventType.SESSION_STATUS, session="s1")
    channel, heard = channel_that_was_written(store)
    made = created(store, expires_at_ms=now_ms(raw_store) + 60_000)
    append(store, invitation(1), invitation(2))
    settlement = Settlement(claim_one(store), 1, dead=(DroppedEvent(1, "refused", ""),), attempts=({"n": 1},))
    store.claims.settle([settlement])
    twin = created(store, expires_at_ms=now_ms(raw_store) + 60_000)
    long = dataclasses.replace(invitation(3), payload="x" * 70_000)
    append(store, long)
    part = Partition(P.number)
    expected = {
        "partitions",
        "shares-payloads",
        "channels:{app}",
        f"channel:{{{channel.id}}}",
        part.ended,
        part.channel(channel.id),
        part.channel_log(channel.id),
        part.channel_subscriptions(channel.id),
        part.subscription(heard.id),
        part.payloads,
        part.payload(hashlib.sha1(long.payload.encode(), usedforsecurity=False).hexdigest()),
        part.subscription(twin.id),
        part.outbox(twin.id),
        part.seen("/gateway", "e3"),
        "client:{app}",
        "session:{s1}",
        part.due,
        part.ends,
        part.dead,
        part.attempts,
        part.clock,
        part.subscription(made.id),
        part.subscription(status.id),
        part.outbox(made.id),
        part.registration(EventType.SESSION_INVITATION, "r1"),
        part.registration(EventType.SESSION_STATUS, "r1"),
        part.session("s1"),
        part.seen("/gateway", "e0"),
        part.seen("/gateway", "e1"),
        part.seen("/gateway", "e2"),
        part.registration_state("r1"),
    }
    assert set(raw_store.keys("*")) == expected


def test_the_key_of_rate_slots_is_as_it_is_stored() -> None:
    assert rate_slots_key("https://a.example") == "turns:{38612c965a9c4c35d713439919804ad9}"


@pytest.mark.parametrize("suffix", ["3f", "40", "41", "ff", "00a", "0000003f"])
def test_an_id_names_a_partition_that_there_is_in_one_way(suffix: str) -> None:
    found = partition_of_subscription(f"{'0' * 32}-{suffix}", 64)
    assert (found is not None) == (suffix == "3f")


def test_the_note_of_an_end_begins_with_the_length_of_its_client() -> None:
    assert end_note("app", "i1") == "3:app i1"
    assert end_note("\u00e4p", "i1") == "3:\u00e4p i1"
    assert end_note("\udcff", "i1") == "1:\udcff i1"


@given(st.text(max_size=20), st.text("0123456789abcdef-", min_size=1, max_size=40))
@example("a:b", "i1")
@example("a b", "i1")
def test_a_note_of_an_end_is_read_as_it_was_written(client: str, subscription_id: str) -> None:
    note = end_note(client, subscription_id)
    assert read_end_note(note) == (client, subscription_id)
    first, last = end_notes_of(client)
    assert (first[0], last[0]) == ("[", "(")
    assert first[1:] <= note < last[1:]


@pytest.mark.parametrize("note", ["", "app i1", "4:app i1", "3:app", ":app i1", "3:a pp i1"])
def test_what_is_no_note_of_an_end_is_none(note: str) -> None:
    assert read_end_note(note) is None


def test_notes_of_a_client_lie_before_those_of_any_other() -> None:
    first, last = end_notes_of("app")
    others = [end_note(client, "i1") for client in ("ap", "app2", "aqp", "app!", "aoo")]
    assert not [note for note in others if first[1:] <= note < last[1:]]
