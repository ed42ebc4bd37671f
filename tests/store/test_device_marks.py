"""Marks of devices: what they save, and that a part of the store that lost some has them again."""

from dataclasses import replace

import redis

from tests.conftest import servers_of
from tests.harness.builders import invitation
from tests.harness.clocks import SteppedClock
from tests.store.devices import DEVICE, OTHER_DEVICE, created_for, registered
from webrtc_events.core.model import NetworkEvent
from webrtc_events.store.device_marks import DeviceMarks, mark_of
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.store import Store

R1 = partition_of("r1", 64)


def accepted(store: Store, event: NetworkEvent) -> int:
    (result,) = store.events.accept([event])
    return result.subscriptions


def commands(client: "redis.Redis") -> int:
    """How many the store has carried out."""
    return sum(server.info("stats")["total_commands_processed"] for server in servers_of(client))


def test_marks_are_spread() -> None:
    devices = [f"00000000-0000-4000-8000-{number:012x}" for number in range(10_000)]
    marks = {mark_of(device) for device in devices}
    assert 9_000 < len(marks) < 10_000
    assert 0 <= min(marks) < 500 < 65_000 < max(marks) < 65_536


def test_an_event_of_a_device_that_nobody_subscribed_to_is_appended_once(
    store: Store, raw_store: "redis.Redis"
) -> None:
    """No other partition is asked."""
    created_for(store, OTHER_DEVICE)
    registered(store, device=DEVICE)
    assert accepted(store, invitation(1)) == 0
    names = {key.split(":")[0] for key in raw_store.scan_iter("*:seen:*")}
    assert names == {R1.tag}


def test_a_registration_may_write_its_device_in_upper_case(store: Store) -> None:
    created_for(store)
    registered(store, device=DEVICE.upper())
    assert accepted(store, invitation(1)) == 1


def test_devices_may_share_a_mark(store: Store, raw_store: "redis.Redis") -> None:
    """Then there is a look at an index, and nobody else hears anything."""
    created_for(store, OTHER_DEVICE)
    registered(store, device=DEVICE)
    for partition in store.connection.partitions:
        raw_store.setbit(partition.devices, mark_of(DEVICE), 1)
    assert accepted(store, invitation(1)) == 0


def test_what_parts_of_the_store_have_lost_is_set_again(store: Store, raw_store: "redis.Redis") -> None:
    created_for(store)
    created_for(store, OTHER_DEVICE)
    marks = {mark_of(DEVICE), mark_of(OTHER_DEVICE)}
    raw_store.delete(R1.devices)
    other = partition_of("r2", 64)
    raw_store.setbit(other.devices, mark_of(DEVICE), 0)
    clock = SteppedClock()
    DeviceMarks(store.connection, clock).restore()
    for partition in store.connection.partitions:
        assert raw_store.bitcount(partition.devices) == len(marks)
        assert all(raw_store.getbit(partition.devices, mark) for mark in marks)


def test_different_marks_that_are_equally_many_are_set_again_within_the_hour(
    store: Store, raw_store: "redis.Redis"
) -> None:
    created_for(store)
    created_for(store, OTHER_DEVICE)
    for partition in store.connection.partitions:
        lost = DEVICE if partition.number % 2 else OTHER_DEVICE
        raw_store.setbit(partition.devices, mark_of(lost), 0)
    clock = SteppedClock()
    marks = DeviceMarks(store.connection, clock)
    marks.restore()
    clock.sleep(3601)
    marks.restore()
    for partition in store.connection.partitions:
        assert raw_store.bitcount(partition.devices) == 2


def test_very_many_marks_are_set_again_in_few_steps(store: Store, raw_store: "redis.Redis") -> None:
    """A step for each would hold up the sweeper for minutes. What is set meanwhile stays."""
    for mark in range(0, 65_536, 8):
        raw_store.setbit(R1.devices, mark, 1)
    count = raw_store.bitcount(R1.devices)
    other = partition_of("r2", 64)
    raw_store.setbit(other.devices, 1, 1)
    before = commands(raw_store)
    DeviceMarks(store.connection, SteppedClock()).restore()
    assert commands(raw_store) - before < 500
    for partition in store.connection.partitions:
        assert raw_store.bitcount(partition.devices) == count + 1
        assert raw_store.getbit(partition.devices, 1) == 1
    assert not raw_store.keys("*:devices-elsewhere")


def test_a_key_of_another_type_hides_no_device(store: Store, raw_store: "redis.Redis") -> None:
    created_for(store)
    registered(store)
    raw_store.delete(R1.devices)
    raw_store.xadd(R1.devices, {"a": "b"})
    assert accepted(store, invitation(1)) == 1
    DeviceMarks(store.connection, SteppedClock()).restore()
    created_for(store, OTHER_DEVICE)


def test_a_store_that_was_emptied_is_marked_by_the_next_one(store: Store, raw_store: "redis.Redis") -> None:
    """Though it is to the same device, and made by the same process a moment later."""
    created_for(store)
    raw_store.flushall()
    created_for(store)
    registered(store)
    assert accepted(store, invitation(1)) == 1


def test_each_device_of_many_is_marked_in_each_partition(store: Store, raw_store: "redis.Redis") -> None:
    """In the partition of its subscriptions too, whose step marks it once more."""
    devices = [f"00000000-0000-4000-8000-{number:012x}" for number in range(80)]
    for device in devices:
        created_for(store, device)
    marks = {mark_of(device) for device in devices}
    assert {raw_store.bitcount(partition.devices) for partition in store.connection.partitions} == {
        len(marks)
    }
    for number, device in enumerate(devices):
        registered(store, f"r{number}", device)
        assert accepted(store, replace(invitation(1, registration=f"r{number}"), id=f"e{number}")) == 1


def test_one_part_of_the_store_that_lost_its_marks_hides_no_device_from_an_erasure(
    store: Store, raw_store: "redis.Redis"
) -> None:
    assert not store.device_marks.exist()
    created_for(store)
    raw_store.delete(Partition(0).devices)
    assert store.device_marks.exist()
