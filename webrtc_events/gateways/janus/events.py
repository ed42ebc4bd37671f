"""What Janus's event handler posts, as values; each event of a batch is read by itself.

Sources: Janus 1.1, events/janus_sampleevh.c and plugins/janus_sip.c, as observed.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import msgspec

__all__ = ["SIP_PLUGIN", "Damaged", "EventKind", "JanusEvent", "SipData", "read_batch"]

SIP_PLUGIN: Final = "janus.plugin.sip"
# 2000 and 2100 in microseconds: a clock outside is not set.
_TIMES_US: Final = range(946_684_800_000_000, 4_102_444_800_000_000)
_MAX_DEPTH_FAULT: Final = "nested too deep"
_FINGERPRINT_BYTES: Final = 16


class EventKind(IntEnum):
    """Source: Janus, events/eventhandler.h."""

    SESSION = 1
    HANDLE = 2
    PLUGIN = 64
    CORE = 256


_KINDS: Final = frozenset(kind.value for kind in EventKind)


class _Posted(msgspec.Struct, frozen=True):
    type: int
    timestamp: int
    event: dict[str, Any]
    emitter: str = "janus"
    session_id: int | str | None = None
    handle_id: int | str | None = None
    opaque_id: str | None = None


class SipData(msgspec.Struct, frozen=True):
    """`data` of the SIP plugin's events, as far as it is used; `event` names what happened."""

    event: str = ""
    sip: str | None = None
    identity: str | None = None
    call_id: str | None = msgspec.field(name="call-id", default=None)
    code: int | None = None
    reason: str | None = None
    sdp: str | None = None
    callee: str | None = None
    username: str | None = None
    displayname: str | None = None
    type: str | None = None
    helper: bool = False


@dataclass(frozen=True, slots=True)
class JanusEvent:
    """`fingerprint` is the same whenever Janus posts it again. `time_us`: by Janus's clock, since the epoch.

    `name`: of a session or handle, what became of it, or the status of the core. `sip` is None for all but
    events of the SIP plugin.
    """

    fingerprint: bytes
    kind: EventKind
    time_us: int
    emitter: str
    session: str
    handle: str
    opaque_id: str
    name: str
    sip: SipData | None


@dataclass(frozen=True, slots=True)
class Damaged:
    """An event that cannot be read, and why; nothing of what it holds is repeated."""

    reason: str


def read_batch(body: bytes, now_us: int) -> list[JanusEvent | Damaged | None]:
    """Each event of a POST; None: one that says nothing of calls. A single one is a batch of one.

    An event whose time is none gets `now_us`.

    Raises:
        ValueError: it is no JSON text, or neither an array nor an object.
    """
    try:
        posted = msgspec.json.decode(body.decode("utf-8", "replace"))
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    except RecursionError:
        raise ValueError(_MAX_DEPTH_FAULT) from None
    if isinstance(posted, dict):
        posted = [posted]
    if isinstance(posted, list):
        return [_read(item, now_us) for item in posted]
    raise ValueError("it is neither an array nor an object")


def _read(item: Any, now_us: int) -> JanusEvent | Damaged | None:
    try:
        found = msgspec.convert(item, _Posted)
        if found.type not in _KINDS:
            return None
        kind = EventKind(found.type)
        sip = None
        if kind is EventKind.PLUGIN:
            if found.event.get("plugin") != SIP_PLUGIN:
                return None
            sip = msgspec.convert(found.event.get("data"), SipData)
    except msgspec.ValidationError as error:
        return Damaged(str(error))
    if kind is not EventKind.CORE and (found.session_id is None or (sip and found.handle_id is None)):
        return Damaged("it has no session_id, or no handle_id")
    return JanusEvent(
        fingerprint=hashlib.sha256(msgspec.json.encode(item, order="sorted")).digest()[:_FINGERPRINT_BYTES],
        kind=kind,
        time_us=found.timestamp if found.timestamp in _TIMES_US else now_us,
        emitter=found.emitter,
        session=str(found.session_id or ""),
        handle=str(found.handle_id or ""),
        opaque_id=found.opaque_id or "",
        name=_name(kind, found.event),
        sip=sip,
    )


def _name(kind: EventKind, event: dict[str, Any]) -> str:
    name = event.get("status" if kind is EventKind.CORE else "name")
    return name if isinstance(name, str) else ""
