"""A store with a worker that delivers, a client's side and a gateway's, and records that are damaged."""

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from tests.harness.builders import created, listed
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import eventually
from webrtc_events.contract.documents import load_network, load_public
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.errors import DamagedRecord, NotFound, Unavailable
from webrtc_events.core.model import Caller, EventType
from webrtc_events.core.settings import Settings
from webrtc_events.services.events import Events
from webrtc_events.services.subscriptions import SubscriptionOptions, Subscriptions
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.erasure import Erasure
from webrtc_events.store.key_rotation import KeyRotation
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker

APP = Caller("app", None, frozenset())
# Fewer than a store has: what is done to all of them is done hundreds of times here.
PARTITIONS = 11
NEAR = "r1"
# Another registration of the same partition, and one of another.
NEIGHBOUR = next(
    name
    for name in map("n{}".format, itertools.count())
    if partition_of(name, PARTITIONS).number == partition_of(NEAR, PARTITIONS).number
)
FAR = "far"
assert partition_of(FAR, PARTITIONS) != partition_of(NEAR, PARTITIONS)
P = partition_of(NEAR, PARTITIONS)
SESSION = "s1"

GARBLED = {
    "empty": b"",
    "text": b"many",
    "huge": b"9" * 400,
    "float": b"1e300",
    "negative": b"-7",
    "binary": b"\xff\xfe\x00\x80",
    "broken JSON": b'{"a": [',
    "other JSON": b"[1, {}]",
}

# What a subscription may have beside what every one has.
OPTIONAL_FIELDS = (
    "agree_by",
    "attempts",
    "claim",
    "contract",
    "credential",
    "credential_fence",
    "drop_before",
    "drop_reason",
    "end_once",
    "end_reason",
    "ended_at",
    "epoch",
    "failing_since",
    "headers",
    "initial_pending",
    "initial_seen",
    "initial_time",
    "leased_fence",
    "lease_until",
    "leased_through",
    "linger_at",
    "max_events",
    "origin",
    "outbox_size",
    "rate",
    "token_cut_at",
    "token_expires_at",
    "token_stop_at",
)


@dataclass
class Service:
    """What is done to it is what users, gateways and operators do."""

    store: Store
    settings: Settings
    raw: "redis.Redis"
    sink: RecordingSink
    caplog: pytest.LogCaptureFixture
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.subscriptions = Subscriptions(
            self.store,
            SubscriptionOptions.of(self.settings),
            resources=load_public().validator("Subscription"),
        )
        self.events = Events(self.store, load_network())

    def subscribe(self, path: str, registration: str, **values: Any) -> str:
        kind = values.pop("event_type", EventType.SESSION_INVITATION)
        session = SESSION if kind is EventType.SESSION_STATUS else None
        made = created(
            self.store,
            sink=self.sink.url_of(path),
            registration=registration,
            event_type=kind,
            session=session,
            **values,
        )
        return made.id

    def publish(self, registration: str | None, kind: EventType = EventType.SESSION_INVITATION) -> Any:
        number = next(self.numbers)
        data: dict[str, Any] = {"mediaSessionId": SESSION, "status": "Ringing", "sequenceNumber": number}
        if kind is EventType.SESSION_INVITATION:
            people = {"originatorAddress": "tel:+12025550100", "receiverAddress": "tel:+12025550101"}
            data |= people | {"status": "Initial"}
        event = {
            "id": f"e{number}",
            "source": "/gateway",
            "specversion": "1.0",
            "type": str(kind),
            "time": "2026-03-10T09:00:00Z",
            "data": data,
        }
        if registration is not None:
            event["subject"] = registration
        (result,) = self.repeated(lambda: self.events.accept([event]))
        return result

    def repeated(self, act: Callable[[], Any]) -> Any:
        """A gateway that is answered 503 repeats, for some seconds."""
        found: list[Any] = []

        def done() -> bool:
            try:
                found.append(act())
            except Unavailable:
                return False
            return True

        eventually(done, "it is answered other than 503", 10)
        return found[0]

    def waits_for(self, *paths: str) -> None:
        def there() -> bool:
            got = {request.path for request in self.sink.requests}
            return got >= set(paths)

        eventually(there, f"{paths} have their notifications", 8)

    def is_well(self, *damaged: str) -> None:
        """Every documented operation answers as documented, whatever is damaged."""
        marker = f"/new{next(self.numbers)}"
        new = self.repeated(lambda: self.subscribe(marker, NEAR))
        shown = {resource["id"] for resource in listed(self.subscriptions, APP)}
        assert new in shown
        for subscription_id in damaged:
            # It may be over by now.
            with suppress(NotFound):
                try:
                    self.subscriptions.get(APP, subscription_id)
                except DamagedRecord:
                    assert subscription_id not in shown
        self.store.expiry.sweep()
        dead_letters = DeadLetters(self.store)
        for dead_letter in dead_letters.newest_first(DeadLetterFilter()):
            dead_letters.attempts(dead_letter)
            dead_letters.redeliver(dead_letter)
        Erasure(self.store).find(NEAR)
        KeyRotation(self.store, CredentialBox(self.settings.secret_key)).run(lambda _: None)
        for name in damaged:
            with suppress(NotFound):
                self.subscriptions.delete(APP, name)
            with pytest.raises(NotFound):
                self.subscriptions.get(APP, name)
        self.subscriptions.delete(APP, new)
        unforeseen = [
            record for record in self.caplog.records if record.exc_info and record.module != "notifications"
        ]
        assert not unforeseen, self.caplog.text


@pytest.fixture
def service(
    environ: dict[str, str],
    raw_store: "redis.Redis",
    sink: RecordingSink,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Service]:
    caplog.set_level(logging.WARNING)
    more = {"WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file), "WEBRTC_EVENTS_PARTITIONS": str(PARTITIONS)}
    settings = Settings.from_environ(environ | more)
    store = Store.connect(settings)
    worker = Worker.build(settings, SystemClock())
    worker.start()
    raw = redis.Redis.from_url(environ["WEBRTC_EVENTS_REDIS_URL"])
    try:
        yield Service(store, settings, raw, sink, caplog)
        assert all(worker.alive().values())
    finally:
        worker.stop()
        store.close()
        raw.close()


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


def other_types(raw: "redis.Redis", key: str | bytes) -> list[Callable[[], Any]]:
    """Ways to put a key of another type in the place of one."""

    def put(command: str, *args: Any) -> Callable[[], Any]:
        def act() -> None:
            # At once: the worker may make it anew in between.
            with raw.pipeline(transaction=True) as pipe:
                pipe.delete(key)
                getattr(pipe, command)(key, *args)
                pipe.execute()

        return act

    ways = {
        b"string": put("set", b"\xff some text"),
        b"list": put("rpush", b"a", b"\xff"),
        b"hash": put("hset", "a", "b"),
        b"set": put("sadd", "x", b"\xff"),
        b"zset": put("zadd", {"x": 1}),
        b"stream": put("xadd", {"a": "b"}),
    }
    return [way for kind, way in ways.items() if kind != raw.type(key)]


def others(service: Service, case: int) -> tuple[str, ...]:
    """Subscribes beside the damaged one: of its registration, of its partition, of another partition."""
    paths = (f"/mate{case}", f"/neighbour{case}", f"/far{case}")
    for path, registration in zip(paths, (NEAR, NEIGHBOUR, FAR), strict=True):
        service.repeated(lambda path=path, registration=registration: service.subscribe(path, registration))
    return paths
