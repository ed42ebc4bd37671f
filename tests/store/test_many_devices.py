"""Very many subscriptions to one device, very many devices, very many registrations of one."""

import dataclasses
from collections.abc import Iterator, Sequence

import pytest
import redis

from tests.harness.builders import invitation
from tests.store.devices import DEVICE, created_for, registered
from webrtc_events.core.model import EventType
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of
from webrtc_events.store.store import Store

pytestmark = pytest.mark.slow

MANY = 10_000
REGISTRATIONS = 1_000
ENDS = EventType.REGISTRATION_ENDS


@pytest.fixture
def unlimited(settings: Settings) -> Iterator[Store]:
    """A store whose clients have no quotas, and whose outboxes hold what is published here."""
    limits = {"max_subscriptions": 0, "max_registration_subscriptions": 0, "outbox_length": 5_000}
    store = Store.connect(dataclasses.replace(settings, **limits))
    yield store
    store.close()


def copied(raw_store: "redis.Redis", store: Store, devices: Sequence[str]) -> None:
    """A subscription of the same client to each device, as `create` makes it, in a hundredth of the time."""
    first = created_for(store, DEVICE)
    template = raw_store.hgetall(partition_of(DEVICE, 64).subscription(first.id))
    pipe = raw_store.pipeline(transaction=False)
    for number, device in enumerate(devices):
        partition = partition_of(device, 64)
        subscription_id = new_subscription_id(partition)
        fields = {name: value.replace(DEVICE, device) for name, value in template.items()}
        pipe.hset(partition.subscription(subscription_id), mapping=fields)
        pipe.sadd(partition.device(device, "app"), subscription_id)
        pipe.zadd(client_key("app"), {subscription_id: 1_000 + number / 2**20})
        if number % 2_000 == 1_999:
            pipe.execute()
    pipe.execute()


def device(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def published(store: Store, number: int, registration: str = "r1") -> int:
    """To how many subscriptions an event of that number went."""
    (result,) = store.events.accept([invitation(number, registration=registration)])
    return result.subscriptions


def commands(raw_store: "redis.Redis") -> int:
    """That the store has run so far, those within scripts too."""
    return sum(stats["calls"] for stats in raw_store.info("commandstats").values())


def test_an_event_for_very_many_subscriptions_to_one_device_is_in_every_outbox_once(
    unlimited: Store, raw_store: "redis.Redis"
) -> None:
    registered(unlimited)
    copied(raw_store, unlimited, [DEVICE] * (MANY - 1))
    assert published(unlimited, 1) == MANY
    assert published(unlimited, 1) == 0
    assert published(unlimited, 2) == MANY
    home = partition_of(DEVICE, 64)
    outboxes = list(raw_store.scan_iter(f"{home.tag}:outbox:*", count=10_000))
    assert len(outboxes) == MANY
    pipe = raw_store.pipeline(transaction=False)
    for outbox in outboxes:
        pipe.llen(outbox)
    assert set(pipe.execute()) == {2}


def test_an_event_costs_the_same_however_many_devices_others_subscribed_to(
    unlimited: Store, raw_store: "redis.Redis"
) -> None:
    registered(unlimited)
    copied(raw_store, unlimited, [device(number) for number in range(10)])

    def cost(first: int) -> int:
        before = commands(raw_store)
        assert [published(unlimited, number) for number in range(first, first + 20)] == [1] * 20
        return commands(raw_store) - before

    cost(0)
    few = cost(100)
    copied_more = [device(number) for number in range(10, MANY)]
    copied(raw_store, unlimited, copied_more)
    # One more subscription to the same device, which `copied` begins with.
    before = commands(raw_store)
    assert [published(unlimited, number) for number in range(200, 220)] == [2] * 20
    many = commands(raw_store) - before
    # What a second outbox takes, and nothing for the other ten thousand.
    assert many - few < 20 * 20


def test_a_device_with_very_many_registrations_hears_each(unlimited: Store, raw_store: "redis.Redis") -> None:
    made = created_for(unlimited, DEVICE)
    names = [f"registration-{number}" for number in range(REGISTRATIONS)]
    for name in names:
        registered(unlimited, name)
    for start in range(0, REGISTRATIONS, 100):
        events = [
            dataclasses.replace(invitation(1, registration=name), id=f"of-{name}")
            for name in names[start : start + 100]
        ]
        assert {result.subscriptions for result in unlimited.events.accept(events)} == {1}
    assert raw_store.llen(partition_of(DEVICE, 64).outbox(made.id)) == REGISTRATIONS
