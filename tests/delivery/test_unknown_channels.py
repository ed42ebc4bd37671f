"""A subscription whose sink is a channel is left alone by a worker that would take it for a web server."""

import dataclasses
import json
import logging
from collections.abc import Callable

import pytest
import redis

from tests.conftest import contents
from tests.delivery.conftest import DispatcherDriver
from tests.delivery.deliveries import Make, P
from tests.harness.builders import append, created, invitation
from tests.harness.channels import BASE, events_of, listening, new_channel, sequence_of
from tests.harness.sinks import RecordingSink
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.formats import BASE_FORMAT, CHANNEL_FORMAT, REFERRING_FORMAT
from webrtc_events.store.redis.scripts import Scripts
from webrtc_events.store.script_options import DEFAULT_OPTIONS, script_options
from webrtc_events.store.store import Store

OTHERS = [None, "https://elsewhere.example/channels/v0"]


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"WEBRTC_EVENTS_CHANNELS_URL": BASE}


@pytest.fixture
def ignorant(settings: Settings, make_driver: Make) -> Callable[[str | None], DispatcherDriver]:
    """A worker that has no CHANNELS_URL, or another."""

    def make(channels_url: str | None) -> DispatcherDriver:
        changed = dataclasses.replace(settings, channels_url=channels_url)
        return make_driver(at=Store.connect(changed), settings=changed)

    return make


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("stored", [CHANNEL_FORMAT, BASE_FORMAT, REFERRING_FORMAT])
def test_it_stays_due_for_a_worker_that_knows_it_and_webhooks_go_on(
    store: Store,
    make_driver: Make,
    ignorant: Callable[[str | None], DispatcherDriver],
    sink: RecordingSink,
    raw_store: "redis.Redis",
    caplog: pytest.LogCaptureFixture,
    other: str | None,
    stored: int,
) -> None:
    """Whether it was made by this release, or by one that did not say what its sink is."""
    caplog.set_level(logging.WARNING)
    channel = new_channel(store)
    made = listening(store, channel)
    raw_store.hset(P.subscription(made.id), "format", stored)
    created(store, sink=sink.url)
    append(store, invitation(1), invitation(2))
    driver = ignorant(other)
    # At least as often as it says anything; and until the webhook has both, however slow the machine is.
    steps = 0
    while steps < 20 or (len(sink.requests) < 2 and steps < 5000):
        driver.dispatcher.step()
        steps += 1
    sink.wait_for(2)
    assert events_of(store, channel, P) == []
    assert raw_store.llen(P.outbox(made.id)) == 2
    assert raw_store.hget(P.subscription(made.id), "fence") == "0"
    assert caplog.text.count("Start it with the API's") == 1
    make_driver().run()
    assert sequence_of(events_of(store, channel, P)) == [1, 2]
    assert len(sink.requests) == 2


def test_a_web_server_whose_url_looks_like_a_channel_is_delivered_to(
    store: Store, ignorant: Callable[[str | None], DispatcherDriver], sink: RecordingSink
) -> None:
    created(store, sink=sink.url_of(f"/channels/{'0' * 32}"))
    append(store, invitation(1))
    driver = ignorant(None)
    for _ in range(20):
        driver.dispatcher.step()
    sink.wait_for(1)


def test_a_release_that_reads_no_such_format_leaves_it_alone(
    store: Store, settings: Settings, raw_store: "redis.Redis"
) -> None:
    channel = new_channel(store)
    made = listening(store, channel)
    assert raw_store.hget(P.subscription(made.id), "format") == str(CHANNEL_FORMAT)
    append(store, invitation(1))
    older = Store.connect(settings)
    options = script_options(settings, DEFAULT_OPTIONS, omits_defaults=True) | {"format": REFERRING_FORMAT}
    older.scripts._scripts = Scripts(older.client, options)._scripts
    before = contents(raw_store)
    assert older.claims.claim([P], subscriptions=10, events=8) == []
    assert contents(raw_store) == before
    older.close()


@pytest.mark.parametrize("stored", [BASE_FORMAT, REFERRING_FORMAT])
def test_what_the_release_before_made_goes_on_and_is_marked(
    store: Store, raw_store: "redis.Redis", make_driver: Make, stored: int
) -> None:
    channel = new_channel(store)
    made = listening(store, channel)
    raw_store.hset(P.subscription(made.id), "format", stored)
    append(store, *(invitation(number) for number in range(1, 31)))
    make_driver().run()
    assert sequence_of(events_of(store, channel, P)) == [*range(1, 31)]
    assert raw_store.hget(P.subscription(made.id), "format") == str(CHANNEL_FORMAT)


def test_a_large_payload_that_is_kept_once_goes_into_a_channel_too(
    store: Store, sink: RecordingSink, raw_store: "redis.Redis", make_driver: Make
) -> None:
    channel = new_channel(store)
    made = [listening(store, channel) for _ in range(2)]
    created(store, sink=sink.url)
    event = json.loads(invitation(1).payload)
    event["data"]["originatorName"] = "x" * 80_000
    append(store, dataclasses.replace(invitation(1), payload=json.dumps(event)), invitation(2))
    assert raw_store.keys("*:payload:*")
    make_driver().run()
    assert sorted(sequence_of(events_of(store, channel, P))) == [1, 1, 2, 2]
    formats = {raw_store.hget(P.subscription(subscription.id), "format") for subscription in made}
    assert formats == {str(CHANNEL_FORMAT)}
    assert not raw_store.keys("*:payload:*")


def test_no_channel_is_made_where_the_first_release_may_be_at_work(
    settings: Settings, raw_store: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    """It does not look at formats. An operator says when it is gone."""
    raw_store.set("partitions", settings.partitions)
    with_former = Store.connect(settings)
    with pytest.raises(Unavailable):
        new_channel(with_former)
    assert "WEBRTC_EVENTS_SHARED_PAYLOADS=on" in caplog.text
    assert not raw_store.keys("channel*")
    alone = Store.connect(dataclasses.replace(settings, shared_payloads="on"))
    assert new_channel(alone).client == "app"
    for store in (with_former, alone):
        store.close()
