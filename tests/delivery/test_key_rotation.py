"""Keys are rotated while events are delivered: no delivery fails, each has its token."""

import dataclasses
from collections import Counter
from collections.abc import Iterator

import pytest
import redis

from tests.harness.builders import append, invitation, new_subscription
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.model import Credential
from webrtc_events.core.settings import Settings
from webrtc_events.store.attempt_records import read_attempts
from webrtc_events.store.key_rotation import KeyRotation
from webrtc_events.store.keys import Partition
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

SUBSCRIPTIONS, ROTATIONS, EVENTS_BETWEEN = 20, 10, 5
EVENTS = ROTATIONS * EVENTS_BETWEEN
KEYS = ["A" * 43, "B" * 42 + "A"]


@pytest.fixture
def settings(environ: dict[str, str], sink: RecordingSink) -> Settings:
    more = {
        "WEBRTC_EVENTS_SECRET_KEY": ",".join(KEYS),
        "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
    }
    return Settings.from_environ(environ | more)


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    worker = Worker.build(settings, SystemClock())
    worker.start()
    yield worker
    worker.stop()


@pytest.mark.slow
def test_no_delivery_fails_while_keys_are_rotated(
    store: Store, settings: Settings, sink: RecordingSink, worker: Worker, raw_store: "redis.Redis"
) -> None:
    box = CredentialBox(settings.secret_key)
    tokens = {}
    for number in range(SUBSCRIPTIONS):
        credential = Credential(f"token-{number}", 4_000_000_000_000)
        made = dataclasses.replace(new_subscription(registration=f"r{number}"), credential=credential)
        store.subscriptions.create(made, sink=sink.url, headers={}, sealed=box.seal(credential, made.id))
        tokens[made.id] = f"Bearer token-{number}"
    boxes = [CredentialBox(keys) for keys in (settings.secret_key[::-1], settings.secret_key)]
    resealed = []
    for rotation in range(ROTATIONS):
        for event in range(rotation * EVENTS_BETWEEN, (rotation + 1) * EVENTS_BETWEEN):
            for number in range(SUBSCRIPTIONS):
                append(store, invitation(event, registration=f"r{number}"))
        # Between keys to and fro, while what was appended is on its way.
        resealed.append(KeyRotation(store, boxes[rotation % 2]).run(lambda _: None).resealed)
    assert resealed == [SUBSCRIPTIONS] * ROTATIONS
    received = sink.wait_for(SUBSCRIPTIONS * EVENTS, 30)
    worker.stop()
    assert Counter(request.json["data"]["subscriptionId"] for request in received) == dict.fromkeys(
        tokens, EVENTS
    )
    for request in received:
        assert request.header("authorization") == tokens[request.json["data"]["subscriptionId"]]
    attempts = [
        attempt["outcome"]
        for number in range(settings.partitions)
        for _, fields in raw_store.xrange(Partition(number).attempts)
        for attempt in read_attempts(fields)
    ]
    assert Counter(attempts) == {"delivered": SUBSCRIPTIONS * EVENTS}
