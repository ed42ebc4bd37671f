"""Partitions and ids."""

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.store.keys import (
    Partition,
    client_key,
    new_subscription_id,
    partition_of,
    partition_of_subscription,
    rate_slots_key,
    session_key,
)


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
    ]
    assert all(key.startswith("{7}:") for key in keys)
    assert len(set(keys)) == len(keys)


def test_the_turns_at_a_sink_have_a_key_of_its_own_whatever_its_address_holds() -> None:
    keys = {rate_slots_key(f"https://a/{path}") for path in ("", "{", "}x{y}")}
    assert len(keys) == 3
    assert all(key.startswith("turns:{") and key.count("{") == key.count("}") == 1 for key in keys)


def test_keys_of_sessions_and_clients_are_tagged_by_them() -> None:
    assert (session_key("s"), client_key("c")) == ("session:{s}", "client:{c}")
