"""A subscription of 0.2 with what decides about its successor; or why it can have none."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec

from webrtc_events.contract.documents import load_subscriptions
from webrtc_events.contract.validators import Validator
from webrtc_events.core.clock import parse_time
from webrtc_events.core.credentials import CredentialBox, SealError
from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.event_names import wire_type
from webrtc_events.core.model import ContractVersion, Credential, Registration, Subscription
from webrtc_events.core.settings import Settings
from webrtc_events.store.sealed_subscriptions import SealedSubscription

__all__ = ["Former", "NotCarried", "Successors", "successor_body"]

# Of a digest that tells secrets apart in this run alone.
_DIGEST_BYTES: Final = 16


class Former(msgspec.Struct, frozen=True):
    """One that can be carried over. Those with the same `key` become one subscription.

    `key`: client, device, user, sink, and digests of the credential and of the headers. `known`: the gateway
    has said of its registration that it is there; else the device is the one that its request names.
    """

    key: tuple[str, ...]
    id: str
    type: str
    registration: str
    session: str | None
    expire_time: str | None
    max_events: int | None
    initial_event: bool
    token_expires_at_ms: int | None
    has_credential: bool
    headers: tuple[str, ...]
    known: bool
    starts_at_ms: int

    @property
    def kind(self) -> str:
        return self.type.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class NotCarried:
    """One that has no successor. `registration` is in clear."""

    id: str
    client: str
    registration: str
    why: str


class Successors:
    """Decides for one subscription after the other."""

    def __init__(self, settings: Settings) -> None:
        self._box = CredentialBox(settings.secret_key)
        self._key = os.urandom(_DIGEST_BYTES)

    def of(
        self, found: SealedSubscription, registrations: Mapping[str, Registration | DamagedRecord]
    ) -> Former | NotCarried | DamagedRecord:
        """`registrations`: what is known of those of its page."""
        subscription = found.subscription
        if not _is_whole(subscription.request):
            return DamagedRecord(subscription.id, "its request lacks its sink, or has no such expiry")
        registration = registrations.get(subscription.registration)
        device = _device(subscription, registration)
        why = _hindrance(subscription, registration, device) or _fault(subscription, device)
        if why:
            return NotCarried(subscription.id, subscription.client, subscription.registration, why)
        credential, expires_at_ms = self._credential(found)
        request = subscription.request
        headers = _headers(request)
        config = request["config"]
        return Former(
            key=(
                subscription.client,
                device,
                subscription.subject or "",
                request["sink"],
                credential,
                self._digest(part for pair in sorted(headers.items()) for part in pair),
            ),
            id=subscription.id,
            type=subscription.type.value,
            registration=subscription.registration,
            session=subscription.session,
            expire_time=config.get("subscriptionExpireTime"),
            max_events=subscription.max_events,
            initial_event=bool(config.get("initialEvent")),
            token_expires_at_ms=expires_at_ms,
            has_credential=found.sealed is not None,
            headers=tuple(sorted(headers)),
            known=registration is not None,
            starts_at_ms=subscription.starts_at_ms,
        )

    def _credential(self, found: SealedSubscription) -> tuple[str, int | None]:
        """What tells it from others, and when its token runs out; one that does not open is like no other."""
        if found.sealed is None:
            return "", None
        try:
            credential = self._box.open(found.sealed, found.subscription.id)
        except SealError:
            return found.subscription.id, None
        if not isinstance(credential, Credential):
            # 0.2 has none of this kind: it is like no other.
            return found.subscription.id, None
        return self._digest([credential.access_token]), credential.expires_at_ms

    def _digest(self, parts: Iterable[str]) -> str:
        digest = hashlib.blake2b(key=self._key, digest_size=_DIGEST_BYTES)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()


def _is_whole(request: Mapping[str, Any]) -> bool:
    """Reading a record looks at no more of its request than at its detail."""
    expiry = request["config"].get("subscriptionExpireTime")
    try:
        return isinstance(request.get("sink"), str) and (expiry is None or parse_time(expiry) >= 0)
    except (TypeError, ValueError):
        return False


def successor_body(sink: str, device: str, types: Iterable[str]) -> dict[str, Any]:
    """The request of 0.3, as far as all have it. `types` are those of `EventType`, by name."""
    return {
        "protocol": "HTTP",
        "sink": sink,
        "types": list(types),
        "config": {"subscriptionDetail": {"deviceId": device}},
    }


def _device(subscription: Subscription, registration: Registration | DamagedRecord | None) -> str:
    """In lower case; '' if nobody says it."""
    if isinstance(registration, Registration):
        return registration.device.lower()
    named = subscription.request["config"]["subscriptionDetail"].get("deviceId")
    return named.lower() if registration is None and isinstance(named, str) else ""


def _hindrance(
    subscription: Subscription, registration: Registration | DamagedRecord | None, device: str
) -> str:
    if isinstance(registration, DamagedRecord):
        return f"the record of its registration cannot be read: {registration.why}"
    if registration is None:
        return "" if device else "its registration is not known, and its request names no device"
    if registration.owner != subscription.client:
        return "its registration belongs to another client now"
    if registration.subject and subscription.subject and registration.subject != subscription.subject:
        return "its registration belongs to another user now"
    return ""


def _fault(subscription: Subscription, device: str) -> str:
    """Why the contract 0.3 does not take it."""
    wire = wire_type(ContractVersion.V0_3, subscription.type)
    body = successor_body(subscription.request["sink"], device, [wire])
    headers = _headers(subscription.request)
    if headers:
        body["protocolSettings"] = {"headers": headers}
    fault = _validator().first_fault(body)
    return "" if fault is None else f"version 0.3 does not take it: {fault.path}: {fault.message}"


def _headers(request: Mapping[str, Any]) -> dict[str, str]:
    settings = request.get("protocolSettings")
    headers = settings.get("headers") if isinstance(settings, Mapping) else None
    return dict(headers) if isinstance(headers, Mapping) else {}


@lru_cache(maxsize=1)
def _validator() -> Validator:
    return load_subscriptions().validator("HTTPSubscriptionRequest")
