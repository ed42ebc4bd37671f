"""Reads a notification: the body of a POST, as a typed value."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from webrtc_events_client.consumer import strict_json
from webrtc_events_client.consumer.errors import InvalidNotification
from webrtc_events_client.types import (
    CircleCoordinates,
    ContractVersion,
    EllipsoidCoordinates,
    EventKind,
    LocationConfidence,
    LocationDetails,
    LocationMethod,
    LocationShape,
    MediaSession,
    Notification,
    RegistrationEnds,
    RegistrationTerminationReason,
    SessionInvitation,
    SessionState,
    SessionStatus,
    SubscriptionEnded,
    TerminationReason,
    UnknownNotification,
)

__all__ = ["parse_notification"]

_Word = TypeVar("_Word", bound=StrEnum)
_Value = TypeVar("_Value")
_CIRCLE = frozenset(("latitude", "longitude", "radius"))
_ELLIPSOID = {
    "latitude": "latitude",
    "longitude": "longitude",
    "zAxis": "z_axis",
    "semiMajorAxis": "semi_major_axis",
    "semiMinorAxis": "semi_minor_axis",
    "verticalAxis": "vertical_axis",
    "orientation": "orientation",
}
# No place on earth is further away, in degrees or meters; a larger integer may be no float.
_MAX_NUMBER = 1e12
_LEAP_SECOND = re.compile(r"(?<=:\d\d):60(?=[.Z+-])")


def parse_notification(body: bytes) -> Notification:
    """The notification in a body. Members that are not known are in `raw` alone.

    Raises:
        InvalidNotification: it is not valid by the contract.
    """
    try:
        event = strict_json.loads(body)
    except ValueError as error:
        raise InvalidNotification(f"the body {error}") from None
    if not isinstance(event, dict):
        raise InvalidNotification("the body is no object")
    if event.get("specversion") != "1.0":
        raise InvalidNotification("specversion is not 1.0")
    event_type = _text(event, "type")
    common: dict[str, Any] = {
        "id": _text(event, "id"),
        "source": _text(event, "source"),
        "type": event_type,
        "time": _moment(event, "time"),
        "raw": event,
    }
    build = _BUILDERS.get(event_type)
    if build is None:
        return UnknownNotification(**common, data=event.get("data"))
    return build(common, event)


def _invitation(common: dict[str, Any], event: Mapping[str, Any]) -> Notification:
    data = _data(event)
    for name in ("originatorAddress", "receiverAddress", "status"):
        _text(data, name)
    return SessionInvitation(**common, session=_session(data))


def _status(common: dict[str, Any], event: Mapping[str, Any]) -> Notification:
    # In the contract's form both stand on the event too; without `data`, which it allows, there alone.
    moved = {name: event[name] for name in ("mediaSessionId", "status") if name in event}
    data = moved | (_data(event) if "data" in event else {})
    _text(data, "status")
    return SessionStatus(**common, session=_session(data))


def _registration(common: dict[str, Any], event: Mapping[str, Any]) -> Notification:
    data = _data(event)
    return RegistrationEnds(
        **common,
        registration_id=_text(data, "registrationId"),
        reason=_word(RegistrationTerminationReason, _text(data, "terminationReason")),
        description=_optional(data, "terminationDescription", str),
        subscription_id=_optional(data, "subscriptionId", str),
    )


def _ended(common: dict[str, Any], event: Mapping[str, Any]) -> Notification:
    if "data" not in event:
        return SubscriptionEnded(**common)
    data = _data(event)
    return SubscriptionEnded(
        **common,
        subscription_id=_text(data, "subscriptionId"),
        reason=_word(TerminationReason, _text(data, "terminationReason")),
        description=_optional(data, "terminationDescription", str),
    )


_Builder: TypeAlias = Callable[[dict[str, Any], Mapping[str, Any]], Notification]
_BY_KIND: Mapping[EventKind, _Builder] = {
    EventKind.SESSION_INVITATION: _invitation,
    EventKind.SESSION_STATUS: _status,
    EventKind.REGISTRATION_ENDS: _registration,
    EventKind.SUBSCRIPTION_ENDED: _ended,
}
# Whichever version a subscription was made under, its notifications become the same values.
_BUILDERS: Mapping[str, _Builder] = {
    kind.wire_type(version): build for version in ContractVersion for kind, build in _BY_KIND.items()
}


def _session(data: Mapping[str, Any]) -> MediaSession:
    status = _optional(data, "status", str)
    return MediaSession(
        media_session_id=_text(data, "mediaSessionId"),
        status=None if status is None else _word(SessionState, status),
        sequence_number=_optional(data, "sequenceNumber", int),
        subscription_id=_optional(data, "subscriptionId", str),
        originator_address=_optional(data, "originatorAddress", str),
        originator_name=_optional(data, "originatorName", str),
        receiver_address=_optional(data, "receiverAddress", str),
        receiver_name=_optional(data, "receiverName", str),
        offer=_sdp(data, "offer"),
        answer=_sdp(data, "answer"),
        offer_required=_optional(data, "offerRequired", bool),
        reason=_optional(data, "reason", str),
        client_correlator=_optional(data, "clientCorrelator", str),
        server_correlator=_optional(data, "serverCorrelator", str),
        call_object_ref=_optional(data, "callObjectRef", str),
        location_details=_location(data),
    )


def _location(data: Mapping[str, Any]) -> LocationDetails | None:
    details = _optional(data, "locationDetails", dict)
    if details is None:
        return None
    shape, method = _optional(details, "shape", str), _optional(details, "method", str)
    confidence = _optional(details, "confidence", dict)
    return LocationDetails(
        shape=None if shape is None else _word(LocationShape, shape),
        coordinates=_coordinates(_optional(details, "coordinates", dict)),
        method=None if method is None else _word(LocationMethod, method),
        confidence=None
        if confidence is None
        else LocationConfidence(pdf=_optional(confidence, "pdf", str), value=_optional_number(confidence)),
        timestamp=_moment(details, "timestamp") if "timestamp" in details else None,
    )


def _coordinates(members: Mapping[str, Any] | None) -> CircleCoordinates | EllipsoidCoordinates | None:
    """By what they have, as the contract does not tie them to `shape`; None for what is neither."""
    if members is None:
        return None
    numbers = {name: float(value) for name, value in members.items() if _is_number(value)}
    if _ELLIPSOID.keys() <= numbers.keys():
        return EllipsoidCoordinates(**{field: numbers[name] for name, field in _ELLIPSOID.items()})
    if numbers.keys() >= _CIRCLE:
        return CircleCoordinates(**{name: numbers[name] for name in _CIRCLE})
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_NUMBER


def _optional_number(members: Mapping[str, Any]) -> float | None:
    if "value" not in members:
        return None
    if not _is_number(members["value"]):
        raise InvalidNotification("value has the wrong type")
    return float(members["value"])


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if not isinstance(data, dict):
        raise InvalidNotification("data is no object")
    return data


def _sdp(data: Mapping[str, Any], name: str) -> str | None:
    descriptor = _optional(data, name, dict)
    return None if descriptor is None else _optional(descriptor, "sdp", str)


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidNotification(f"{name} is missing, or no text")
    return value


def _optional(members: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value | None:
    if name not in members:
        return None
    value = members[name]
    if kind is int and isinstance(value, float) and value.is_integer():
        # JSON has one kind of number (RFC 8259, 6).
        value = int(value)
    # In Python a truth value is a number.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidNotification(f"{name} has the wrong type")
    return value


def _word(known: type[_Word], text: str) -> _Word | str:
    try:
        return known(text)
    except ValueError:
        return text


def _moment(members: Mapping[str, Any], name: str) -> datetime:
    try:
        # A leap second, which the RFC allows and datetime does not have.
        time = datetime.fromisoformat(_LEAP_SECOND.sub(":59", _text(members, name).upper()))
    except ValueError:
        raise InvalidNotification(f"{name} is not as RFC 3339 has it") from None
    if time.tzinfo is None:
        raise InvalidNotification(f"{name} has no zone")
    return time
