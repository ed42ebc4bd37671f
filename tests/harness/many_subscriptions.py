"""Very many subscriptions as `create` makes them, in a hundredth of the time."""

import json
from collections.abc import Sequence

import redis

from webrtc_events.core.model import EventType
from webrtc_events.store.keys import client_key, new_subscription_id, partition_of

__all__ = ["fill"]


def fill(
    raw_store: "redis.Redis",
    count: int,
    *,
    clients: Sequence[str] = ("many",),
    types: Sequence[EventType] = (EventType.SESSION_INVITATION,),
) -> list[str]:
    """Their ids. Clients and types take turns; each has a registration of its own."""
    pipe = raw_store.pipeline(transaction=False)
    made = []
    for number in range(count):
        registration, event_type = f"registration-{number}", types[number % len(types)]
        client, partition = clients[number % len(clients)], partition_of(registration, 64)
        made.append(new_subscription_id(partition))
        sink = f"https://host-{number % 9}.example/{number}"
        request = {
            "protocol": "HTTP",
            "sink": sink,
            "types": [event_type],
            "config": {"subscriptionDetail": {"registrationId": registration}},
        }
        record = {
            "format": 1,
            "status": "ACTIVE",
            "type": event_type,
            "registration": registration,
            "session": "",
            "client": client,
            "subject": "",
            "sink": sink,
            "headers": "{}",
            "starts_at": 1_773_133_200_000 + number,
            "expires_at": "",
            "max_events": "",
            "contract": "v0.2",
            **dict.fromkeys(("appended", "number", "fence", "lease_until", "attempts", "drop_before"), 0),
            "request": json.dumps(request),
        }
        pipe.hset(partition.subscription(made[-1]), mapping=record)
        pipe.sadd(partition.registration(event_type, registration), made[-1])
        pipe.zadd(client_key(client), {made[-1]: (1_773_133_200 + number) / 2**20})
        if number % 2_000 == 1_999:
            pipe.execute()
    pipe.execute()
    return made
