"""What a list needs of a record, which a script gives as one text (lua/read_records.lua).

Here a record is read that is as most are. One that is not is to be read by itself, field by field
(records.py), to say what is wrong with it.
"""

from typing import Final

import msgspec

from webrtc_events.core.model import ListedSubscription, OwnedSubscription, Status
from webrtc_events.store.packed_requests import whole
from webrtc_events.store.record_defaults import RECORD_DEFAULTS
from webrtc_events.store.records import (
    UNREADABLE,
    read_count_or_none,
    read_kinds,
    read_moment,
    read_moment_or_none,
)

__all__ = ["FIELDS_OF_LISTED", "FIELDS_OF_OWNED", "UnusualRecordError", "read_listed", "read_owned"]

FIELDS_OF_OWNED: Final = ("format", "client", "subject", "contract", "status")
FIELDS_OF_LISTED: Final = (
    *FIELDS_OF_OWNED,
    *("type", "registration", "session", "sink", "device"),
    *("request", "starts_at", "expires_at", "fetches_token"),
    # Not shown, but where they are damaged it cannot be read by itself: so it is in no list either.
    *("max_events", "origin", "types"),
)
# Between fields, and in place of one that is lacking. A packed request has neither (packed_requests.py).
_BETWEEN, _LACKING = "\x1f", "\x1e"
# Those to a device are read with `device`.
_FORMATS: Final = {"1": False, "2": False, "3": False, "4": True, "5": True}
_STATUSES: Final = {str(status): status for status in Status}


class UnusualRecordError(Exception):
    """It is damaged, of a newer release, or has what only its own fields can tell."""


def read_owned(subscription_id: str, text: str) -> OwnedSubscription:
    """
    Raises:
        UnusualRecordError: the text says too little of it.
    """
    try:
        format_, client, subject, contract, status = _values(text)
        if format_ not in _FORMATS or _LACKING in (client, subject):
            raise UnusualRecordError
        return OwnedSubscription(
            subscription_id, client, subject or None, _contract(contract), _STATUSES[status]
        )
    except UNREADABLE as error:
        raise UnusualRecordError from error


def read_listed(subscription_id: str, text: str) -> ListedSubscription:
    """
    Raises:
        UnusualRecordError: the text says too little of it.
    """
    try:
        format_, client, subject, contract, status, *what, max_events, _, types = _values(text)
        type_, registration, session, sink, device, request, starts_at, expires_at, fetches = what
        if _LACKING in (client, subject, type_, registration, session, sink):
            raise UnusualRecordError
        known = {"sink": sink, "type": type_, "registration": registration, "session": session}
        if _FORMATS[format_]:
            if device == _LACKING:
                raise UnusualRecordError
            known["device"] = device
            read_kinds(types)
        if max_events != _LACKING:
            read_count_or_none(max_events)
        shown = msgspec.json.decode(whole(request, known))
        shown["config"]["subscriptionDetail"].items()
        return ListedSubscription(
            subscription_id,
            client,
            subject or None,
            _contract(contract),
            _STATUSES[status],
            shown,
            read_moment(starts_at),
            read_moment_or_none(expires_at),
            fetches == "1",
        )
    except UNREADABLE as error:
        raise UnusualRecordError from error


def _values(text: str) -> list[str]:
    if not text.isascii():
        # Bytes that are no UTF-8 came as what cannot be written.
        text.encode()
    return text.split(_BETWEEN)


def _contract(text: str) -> str:
    return RECORD_DEFAULTS["contract"] if text == _LACKING else text
