"""Subscriptions whose sink is a channel: what is settled is in its log, once and in order."""

import dataclasses
import json
from collections.abc import Callable

import pytest
import redis

from tests.conftest import servers_of
from tests.delivery.conftest import CALLS, DispatcherDriver
from tests.delivery.deliveries import BreaksAtSettle, Make, P, dead_letters
from tests.harness.builders import append, created, invitation, with_claims
from tests.harness.channels import BASE, events_of, listening, new_channel, page_of, sequence_of
from tests.harness.sinks import RecordingSink
from tests.store.call_notes import recorder_of
from webrtc_events.contract.documents import load_public
from webrtc_events.core.call_trace import AttemptEntry
from webrtc_events.core.model import Status
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.attempt_notes import AttemptNotes
from webrtc_events.store.channel_logs import LogPosition, LogsGone
from webrtc_events.store.settlements import ChannelEvent, Settlement
from webrtc_events.store.store import Store


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE}


@pytest.mark.parametrize("calls", CALLS)
def test_events_are_written_into_the_log_in_order_and_nothing_is_sent(
    store: Store, sink: RecordingSink, make_driver: Make, calls: str
) -> None:
    channel = new_channel(store)
    made = listening(store, channel)
    append(store, *(invitation(number) for number in range(1, 41)))
    make_driver(calls=calls).run()
    events = events_of(store, channel, P)
    assert sequence_of(events) == [*range(1, 41)]
    assert [event["id"] for event in events] == [f"{made.id}.{number}" for number in range(1, 41)]
    validator = load_public().validator("CloudEvent")
    assert [validator.first_fault(event) for event in events] == [None] * 40
    assert sink.requests == []


def test_an_event_is_one_line_of_json_with_its_type_and_number(store: Store, make_driver: Make) -> None:
    channel = new_channel(store)
    listening(store, channel)
    append(store, invitation(1))
    make_driver().run()
    (event,) = page_of(store, channel, P).events
    assert event.number == 1
    assert event.type == "org.camaraproject.webrtc-events.v0.session-invitation"
    assert "\n" not in event.body
    assert json.loads(event.body)["type"] == event.type


def test_the_end_is_the_last_event_of_a_subscription(store: Store, make_driver: Make) -> None:
    channel = new_channel(store)
    made = listening(store, channel, max_events=2)
    append(store, invitation(1), invitation(2), invitation(3))
    make_driver().run()
    assert sequence_of(events_of(store, channel, P)) == [1, 2, "MAX_EVENTS_REACHED"]
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.EXPIRED


def test_subscriptions_of_a_partition_share_a_log(store: Store, make_driver: Make) -> None:
    channel = new_channel(store)
    made = [listening(store, channel) for _ in range(3)]
    append(store, invitation(1), invitation(2))
    make_driver().run()
    events = events_of(store, channel, P)
    by_subscription = {
        subscription.id: [
            event["data"]["sequenceNumber"]
            for event in events
            if event["data"]["subscriptionId"] == subscription.id
        ]
        for subscription in made
    }
    assert by_subscription == {subscription.id: [1, 2] for subscription in made}
    assert [event.number for event in page_of(store, channel, P).events] == [1, 2, 3, 4, 5, 6]


def test_an_invalid_event_is_a_dead_letter_and_the_others_go_on(
    store: Store, raw_store: "redis.Redis", make_driver: Make
) -> None:
    channel = new_channel(store)
    listening(store, channel)
    bad = dataclasses.replace(invitation(2), payload=invitation(2).payload.replace("Initial", "Nowhere"))
    append(store, invitation(1), bad, invitation(3))
    make_driver().run()
    assert sequence_of(events_of(store, channel, P)) == [1, 3]
    assert [reason for reason, _ in dead_letters(raw_store)] == ["invalid_event"]


@pytest.mark.parametrize("cut", ["request", "answer"])
def test_a_settle_that_is_repeated_writes_nothing_twice(store: Store, make_driver: Make, cut: str) -> None:
    channel = new_channel(store)
    listening(store, channel)
    with_claims(store, BreaksAtSettle).cut = [cut, cut]
    append(store, invitation(1), invitation(2), invitation(3))
    make_driver().run()
    assert sequence_of(events_of(store, channel, P)) == [1, 2, 3]


def test_a_stale_claim_writes_nothing(store_at: Callable[..., Store]) -> None:
    store = store_at()
    channel = new_channel(store)
    listening(store, channel)
    append(store, invitation(1))
    (stale,) = store.claims.claim([P], subscriptions=1, events=8)
    later = store_at(60)
    (claim,) = later.claims.claim([P], subscriptions=1, events=8)
    of = [ChannelEvent(1, "t", b"{}")]
    outcomes = [
        later.claims.settle([Settlement(lease, 1, channel=channel.id, events=tuple(of))])
        for lease in (stale, claim)
    ]
    assert outcomes == [["lost"], ["idle"]]
    assert len(page_of(later, channel, P).events) == 1


def test_a_channel_that_is_gone_ends_its_subscriptions(
    store: Store, raw_store: "redis.Redis", make_driver: Make
) -> None:
    channel = new_channel(store)
    made = listening(store, channel)
    append(store, invitation(1), invitation(2))
    store.channel_logs.remove(channel.id, [P.number])
    make_driver().run()
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.EXPIRED
    assert [reason for reason, _ in dead_letters(raw_store)] == ["subscription_ended"] * 2
    assert store.channel_logs.read([LogPosition(channel.id, P.number, 0)]) == [LogsGone()]
    assert not raw_store.keys("*channel-log*")


def test_a_url_below_the_base_that_is_no_channel_is_never_connected_to(
    store: Store, sink: RecordingSink, make_driver: Make
) -> None:
    made = created(store, sink=f"{BASE}/channels/../../admin")
    append(store, invitation(1))
    make_driver().run()
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status is Status.EXPIRED
    assert sink.requests == []


def test_webhooks_go_on_beside_channels(store: Store, sink: RecordingSink, make_driver: Make) -> None:
    channel = new_channel(store)
    listening(store, channel)
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    make_driver().run()
    assert sequence_of(events_of(store, channel, P)) == [1, 2]
    assert [request.json["data"]["sequenceNumber"] for request in sink.requests] == [1, 2]


def test_without_the_setting_the_url_is_a_web_server_like_any_other(
    store: Store, settings: Settings, make_driver: Make, raw_store: "redis.Redis"
) -> None:
    channel = new_channel(store)
    listening(store, channel)
    append(store, invitation(1))
    driver: DispatcherDriver = make_driver(settings=dataclasses.replace(settings, channels_url=None))
    driver.dispatcher.step()
    assert page_of(store, channel, P).events == ()
    assert not driver.dispatcher.idle or raw_store.exists(P.due)


def test_above_the_watermark_events_wait_in_the_outbox(
    settings: Settings, raw_store: "redis.Redis", make_driver: Make, store: Store
) -> None:
    channel = new_channel(store)
    made = listening(store, channel)
    append(store, invitation(1))
    driver = make_driver()
    servers = servers_of(raw_store)
    try:
        for server in servers:
            server.config_set("maxmemory", 1024)
        for _ in range(5):
            driver.dispatcher.step()
        assert page_of(store, channel, P).events == ()
        assert raw_store.llen(P.outbox(made.id)) == 1
    finally:
        for server in servers:
            server.config_set("maxmemory", 0)
    driver.run(rounds=2_000)
    assert sequence_of(events_of(store, channel, P)) == [1]


def test_the_trace_of_a_call_says_that_it_was_written_into_a_channel(store: Store, make_driver: Make) -> None:
    channel = new_channel(store)
    listening(store, channel)
    append(store, invitation(1))
    recorder = recorder_of(store)
    make_driver(notes=AttemptNotes(recorder)).run()
    recorder.flush()
    session = json.loads(invitation(1).payload)["data"]["mediaSessionId"]
    (entry,) = store.call_traces.read(session).entries
    assert isinstance(entry, AttemptEntry)
    assert (entry.outcome, entry.channel, entry.http, entry.ms) == ("delivered", True, None, None)
    assert json.loads(entry.body or "")["type"].endswith("session-invitation")
