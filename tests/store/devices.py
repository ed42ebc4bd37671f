"""What tests of subscriptions to devices share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.builders import SINK
from tests.harness.channels import url_of
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import Credential, EventType, NetworkEvent, Registration, Subscription
from webrtc_events.store.channel_records import Channel
from webrtc_events.store.keys import new_subscription_id, partition_of, partition_of_subscription
from webrtc_events.store.outbox_entries import parse_entry, referred_payload
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import CreateResult

DEVICE = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
OTHER_DEVICE = "0b2d6e0c-5f2a-4f4e-8a4b-9d7c1f1f2a3b"
ALL_TYPES = (EventType.SESSION_INVITATION, EventType.SESSION_STATUS, EventType.REGISTRATION_ENDS)
WIRE = "org.camaraproject.webrtc-events-subscriptions.v0."
HOME = partition_of(DEVICE, 64)


def to_device(
    device: str = DEVICE,
    *,
    types: tuple[EventType, ...] = ALL_TYPES,
    client: str = "app",
    subject: str | None = None,
    max_events: int | None = None,
    expires_at_ms: int | None = None,
    credential: Credential | None = None,
    contract: str = "v0.3",
    origin: str | None = None,
    initial_event: bool = False,
    partitions: int = 64,
) -> Subscription:
    return Subscription(
        id=new_subscription_id(partition_of(device, partitions)),
        client=client,
        subject=subject,
        type=types[0],
        types=types,
        registration="",
        session=None,
        device=device,
        request={
            "protocol": "HTTP",
            "sink": SINK,
            "types": [WIRE + event_type.rpartition(".")[2] for event_type in types],
            "config": {"subscriptionDetail": {"deviceId": device}},
        },
        starts_at_ms=0,
        expires_at_ms=expires_at_ms,
        max_events=max_events,
        credential=credential,
        contract=contract,
        origin=origin,
        initial_event=initial_event,
    )


def create(store: Store, made: Subscription, *, sink: str = SINK, channel: str | None = None) -> CreateResult:
    return store.subscriptions.create(made, sink=sink, headers={}, sealed=None, channel=channel)


def created_for(
    store: Store, *args: Any, sink: str = SINK, channel: str | None = None, **values: Any
) -> Subscription:
    """A subscription to a device that the store holds."""
    made = to_device(*args, **values)
    assert create(store, made, sink=sink, channel=channel).outcome == "created"
    return made


def listening_for(store: Store, channel: Channel, device: str = DEVICE, **values: Any) -> Subscription:
    """One that is delivered into the channel."""
    partition = partition_of(device, store.partitions)
    store.channel_logs.make(channel.id, partition)
    assert store.channels.join(channel.id, partition.number) is not None
    return created_for(store, device, sink=url_of(channel.id), channel=channel.id, **values)


def registered(
    store: Store,
    registration: str = "r1",
    device: str = DEVICE,
    *,
    owner: str = "app",
    subject: str | None = None,
    expires_at_ms: int | None = None,
    end: str = "",
) -> None:
    store.registrations.put(
        Registration(registration, device, owner, subject, None), expires_at_ms=expires_at_ms, end=end
    )


def end_of(registration: str = "r1", number: int = 1) -> NetworkEvent:
    """The registration-ends that a gateway publishes."""
    payload = {
        "type": EventType.REGISTRATION_ENDS.value,
        "time": "2026-03-10T09:00:00.000Z",
        "data": {"registrationId": registration, "terminationReason": "REGISTRATION_EXPIRED"},
    }
    return NetworkEvent(
        f"end{number}",
        "/gateway",
        EventType.REGISTRATION_ENDS,
        registration,
        None,
        time_ms=0,
        numbered=False,
        last=False,
        payload=json.dumps(payload),
    )


def accept(store: Store, *events: NetworkEvent) -> list[tuple[bool, int]]:
    """As the service does."""
    return [(result.new, result.subscriptions) for result in store.events.accept(events)]


def outbox(raw_store: Any, made: Subscription) -> list[dict[str, Any]]:
    """The payloads that wait for a subscription, oldest first."""
    partition = partition_of_subscription(made.id, 64)
    assert partition is not None
    found = []
    for entry in raw_store.lrange(partition.outbox(made.id), 0, -1):
        sha = referred_payload(entry)
        text = (
            parse_entry(entry).payload if sha is None else raw_store.hget(partition.payload(sha), "payload")
        )
        found.append(json.loads(text) if text.startswith("{") else {"end": text})
    return found


def said(raw_store: Any, made: Subscription) -> list[str]:
    """What waits for a subscription, in a word each: a status, a registration that ended, or its own end."""
    return [
        payload.get("end") or payload["data"].get("status") or payload["data"]["registrationId"]
        for payload in outbox(raw_store, made)
    ]


@contextmanager
def cut_after(store: Store, calls: int) -> Iterator[None]:
    """The answer of that call that appends is lost, and none follows, as when the process dies."""
    left = calls
    run_parts = store.scripts.run_parts

    def cut(name: str, *args: Any, **options: Any) -> list[Any]:
        nonlocal left
        answers = run_parts(name, *args, **options)
        left -= name == "append"
        if left == 0:
            raise Unavailable
        return answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.scripts, "run_parts", cut)
        yield
