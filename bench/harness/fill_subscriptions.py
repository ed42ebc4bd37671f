"""Creates BENCH_SUBSCRIPTIONS subscriptions that get nothing, run by the release that is measured.

Each has another sink, registration and session, as the service stores them; many go in one round trip.
BENCH_EXPIRES_AT: when all expire, s since the epoch; in a day if it is not given. BENCH_SINKS: URLs of sinks,
which take turns, with {} for a number; nobody's if it is not given. BENCH_FIRST: the number of the first.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from webrtc_events.core.model import EventType, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of, session_key
from webrtc_events.store.redis.scripts import Call
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import CreateOutcome

try:
    from webrtc_events.store.packed_requests import packed
except ImportError:

    def packed(request: Mapping[str, Any], record: Mapping[str, str]) -> str:  # noqa: ARG001
        """As a release before does, which is measured beside this one."""
        return json.dumps(request)


try:
    from webrtc_events.store.record_defaults import without_defaults
except ImportError:

    def without_defaults(fields: Mapping[str, str]) -> Mapping[str, str]:
        """As a release before, which writes all."""
        return fields


sys.path.insert(0, str(Path(__file__).parent))
from job import TYPE

_PARTITIONS = 64
_OF_A_CLIENT = 1000
_AT_ONCE = 250
_DAY_S = 86_400
_MONTH_S = 30 * _DAY_S
# Of 60 characters.
_SINK = "https://notifications.example.com/webrtc/sinks/{:013}"
# Releases before know no channels, or no devices.
_NO_CHANNEL = [""] if "NO_CHANNEL" in CreateOutcome.__members__ else []
_NO_DEVICE = [""] if "device" in Subscription.__dataclass_fields__ else []
# The score of one that was made: lua/shared/client_index.lua.
_LIVE = 2**20


def main() -> None:
    count, first = int(os.environ["BENCH_SUBSCRIPTIONS"]), int(os.environ.get("BENCH_FIRST", "0"))
    expires_at_s = float(os.environ.get("BENCH_EXPIRES_AT", time.time() + _DAY_S))
    sinks = os.environ.get("BENCH_SINKS", _SINK).split()
    made = (
        _subscription(number, sinks[number % len(sinks)].format(number), expires_at_s)
        for number in range(first, first + count)
    )
    store = Store.connect(Settings.from_environ(os.environ))
    while batch := list(islice(made, _AT_ONCE)):
        _create(store, batch)
    store.close()


def _subscription(number: int, sink: str, expires_at_s: float) -> Subscription:
    registration, session = f"registration-{number}", f"session-{number}"
    return Subscription(
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
        expires_at_ms=round(expires_at_s * 1000),
        max_events=None,
    )


def _create(store: Store, subscriptions: list[Subscription]) -> None:
    """As `SubscriptionRecords.create` does, one step for all at a time."""
    pipe = store.client.pipeline()
    for subscription in subscriptions:
        assert subscription.session is not None
        assert subscription.expires_at_ms is not None
        partition = partition_of(subscription.registration, _PARTITIONS)
        pipe.zadd(client_key(subscription.client), {subscription.id: time.time() / _LIVE})
        pipe.sadd(session_key(subscription.session), partition.number)
        pipe.pexpireat(session_key(subscription.session), subscription.expires_at_ms + _MONTH_S * 1000)
    pipe.execute()
    answers = store.scripts.run(list(_calls(subscriptions)))
    assert all(answer[0] == "created" for answer in answers)


def _calls(subscriptions: list[Subscription]) -> Iterator[Call]:
    """Source: lua/create.lua."""
    for subscription in subscriptions:
        partition = partition_of(subscription.registration, _PARTITIONS)
        args = [subscription.id, subscription.type, subscription.registration, subscription.session or ""]
        args += [
            str(subscription.expires_at_ms),
            "",
            subscription.client,
            "",
            "0",
            "0",
            "0",
            "",
            "",
            "",
            *_NO_CHANNEL,
            *_NO_DEVICE,
        ]
        record = {
            "sink": subscription.request["sink"],
            "type": subscription.type,
            "registration": subscription.registration,
            "session": subscription.session or "",
        }
        fields = {
            "request": packed(subscription.request, record),
            "max_events": "",
            "sink": subscription.request["sink"],
            "headers": "{}",
            "contract": subscription.contract,
        }
        args += [part for pair in without_defaults(fields).items() for part in pair]
        yield Call("create", [partition.subscription(subscription.id)], partition.tag, args)


if __name__ == "__main__":
    main()
