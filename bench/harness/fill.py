"""Fills the outboxes of a store: run by the release that is to drain them."""

import json
import os
import sys
import uuid
from pathlib import Path

from webrtc_events.core.event_names import wire_type
from webrtc_events.core.model import ContractVersion, EventType, NetworkEvent, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from job import TYPE, Job

_PARTITIONS = 64
_ROUND = 10
# BENCH_TRACED: the share of events that belong to a trace that is recorded.
_TRACED = float(os.environ.get("BENCH_TRACED", "0"))
_TRACED_EVERY = round(1 / _TRACED) if _TRACED else 0


def fill(job: Job) -> None:
    store = Store.connect(Settings.from_environ(os.environ))
    for target in range(job.targets):
        _subscribe(store, job, target)
    if os.environ.get("BENCH_DEVICES"):
        for target in range(job.targets):
            _subscribe_device(store, job, target)
    for first in range(1, job.events + 1, _ROUND):
        batches: dict[int, list[NetworkEvent]] = {}
        for number in range(first, min(first + _ROUND, job.events + 1)):
            for target in range(job.targets):
                partition = partition_of(f"registration-{target}", _PARTITIONS)
                batches.setdefault(partition.number, []).append(_event(job, target, number))
        for results in store.events.append(batches).values():
            assert all(result.subscriptions == 1 for result in results)
    store.close()


def _subscribe(store: Store, job: Job, target: int) -> None:
    registration, session = f"registration-{target}", f"session-{target}"
    details = {"registrationId": registration, "mediaSessionId": session}
    subscription = Subscription(
        id=new_subscription_id(partition_of(registration, _PARTITIONS)),
        client="bench",
        subject=None,
        type=EventType.SESSION_STATUS,
        registration=registration,
        session=session,
        request={
            "protocol": "HTTP",
            "sink": job.url(target),
            "types": [TYPE],
            "config": {"subscriptionDetail": details},
        },
        starts_at_ms=0,
        expires_at_ms=None,
        max_events=None,
    )
    store.subscriptions.create(subscription, sink=job.url(target), headers={}, sealed=None)


def _subscribe_device(store: Store, job: Job, target: int) -> None:
    """To a device that no event concerns."""
    device = str(uuid.UUID(int=target))
    subscription = Subscription(
        id=new_subscription_id(partition_of(device, _PARTITIONS)),
        client="bench",
        subject=None,
        type=EventType.SESSION_STATUS,
        registration="",
        session=None,
        request={
            "protocol": "HTTP",
            "sink": job.url(target),
            "types": [wire_type(ContractVersion.V0_3, EventType.SESSION_STATUS)],
            "config": {"subscriptionDetail": {"deviceId": device}},
        },
        starts_at_ms=0,
        expires_at_ms=None,
        max_events=None,
        contract=ContractVersion.V0_3,
        device=device,
    )
    store.subscriptions.create(subscription, sink=job.url(target), headers={}, sealed=None)


def _event(job: Job, target: int, number: int) -> NetworkEvent:
    payload: dict[str, object] = {
        "type": TYPE,
        "time": "2026-03-10T09:00:00.000Z",
        "data": job.data(target, number),
    }
    if _TRACED_EVERY and (target + number) % _TRACED_EVERY == 0:
        # As store/outbox_entries.py keeps a trace.
        payload = {"traceparent": f"00-{target + 1:016x}{number:016x}-{1:016x}-01"} | payload
    return NetworkEvent(
        f"event-{target}.{number}",
        "/bench",
        EventType.SESSION_STATUS,
        f"registration-{target}",
        f"session-{target}",
        time_ms=0,
        numbered=True,
        last=False,
        payload=json.dumps(payload, separators=(",", ":")),
    )


if __name__ == "__main__":
    fill(Job.read(os.environ["BENCH_JOB"]))
