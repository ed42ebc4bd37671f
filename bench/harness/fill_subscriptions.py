"""Creates BENCH_SUBSCRIPTIONS subscriptions that stay idle, run by the release that is measured."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from webrtc_events.core.model import EventType, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from job import TYPE

_PARTITIONS = 64
_OF_A_CLIENT = 1000
_AT_ONCE = 4
# Of 60 characters.
_SINK = "https://notifications.example.com/webrtc/sinks/{:013}"


def main() -> None:
    store = Store.connect(Settings.from_environ(os.environ))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(
            lambda number: _create(store, number), range(int(os.environ["BENCH_SUBSCRIPTIONS"]))
        ):
            pass
    store.close()


def _create(store: Store, number: int) -> None:
    registration, session, sink = f"registration-{number}", f"session-{number}", _SINK.format(number)
    expires_at_ms = int((time.time() + 86_400) * 1000)
    subscription = Subscription(
        id=new_subscription_id(partition_of(registration, _PARTITIONS)),
        client=f"client-{number // _OF_A_CLIENT}",
        subject=None,
        type=EventType.SESSION_STATUS,
        registration=registration,
        session=session,
        request={
            "protocol": "HTTP",
            "sink": sink,
            "types": [TYPE],
            "config": {
                "subscriptionDetail": {"registrationId": registration, "mediaSessionId": session},
                "subscriptionExpireTime": "2026-03-11T09:00:00.000Z",
            },
        },
        starts_at_ms=0,
        expires_at_ms=expires_at_ms,
        max_events=None,
    )
    assert store.subscriptions.create(subscription, sink=sink, headers={}, sealed=None).outcome == "created"


if __name__ == "__main__":
    main()
