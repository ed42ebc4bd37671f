"""Which call a SIP message is of, where several have one Call-ID: each dialog has a media session of its own.

A Call-ID names no dialog by itself, its tags do too (RFC 3261, section 12). Somebody may use the Call-ID of a
call of others, and a session border controller may keep it from one leg to the next with a From tag of its
own. What neither party of a call has sent must not change that call.
"""

import hashlib
from typing import Final

from webrtc_events.gateways.call_leg import LegState
from webrtc_events.gateways.janus.records import Call, Records
from webrtc_events.gateways.media_session import MAX_SESSION_ID, MediaSession, media_session_id
from webrtc_events.gateways.sip_message import SipMessage

__all__ = ["begins_call", "call_of"]

_BETWEEN: Final = ";from-tag="
# Both parts and what is between them are no longer than the contract takes.
_MAX_PART: Final = (MAX_SESSION_ID - len(_BETWEEN)) // 2


def begins_call(message: SipMessage) -> bool:
    """An INVITE outside of a dialog."""
    return message.method == "INVITE" and message.code is None and message.to_tag is None


def call_of(records: Records, message: SipMessage) -> Call | None:
    """A new one, if the message begins it or is the first of its Call-ID; None: a dialog that is unknown."""
    session_id = media_session_id(message.call_id)
    first = records.call(session_id)
    if first is None:
        return Call(MediaSession(id=session_id))
    if _is_of(first, message):
        return first
    tags = [tag for tag in (message.from_tag, message.to_tag) if tag is not None]
    for tag in tags:
        if (known := records.call(_other_session(session_id, tag))) is not None:
            return known
    if begins_call(message) and message.from_tag is not None:
        return Call(MediaSession(id=_other_session(session_id, message.from_tag)), first_session=session_id)
    return None


def _is_of(call: Call, message: SipMessage) -> bool:
    if call.caller_tag is not None:
        return call.caller_tag in (message.from_tag, message.to_tag)
    # Its INVITE was not seen. One that comes when the call is answered is another's.
    answered = any(leg.state is not LegState.SETTING_UP for leg in call.session.legs.values())
    return not (answered and begins_call(message))


def _other_session(session_id: str, caller_tag: str) -> str:
    return f"{_short(session_id)}{_BETWEEN}{_short(caller_tag)}"


def _short(part: str) -> str:
    return (
        part if len(part) <= _MAX_PART else hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()
    )
