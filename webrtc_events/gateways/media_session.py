"""A media session as a pure state machine: signals of its legs in, numbered network events out."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from webrtc_events.core.clock import format_time
from webrtc_events.core.model import EventType
from webrtc_events.gateways.call_leg import Change, Leg, advance_leg
from webrtc_events.gateways.call_signals import LegFacts, Mark, Signal
from webrtc_events.gateways.sdp import contract_sdp
from webrtc_events.gateways.sip_addresses import ANONYMOUS

__all__ = ["Advanced", "MediaSession", "advance", "media_session_id"]

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
# What version 0.3 of the API takes; version 0.2 has no bound.
_MAX_SESSION_ID: Final = 256


def media_session_id(call_id: str) -> str:
    """The Call-ID, which both legs have where no back-to-back agent is between them.

    Of one that the contract does not take, a hash.
    """
    if 0 < len(call_id) <= _MAX_SESSION_ID and not _CONTROLS.search(call_id):
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()


class MediaSession(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As the journal keeps it, by msgspec. `sequence`: that of its last event; `legs` by their names."""

    id: str
    sequence: int = 0
    legs: Mapping[str, Leg] = {}

    @property
    def is_over(self) -> bool:
        return bool(self.legs) and all(leg.is_over for leg in self.legs.values())


@dataclass(frozen=True, slots=True)
class Advanced:
    """`events` are network events, in order: network-events.yaml, NetworkEvent."""

    session: MediaSession
    events: tuple[dict[str, Any], ...]


def advance(session: MediaSession, facts: LegFacts, signal: Signal, mark: Mark) -> Advanced:
    """What a signal makes of a session. A signal that changes nothing makes no event; none raises.

    A leg that was unknown, since its beginning was missed, begins with what the signal knows. An ended leg
    stays so.
    """
    leg = session.legs.get(facts.name, Leg()).knowing(facts)
    leg, changes = advance_leg(leg, signal)
    events = []
    sequence = session.sequence
    for number, change in enumerate(changes):
        sequence += 1
        event_id = mark.event_id if number == 0 else f"{mark.event_id}.{number}"
        events.append(_event(session.id, leg, change, sequence, mark, event_id))
    legs = {**session.legs, facts.name: leg}
    return Advanced(MediaSession(id=session.id, sequence=sequence, legs=legs), tuple(events))


def _event(
    session_id: str, leg: Leg, change: Change, sequence: int, mark: Mark, event_id: str
) -> dict[str, Any]:
    kind = EventType.SESSION_INVITATION if change.is_invitation else EventType.SESSION_STATUS
    event: dict[str, Any] = {
        "id": event_id,
        "source": mark.source,
        "specversion": "1.0",
        "type": kind.value,
        "time": format_time(mark.time_ms),
        "datacontenttype": "application/json",
        "data": _data(session_id, leg, change, sequence),
    }
    if leg.registration is not None:
        event["subject"] = leg.registration
    return event


def _data(session_id: str, leg: Leg, change: Change, sequence: int) -> dict[str, Any]:
    unknown = ANONYMOUS if change.is_invitation else None
    data: dict[str, Any] = {
        "mediaSessionId": session_id,
        "originatorAddress": leg.originator.address or unknown,
        "originatorName": leg.originator.name,
        "receiverAddress": leg.receiver.address or unknown,
        "receiverName": leg.receiver.name,
        "status": change.status.value,
        "reason": change.reason,
        "sequenceNumber": sequence,
    }
    if change.offer is not None:
        data["offer"] = {"sdp": contract_sdp(change.offer)}
    if change.answer is not None:
        data["answer"] = {"sdp": contract_sdp(change.answer)}
    if change.is_invitation and change.offer is None:
        data["offerRequired"] = True
    return {name: value for name, value in data.items() if value is not None}
