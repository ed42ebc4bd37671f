"""Reads what the store keeps: a record that cannot be read is a value, and no other is lost by it."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import (
    Claim,
    ContractVersion,
    EventType,
    InitialEvent,
    OutboxItem,
    SessionState,
    Status,
    Subscription,
)
from webrtc_events.store.formats import DEVICE_CHANNEL_FORMAT, DEVICE_FORMAT, FORMAT
from webrtc_events.store.keys import REGISTRATION_FIELD
from webrtc_events.store.outbox_entries import parse_entry
from webrtc_events.store.packed_requests import whole
from webrtc_events.store.record_defaults import RECORD_DEFAULTS

__all__ = [
    "FIELDS_OF_SUBSCRIPTION",
    "UNREADABLE",
    "UnreadableEntry",
    "read_claim",
    "read_count_or_none",
    "read_kinds",
    "read_moment",
    "read_moment_or_none",
    "read_session_state",
    "read_subscription",
    "reason_of_damage",
]

_T = TypeVar("_T")

UNREADABLE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What reading raises when a field is missing, of another kind, or out of every range."""


# What is read of a subscription, which is half of its hash.
FIELDS_OF_SUBSCRIPTION = (
    "format",
    "client",
    "subject",
    "type",
    "registration",
    "session",
    "request",
    "starts_at",
    "expires_at",
    "max_events",
    "status",
    "initial_pending",
    "contract",
    "origin",
    "sink",
    "device",
    "types",
    "fetches_token",
)


def read_subscription(subscription_id: str, fields: Any) -> Subscription | DamagedRecord | None:
    """The subscription of a hash, or of what the store said in its place; None if it is deleted.

    Raises:
        NewerRelease: a newer release wrote it.
    """
    if isinstance(fields, Exception):
        return DamagedRecord(subscription_id, "it is a key of another type")
    fields = _with_whole_request(fields)
    found = _read_at_once(subscription_id, fields)
    if found is None:
        try:
            found = _read_by_field(subscription_id, fields)
        except _BadField as error:
            return DamagedRecord(subscription_id, str(error))
    return None if found.status is Status.DELETED else found


def _with_whole_request(fields: Mapping[str, str]) -> Mapping[str, str]:
    """One that cannot be made whole is left as it is, which is no JSON."""
    text = fields.get("request", "")
    with suppress(KeyError):
        unpacked = whole(text, fields)
        return fields if unpacked is text else {**fields, "request": unpacked}
    return fields


# What stands before the entries. Source: lua/claim.lua.
_FIELDS_OF_CLAIM = 15


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """An entry of a claim cannot be read, or is not in its place."""

    subscription_id: str
    fence: str
    claimed_entries: int

    @classmethod
    def of(cls, raw: Sequence[Any]) -> "UnreadableEntry":
        return cls(raw[0], raw[1], len(raw) - _FIELDS_OF_CLAIM)


def read_claim(now_ms: int, raw: Sequence[Any]) -> Claim | DamagedRecord | UnreadableEntry:
    """Source: lua/claim.lua, which names the parts."""
    try:
        items = tuple(parse_entry(entry) for entry in raw[_FIELDS_OF_CLAIM:])
    except ValueError:
        return UnreadableEntry.of(raw)
    if any(item.number <= former.number for former, item in pairwise(items)):
        return UnreadableEntry.of(raw)
    try:
        return _claim(now_ms, raw, items)
    except UNREADABLE as error:
        return DamagedRecord(str(raw[0]), f"what is needed to deliver cannot be read: {_reason(error)}")


def read_session_state(fields: Mapping[str, str]) -> tuple[SessionState, str | None]:
    """Also why its latest status cannot be read, in which case it is as good as unknown."""
    registrations = frozenset(
        name.removeprefix(REGISTRATION_FIELD) for name in fields if name.startswith(REGISTRATION_FIELD)
    )
    if "name" not in fields:
        return SessionState(registrations, None), None
    try:
        payload = fields["payload"]
        str(json.loads(payload)["data"]["mediaSessionId"])
        _check_text(payload)
        latest = InitialEvent(
            fields["name"], payload, fields["count"] == "0", fields["last"] == "1", int(fields["at"])
        )
    except UNREADABLE as error:
        return SessionState(registrations, None), _reason(error)
    return SessionState(registrations, latest), None


# In front of the reason, in answers of scripts.
_DAMAGED = "damaged: "


def reason_of_damage(answer: str) -> str | None:
    """Why a script could not read a record; None if it could. Source: lua/end.lua, lua/settle.lua."""
    return answer.removeprefix(_DAMAGED) if answer.startswith(_DAMAGED) else None


def _reason(error: Exception) -> str:
    """The class, and of a missing field its name: other texts may repeat what is in the record."""
    return f"no {error}" if isinstance(error, KeyError) else type(error).__name__


def _check_text(*texts: str) -> None:
    """Raises ValueError for bytes that are no UTF-8."""
    "".join(texts).encode()


class _BadField(ValueError):
    """In words for an operator."""


def _field(fields: Mapping[str, str], name: str, read: Callable[[str], _T], default: str | None = None) -> _T:
    text = fields.get(name, default)
    if text is None:
        raise _BadField(f"it lacks its field {name}")
    try:
        _check_text(text)
        return read(text)
    except UNREADABLE as error:
        raise _BadField(f"its field {name} cannot be read") from error


def _read_at_once(subscription_id: str, fields: Mapping[str, str]) -> Subscription | None:
    """As most records are. None: it is to be read field by field, to say what is wrong with it."""
    if fields.get("format") not in _USUAL_FORMATS:
        return None
    try:
        _check_text(*fields.values())
        return _subscription(subscription_id, fields, _decoded_request)
    except UNREADABLE:
        return None


def _read_by_field(subscription_id: str, fields: Mapping[str, str]) -> Subscription:
    """
    Raises:
        NewerRelease: a newer release wrote it.
        _BadField: names the first field that is damaged.
    """
    if _field(fields, "format", _format, "1") > FORMAT:
        raise NewerRelease
    if fields.get("format") in _DEVICE_FORMATS:
        # Its request may refer to them.
        for name, read in _READERS_OF_DEVICE.items():
            _field(fields, name, read)
    for name, read in _READERS.items():
        _field(fields, name, read, _DEFAULTS.get(name))
    return _subscription(subscription_id, fields, _request)


def _subscription(
    subscription_id: str, fields: Mapping[str, str], request_of: Callable[[str], dict[str, Any]]
) -> Subscription:
    return Subscription(
        id=subscription_id,
        client=fields["client"],
        subject=fields["subject"] or None,
        type=_TYPES[fields["type"]],
        registration=fields["registration"],
        session=fields["session"] or None,
        request=request_of(fields["request"]),
        starts_at_ms=read_moment(fields["starts_at"]),
        expires_at_ms=read_moment_or_none(fields["expires_at"]),
        max_events=read_count_or_none(fields.get("max_events", RECORD_DEFAULTS["max_events"])),
        status=_STATUSES[fields["status"]],
        initial_event=fields.get("initial_pending") == "1",
        contract=fields.get("contract", RECORD_DEFAULTS["contract"]),
        origin=fields.get("origin"),
        types=_types_of(fields),
        device=_device_of(fields),
        fetches_token=fields.get("fetches_token") == "1",
    )


def _types_of(fields: Mapping[str, str]) -> tuple[EventType, ...]:
    """Source: lua/create.lua. Of a subscription to a registration there is its one type alone."""
    return read_kinds(fields["types"]) if fields.get("format") in _DEVICE_FORMATS else ()


def read_kinds(text: str) -> tuple[EventType, ...]:
    return tuple(_KINDS[kind] for kind in text.split(" "))


def _device_of(fields: Mapping[str, str]) -> str | None:
    return fields["device"] if fields.get("format") in _DEVICE_FORMATS else None


# No release is as new as that. Source: lua/shared/records.lua.
_MAX_FORMAT = 9999


def _format(text: str) -> int:
    number = int(text)
    if not 0 < number <= _MAX_FORMAT:
        raise ValueError
    return number


def _request(text: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(text)
    request["config"]["subscriptionDetail"].items()
    # What no JSON text can hold cannot be shown.
    json.dumps(request, ensure_ascii=False, allow_nan=False).encode()
    return request


def _decoded_request(text: str) -> dict[str, Any]:
    """As `_request`, by a parser that is several times as fast, and reads less of what is no JSON."""
    request: dict[str, Any] = msgspec.json.decode(text)
    request["config"]["subscriptionDetail"].items()
    return request


def read_count_or_none(text: str) -> int | None:
    return int(text) if text else None


def read_moment_or_none(text: str) -> int | None:
    return read_moment(text) if text else None


# The end of the year 9999: no moment that can be written lies behind it.
_LAST_MOMENT_MS = 253_402_300_799_999


def read_moment(text: str) -> int:
    moment = int(text)
    if not 0 <= moment <= _LAST_MOMENT_MS:
        raise OverflowError
    return moment


# How each field is read that a damaged record may lack, in the order in which the first of them is named.
_READERS: Mapping[str, Callable[[str], object]] = {
    "client": str,
    "subject": str,
    "type": EventType,
    "registration": str,
    "session": str,
    "request": _request,
    "starts_at": read_moment,
    "expires_at": read_moment_or_none,
    "max_events": read_count_or_none,
    "status": Status,
    "contract": str,
    "origin": str,
}
_READERS_OF_DEVICE: Mapping[str, Callable[[str], object]] = {"device": str, "types": read_kinds}
_USUAL_FORMATS = frozenset({"1", "2", "3", "4", "5"})
_DEVICE_FORMATS = frozenset({str(DEVICE_FORMAT), str(DEVICE_CHANNEL_FORMAT)})
_TYPES = {str(event_type): event_type for event_type in EventType}
_KINDS = {event_type.rpartition(".")[2]: event_type for event_type in EventType}
_DEFAULTS = {**RECORD_DEFAULTS, "origin": ""}
_STATUSES = {str(status): status for status in Status}


def _claim(now_ms: int, raw: Sequence[Any], items: tuple[OutboxItem, ...]) -> Claim:
    subscription_id, fence, lease_until, sink, headers, credential, attempts, once, contract = raw[:9]
    origin, rate, client, registration, session, device = raw[9:_FIELDS_OF_CLAIM]
    _check_text(subscription_id, sink, headers, credential, contract, origin, client)
    own_headers = json.loads(headers)
    if not isinstance(own_headers, dict) or not all(isinstance(value, str) for value in own_headers.values()):
        raise TypeError
    if rate and int(rate) < 1:
        raise ValueError
    return Claim(
        subscription_id=subscription_id,
        fence=int(fence),
        now_ms=now_ms,
        lease_until_ms=int(lease_until),
        sink=sink,
        headers=own_headers,
        credential=credential or None,
        attempts=int(attempts),
        end_once=once == "1",
        contract=contract or ContractVersion.V0_2,
        origin=origin,
        rate=int(rate) if rate else None,
        client=client,
        items=items,
        registration=registration,
        session=session,
        device=device,
    )
