"""Short ways to values that tests need many of."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from webrtc_events.contract.webrtc_events_types import HTTPSubscriptionResponse
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.model import (
    Caller,
    ContractVersion,
    Credential,
    EventType,
    ListedSubscription,
    NetworkEvent,
    SinkCredential,
    Subscription,
)
from webrtc_events.core.settings import Settings
from webrtc_events.services.subscriptions import Subscriptions
from webrtc_events.store.claims import Claims
from webrtc_events.store.keys import new_subscription_id, partition_of
from webrtc_events.store.store import Store

_Claims = TypeVar("_Claims", bound=Claims)

SINK = "https://localhost:9443/inbox"


def new_subscription(
    *,
    registration: str = "r1",
    event_type: EventType = EventType.SESSION_INVITATION,
    session: str | None = None,
    client: str = "app",
    subject: str | None = None,
    max_events: int | None = None,
    expires_at_ms: int | None = None,
    credential: SinkCredential | None = None,
    contract: str = ContractVersion.V0_2,
    origin: str | None = None,
    fetches_token: bool = False,
    partitions: int = 64,
) -> Subscription:
    return Subscription(
        id=new_subscription_id(partition_of(registration, partitions)),
        client=client,
        subject=subject,
        type=event_type,
        registration=registration,
        session=session,
        request={
            "protocol": "HTTP",
            "sink": SINK,
            "types": [event_type.value],
            "config": {"subscriptionDetail": {"registrationId": registration}},
        },
        starts_at_ms=0,
        expires_at_ms=expires_at_ms,
        max_events=max_events,
        credential=credential,
        contract=contract,
        origin=origin,
        fetches_token=fetches_token,
    )


def created(
    store: Store,
    *,
    sink: str = SINK,
    headers: dict[str, str] | None = None,
    sealed: str | None = None,
    channel: str | None = None,
    **values: Any,
) -> Subscription:
    """A subscription that the store holds."""
    made = new_subscription(partitions=store.partitions, **values)
    result = store.subscriptions.create(
        made, sink=sink, headers=headers or {}, sealed=sealed, channel=channel
    )
    assert result.outcome == "created"
    return made


def created_with_token(
    store: Store,
    settings: Settings,
    *,
    sink: str = SINK,
    token: str = "t0ken",
    expires_at_ms: int = 4_000_000_000_000,
    **values: Any,
) -> Subscription:
    """A subscription that the store holds, with a sink credential that is sealed as the service does."""
    credential = Credential(token, expires_at_ms)
    made = new_subscription(credential=credential, **values)
    sealed = CredentialBox(settings.secret_key).seal(credential, made.id)
    result = store.subscriptions.create(made, sink=sink, headers={}, sealed=sealed)
    assert result.outcome == "created"
    return made


def all_of(store: Store, client: str = "app") -> list[ListedSubscription]:
    """Every subscription of a client."""
    return [subscription for page in store.subscription_lists.pages_of(client) for subscription in page]


def listed(subscriptions: Subscriptions, caller: Caller) -> list[HTTPSubscriptionResponse]:
    """What a client is shown as the list of its subscriptions."""
    return [resource for page in subscriptions.list(caller) for resource in page]


def invitation(number: int, *, registration: str = "r1", source: str = "/gateway") -> NetworkEvent:
    data = {
        "mediaSessionId": "s1",
        "originatorAddress": "tel:+12025550100",
        "receiverAddress": "tel:+12025550101",
        "status": "Initial",
        "sequenceNumber": number,
    }
    return _event(f"e{number}", source, EventType.SESSION_INVITATION, registration, data)


def session_status(
    number: int, *, session: str = "s1", registration: str | None = None, status: str = "Ringing"
) -> NetworkEvent:
    data = {"mediaSessionId": session, "status": status, "sequenceNumber": number}
    return _event(f"e{number}", "/gateway", EventType.SESSION_STATUS, registration, data)


def _event(
    event_id: str,
    source: str,
    event_type: EventType,
    registration: str | None,
    data: dict[str, Any],
) -> NetworkEvent:
    payload = {"type": event_type.value, "time": "2026-03-10T09:00:00.000Z", "data": data}
    return NetworkEvent(
        event_id,
        source,
        event_type,
        registration,
        data["mediaSessionId"],
        time_ms=0,
        numbered="sequenceNumber" in data,
        last=data["status"] == "Terminated",
        payload=json.dumps(payload),
    )


def append(store: Store, *events: NetworkEvent, to: int | None = None) -> list[tuple[bool, int]]:
    """Appends to the partition of the first event's registration, or to partition `to`."""
    number = partition_of(events[0].registration or "", 64).number if to is None else to
    appended = store.events.append({number: list(events)})[number]
    return [(result.new, result.subscriptions) for result in appended]


def with_claims(store: Store, kind: type[_Claims]) -> _Claims:
    """Turns a store's claims into a kind that records them or breaks them off."""
    store.claims.__class__ = kind
    assert isinstance(store.claims, kind)
    return store.claims


def no_damage(damaged: Iterable[Sequence[str]]) -> None:
    assert list(damaged) == []


class Interrupted:
    """Scripts whose answers are lost after a number of calls, as when the process dies."""

    def __init__(self, store: Store, calls: int) -> None:
        self._scripts = store.scripts
        self._left = calls

    def run_parts(self, *args: Any, **options: Any) -> list[Any]:
        answers = self._scripts.run_parts(*args, **options)
        self._left -= 1
        if self._left <= 0:
            raise Unavailable
        return answers


def settings_without_store(**environ: str) -> Settings:
    """Valid settings; the store and the issuer that they name are nowhere."""
    least = {
        "WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0",
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/.well-known/openid-configuration",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
    }
    return Settings.from_environ(least | environ)
