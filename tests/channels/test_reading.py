"""Subscribe with a channel as the sink, publish, and read: nothing is missed and nothing comes twice."""

import pytest
import redis

from tests.channels.conftest import Stack
from tests.harness.valkeys import eventually
from webrtc_events.contract.documents import load_public
from webrtc_events.store.keys import partition_of


def test_what_is_published_is_read(service: Stack) -> None:
    channel = service.make()
    subscription = service.subscribed(channel)
    reader = service.read(channel)
    numbers = service.publish(3)
    reader.wait_events(3)
    assert reader.numbers() == numbers
    assert reader.retry == 2000
    assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reader.headers["cache-control"] == "no-store"
    assert {event.type for event in reader.events} == {
        "org.camaraproject.webrtc-events.v0.session-invitation"
    }
    validator = load_public().validator("CloudEvent")
    assert [validator.first_fault(event.json) for event in reader.events] == [None] * 3
    assert [event.json["id"] for event in reader.events] == [f"{subscription}.{n}" for n in (1, 2, 3)]
    assert len({event.id for event in reader.events}) == 3


def test_a_reader_that_comes_later_gets_all_of_it(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(250)
    assert service.read(channel).wait_events(250).numbers() == numbers


def test_a_reader_that_comes_back_goes_on_behind_its_last_event(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(5)
    first = service.read(channel).wait_events(5)
    first.close()
    assert first.numbers() == numbers
    middle = first.events[2].id
    more = service.publish(4)
    assert service.read(channel, middle).wait_events(6).numbers() == [*numbers[3:], *more]
    # Reading removes nothing.
    assert service.read(channel).wait_events(9).numbers() == [*numbers, *more]


def test_what_is_acknowledged_is_not_read_again(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(5)
    reader = service.read(channel).wait_events(5)
    for _ in range(2):
        assert service.acknowledge(channel, reader.events[2].id).status_code == 204
    # An earlier one later changes nothing.
    assert service.acknowledge(channel, reader.events[0].id).status_code == 204
    assert service.read(channel).wait_events(2).numbers() == numbers[3:]


def test_two_readers_get_everything_each(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    readers = [service.read(channel) for _ in range(2)]
    numbers = service.publish(20)
    for reader in readers:
        assert reader.wait_events(20).numbers() == numbers


def test_a_channel_listens_to_several_registrations(service: Stack) -> None:
    channel = service.make()
    reader = service.read(channel)
    names = ["r1", "r2", "r3"]
    for name in names:
        service.subscribed(channel, name)
    published = {name: service.publish(4, name) for name in names}
    reader.wait_events(12)
    by_subscription: dict[str, list[int]] = {}
    for event in reader.events:
        data = event.json["data"]
        by_subscription.setdefault(data["subscriptionId"], []).append(data["sequenceNumber"])
    assert sorted(by_subscription.values()) == sorted(published.values())
    # Whatever the last id is, it says how far each log was read.
    reader.close()
    more = service.publish(1, "r2")
    again = service.read(channel, reader.last_id).wait_events(1)
    assert again.numbers() == more
    half = service.read(channel, reader.events[5].id).wait_events(7)
    read = [event.json["id"] for event in (*reader.events[:6], *half.events)]
    assert len(read) == len(set(read)) == 13


def test_the_end_of_a_subscription_is_read_as_its_last_event(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel, config={"subscriptionMaxEvents": 2})
    reader = service.read(channel)
    numbers = service.publish(3)
    reader.wait_events(3)
    assert reader.numbers() == [*numbers[:2], "MAX_EVENTS_REACHED"]
    assert reader.types[-1] == "subscription-ended"


def test_a_restart_of_the_api_loses_and_doubles_nothing(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    reader = service.read(channel)
    numbers = service.publish(3)
    reader.wait_events(3)
    # The stream is ended at once: an open one must not hold up the stop.
    service.stop_api()
    reader.wait_end(5)
    service.start_api()
    numbers += service.publish(3)
    again = service.read(channel, reader.last_id).wait_events(3)
    assert reader.numbers() + again.numbers() == numbers


def test_a_deleted_channel_tells_its_readers_and_ends_its_subscriptions(service: Stack) -> None:
    channel = service.make()
    subscription = service.subscribed(channel)
    reader = service.read(channel)
    service.publish(1)
    reader.wait_events(1)
    assert service.delete(channel).status_code == 204
    reader.wait_end()
    assert (reader.events[-1].type, reader.events[-1].json) == ("end", {})
    shown = service.api("GET", f"/webrtc-events/v0.2/subscriptions/{subscription}").json()
    assert shown["status"] == "EXPIRED"
    assert service.read(channel).status == 404
    assert service.acknowledge(channel, "1-1").status_code == 404
    assert service.delete(channel).status_code == 404


def test_a_damaged_subscription_holds_up_no_deletion(
    service: Stack, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    channel = service.make()
    made = [service.subscribed(channel) for _ in range(3)]
    for damaged in made[:2]:
        raw_store.hset(partition_of("r1", 64).subscription(damaged), "format", "none")
    assert service.delete(channel).status_code == 204
    assert f"damaged subscription={made[0]}" in caplog.text
    path = f"/webrtc-events/v0.2/subscriptions/{made[2]}"
    eventually(lambda: service.api("GET", path).json()["status"] == "EXPIRED", "the other one ends")
    assert service.delete(channel).status_code == 404


def test_a_deleted_channel_without_subscriptions_ends_its_readers_too(service: Stack) -> None:
    channel = service.make()
    reader = service.read(channel)
    assert service.delete(channel).status_code == 204
    assert [event.type for event in reader.wait_end().events] == ["end"]


def test_what_was_removed_unread_is_told(service: Stack, channel_settings: object) -> None:
    channel = service.make()
    service.subscribed(channel)
    reader = service.read(channel).wait_events(0)
    numbers = service.publish(10)
    reader.wait_events(10)
    service.acknowledge(channel, reader.events[6].id)
    late = service.read(channel, reader.events[1].id).wait_events(4)
    assert late.types == ["gap", "session-invitation", "session-invitation", "session-invitation"]
    assert late.events[0].json == {"missed": 5}
    assert late.numbers() == numbers[7:]
    late.close()
    # The gap has an id too: it is told once.
    again = service.read(channel, late.events[0].id).wait_events(3)
    assert again.numbers() == numbers[7:]
    assert "gap" not in again.types


@pytest.mark.parametrize("text", ["x", "1", "1-", "-1", "1-2,3-4", "1-99999999999999999", "1-2."])
def test_an_id_that_is_none_is_refused(service: Stack, text: str) -> None:
    channel = service.make()
    assert service.read(channel, text).status == 400
    assert service.acknowledge(channel, text).status_code == 400


def test_a_cursor_of_other_partitions_means_nothing(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(2)
    assert service.acknowledge(channel, "63-7").status_code == 204
    assert service.read(channel, "63-7.60000-1").wait_events(2).numbers() == numbers


def test_a_reader_before_any_subscription_gets_what_comes(service: Stack) -> None:
    channel = service.make()
    reader = service.read(channel)
    service.subscribed(channel)
    numbers = service.publish(2)
    assert reader.wait_events(2).numbers() == numbers
