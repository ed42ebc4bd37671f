"""Reads what the gateway said of registrations, many at once, for an operator."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from webrtc_events.core.errors import DamagedRecord
from webrtc_events.core.model import Registration
from webrtc_events.store.keys import partition_of
from webrtc_events.store.redis.scripts import answers_of, store_errors
from webrtc_events.store.store import Store

__all__ = ["read_registrations"]

_FIELDS: Final = ("device", "owner", "subject", "expires_at")


def read_registrations(
    store: Store, registrations: Iterable[str]
) -> Mapping[str, Registration | DamagedRecord]:
    """Those that are known, in one round trip.

    Raises:
        Unavailable: the store does not answer.
    """
    wanted = list(dict.fromkeys(registrations))
    with store_errors():
        pipe = store.client.pipeline()
        for registration in wanted:
            pipe.hmget(
                partition_of(registration, store.partitions).registration_record(registration), _FIELDS
            )
        answers = answers_of(pipe)
    pairs = zip(wanted, answers, strict=True)
    found = {registration: _read(registration, values) for registration, values in pairs}
    return {registration: record for registration, record in found.items() if record is not None}


def _read(registration: str, values: Any) -> Registration | DamagedRecord | None:
    if isinstance(values, Exception):
        return DamagedRecord(registration, "it is a key of another type")
    device, owner, subject, expires_at = values
    if not any(values):
        return None
    if not device or not owner:
        return DamagedRecord(registration, "its device or its owner is missing")
    return Registration(registration, device, owner, subject or None, expires_at or None)
