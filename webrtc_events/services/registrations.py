"""Registrations, as the gateway says that they come and go."""

import logging

from webrtc_events.contract.network_events_types import Registration as RegistrationBody
from webrtc_events.contract.network_events_types import RegistrationResource
from webrtc_events.core.clock import format_time, parse_time
from webrtc_events.core.errors import InvalidArgument, NotFound
from webrtc_events.core.log_masking import PersonalData
from webrtc_events.core.model import EventType, Registration
from webrtc_events.services.events import event_payload
from webrtc_events.store.store import Store

__all__ = ["Registrations"]

log = logging.getLogger(__name__)


class Registrations:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, registration_id: str, body: RegistrationBody) -> tuple[RegistrationResource, bool]:
        """Stores a registration; returns the resource and whether it is new.

        Raises:
            InvalidArgument: its expiry is out of range.
        """
        expires_at = body.get("expiresAt")
        registration = Registration(
            id=registration_id,
            device=body["deviceId"],
            owner=body["owner"],
            subject=body.get("subject"),
            expires_at=expires_at,
        )
        expires_at_ms = None if expires_at is None else _moment(expires_at)
        end = "" if expires_at_ms is None else _expiry_payload(registration_id, expires_at_ms)
        created = self._store.registrations.put(registration, expires_at_ms=expires_at_ms, end=end)
        log.info(
            "put registration=%s device=%s owner=%s subject=%s expires_at=%s",
            PersonalData(registration_id),
            PersonalData(registration.device),
            registration.owner,
            PersonalData(registration.subject),
            expires_at,
        )
        return {**body, "registrationId": registration_id}, created

    def delete(self, registration_id: str) -> None:
        """
        Raises:
            NotFound: the registration was not known.
        """
        if not self._store.registrations.delete(registration_id):
            raise NotFound
        log.info("deleted registration=%s", PersonalData(registration_id))


def _expiry_payload(registration_id: str, expires_at_ms: int) -> str:
    data = {
        "registrationId": registration_id,
        "terminationReason": "REGISTRATION_EXPIRED",
        "terminationDescription": "The registration was not renewed in time.",
    }
    return event_payload(EventType.REGISTRATION_ENDS, format_time(expires_at_ms), data)


def _moment(text: str) -> int:
    try:
        return parse_time(text)
    except ValueError:
        raise InvalidArgument("$.expiresAt is out of range") from None
