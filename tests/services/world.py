"""The use cases on a real store, and the events that a gateway publishes."""

import json
from collections.abc import Callable
from typing import Any

from tests.services.subscription_requests import APP, DEVICE_APP, credential, device_request, request
from webrtc_events.contract.documents import load_network, load_subscriptions
from webrtc_events.core.clock import SystemClock, format_time
from webrtc_events.core.model import Caller, Claim, ContractVersion, EventType
from webrtc_events.core.settings import Settings
from webrtc_events.services.network_side import NetworkSide
from webrtc_events.services.subscriptions import SubscriptionOptions, Subscriptions
from webrtc_events.store.keys import Partition, partition_of
from webrtc_events.store.settlements import Settlement
from webrtc_events.store.store import Store

StoreAt = Callable[..., Store]
INVITATION, STATUS = EventType.SESSION_INVITATION, EventType.SESSION_STATUS
REGISTRATION_ENDS = EventType.REGISTRATION_ENDS
P = partition_of("r1", 64)
COUNTER = iter(range(10**9))
_V0_3 = load_subscriptions()


class World:
    """The two sides of the service, and what is waiting for a sink."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.subscriptions = Subscriptions(store, SubscriptionOptions.of(settings))
        # By the API of version 0.3.
        self.devices = Subscriptions(
            store,
            SubscriptionOptions.of(settings),
            ContractVersion.V0_3,
            _V0_3.validator("Subscription"),
        )
        self.network = NetworkSide.of(store, load_network())

    def subscribe(self, event_type: EventType = INVITATION, caller: Caller = APP, **changes: Any) -> str:
        if event_type is STATUS:
            changes.setdefault("detail", {}).setdefault("sessionId", "s1")
        return self.subscriptions.create(caller, request(event_type, **changes))["id"]

    def subscribe_device(self, *types: EventType, caller: Caller = DEVICE_APP, **changes: Any) -> str:
        return self.devices.create(caller, device_request(*types, **changes))["id"]

    def publish(self, *events: dict[str, Any]) -> list[int]:
        results = self.network.events.accept(list(events))
        assert {result["status"] for result in results} == {"accepted"}, results
        return [result["subscriptions"] for result in results]

    def claims(self) -> dict[str, Claim]:
        partitions = [Partition(number) for number in range(64)]
        return {
            claim.subscription_id: claim
            for claim in self.store.claims.claim(partitions, subscriptions=50, events=50)
        }

    def waiting(self) -> dict[str, list[str]]:
        """Takes all that is due, as a dispatcher would: a status or a reason for each event."""
        taken: dict[str, list[str]] = {}
        while claims := self.claims():
            for name, claim in claims.items():
                taken.setdefault(name, []).extend(content(item) for item in claim.items)
                self.settle(claim)
        return taken

    def payloads(self, subscription: str) -> list[dict[str, Any]]:
        """The events that wait in an outbox, but for an end."""
        entries = self.store.client.lrange(P.outbox(subscription), 0, -1)
        return [json.loads(entry.partition("\n")[2]) for entry in entries if "{" in entry]

    def settle(self, claim: Claim, **values: Any) -> str:
        return self.store.claims.settle([Settlement(claim, claim.items[-1].number, **values)])[0]


def content(item: Any) -> str:
    if item.end:
        return str(item.payload)
    data = json.loads(item.payload)["data"]
    return str(data.get("status") or data["terminationReason"])


def event(event_type: EventType, data: dict[str, Any], subject: str | None = None, **more: Any) -> Any:
    made = {
        "id": f"e{next(COUNTER)}",
        "source": "/gateway",
        "specversion": "1.0",
        "type": event_type.value,
        "time": format_time(round(SystemClock().now() * 1000)),
        "data": data,
    } | more
    return made if subject is None else made | {"subject": subject}


def invitation(registration: str = "r1", session: str = "s1", **data: Any) -> Any:
    defaults = {
        "mediaSessionId": session,
        "status": "Initial",
        "originatorAddress": "tel:+12025550100",
        "receiverAddress": "tel:+12025550101",
    }
    return event(INVITATION, defaults | data, registration)


def status(value: str, session: str = "s1", subject: str | None = None, **data: Any) -> Any:
    return event(STATUS, {"mediaSessionId": session, "status": value} | data, subject)


def ends(registration: str = "r1") -> Any:
    data = {"registrationId": registration, "terminationReason": "NETWORK_TERMINATED"}
    return event(REGISTRATION_ENDS, data, registration)


# Who may listen


def register(world: World, owner: str, subject: str | None = None, **more: Any) -> None:
    body: Any = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": owner} | more
    world.network.registrations.put("r1", body | ({"subject": subject} if subject else {}))


def token(seconds: float) -> dict[str, str]:
    return credential(format_time(round((SystemClock().now() + seconds) * 1000)))
