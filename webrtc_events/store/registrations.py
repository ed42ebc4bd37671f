"""Registrations, as the gateway names them."""

from webrtc_events.core.model import Registration
from webrtc_events.store.connection import Connection
from webrtc_events.store.formats import BASE_FORMAT
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.scripts import Call

__all__ = ["RegistrationRecords"]


class RegistrationRecords:
    """Every method may raise `errors.Unavailable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, registration: Registration, *, expires_at_ms: int | None, end: str) -> bool:
        """Stores what is known of a registration; True if nothing was known before.

        `end` is the payload of the registration-ends that its expiry appends.
        """
        self._connection.guard.check()
        partition = partition_of(registration.id, self._connection.partition_count)
        moment = "" if expires_at_ms is None else str(expires_at_ms)
        fields = {
            "format": str(BASE_FORMAT),
            "device": registration.device,
            "owner": registration.owner,
            "subject": registration.subject or "",
            "expires_at": registration.expires_at or "",
            "expires_at_ms": moment,
            "end": end,
        }
        args = [registration.id, moment, *(part for pair in fields.items() for part in pair)]
        key = partition.registration_record(registration.id)
        return bool(self._connection.run(Call("register", [key], partition.tag, args)))

    def delete(self, registration_id: str) -> bool:
        """Forgets a registration; False if it was not known."""
        partition = partition_of(registration_id, self._connection.partition_count)
        key = partition.registration_record(registration_id)
        return bool(self._connection.run(Call("unregister", [key], partition.tag, [registration_id])))
