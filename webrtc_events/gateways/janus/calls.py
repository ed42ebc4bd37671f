"""Calls of Janus's SIP plugin: its messages and events as signals of legs, and what follows from them.

The SIP messages (`sip-in`, `sip-out`) tell most, and the only SDPs. `sip-in` names the right handle. Where
both parties are on one Janus, `sip-out` does not: there the tags tell who has sent it. What the plugin itself
says (`accepted`, `hangup`, ...) comes beside them, and says nothing new unless a message was missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from webrtc_events.gateways.call_signals import (
    Answered,
    Failed,
    HungUp,
    Invited,
    LegFacts,
    Lost,
    Mark,
    Provisional,
    Side,
    Signal,
)
from webrtc_events.gateways.janus.dialogs import begins_call, call_of
from webrtc_events.gateways.janus.events import SipData
from webrtc_events.gateways.janus.records import Call, Handle, Records
from webrtc_events.gateways.janus.sip_signals import other, sender, signal_of
from webrtc_events.gateways.media_session import MediaSession, advance, media_session_id
from webrtc_events.gateways.network_requests import PublishEvent
from webrtc_events.gateways.sdp import kept_sdp
from webrtc_events.gateways.sip_addresses import UNKNOWN, Party, address_of, party_of, shown_name
from webrtc_events.gateways.sip_message import SipMessage

__all__ = ["Calls"]

_MAX_CALLS_OF_HANDLE: Final = 64


@dataclass(frozen=True, slots=True)
class _Input:
    """A signal, and the handle whose leg it is of."""

    key: str
    side: Side
    signal: Signal
    originator: Party = UNKNOWN
    receiver: Party = UNKNOWN


@dataclass(frozen=True, slots=True)
class Calls:
    """`domain` stands in addresses for hosts that the contract does not take.

    `are_published`: or another adapter does it.
    """

    domain: str
    are_published: bool = True

    def message(self, records: Records, key: str, message: SipMessage, mark: Mark, *, incoming: bool) -> None:
        """A SIP message that the handle `key` has got, or that Janus has sent."""
        call = call_of(records, message)
        if call is None:
            return
        if begins_call(message):
            call = msgspec.structs.replace(call, caller_tag=call.caller_tag or message.from_tag)
        by = sender(message, call.caller_tag)
        if by is None:
            return
        leg_key = key if incoming else _handle_of(call.sides, by, key)
        if leg_key is None:
            return
        side = other(by) if incoming else by
        signal = signal_of(message, by, call.session.legs.get(leg_key))
        if signal is None and message.method == "ACK" and leg_key in call.accepted:
            # Janus has answered, and the 200 was not seen.
            signal = Answered()
        if signal is None:
            return
        begins = isinstance(signal, Invited)
        found = _Input(
            leg_key,
            side,
            signal,
            party_of(message.headers.get("from", ""), self.domain) if begins else UNKNOWN,
            party_of(message.headers.get("to", ""), self.domain) if begins else UNKNOWN,
        )
        self._advance(records, call, found, mark)

    def event(self, records: Records, key: str, handle: Handle, data: SipData, mark: Mark) -> None:
        """What the plugin says of the handle's call."""
        session_id = _session_of(handle, data)
        if session_id is None:
            return
        call = records.call(session_id) or Call(MediaSession(id=session_id))
        side = call.sides.get(key)
        if data.event == "accepted" and side is Side.RECEIVER:
            # Its 200, with the SDP, is on its way.
            records.put_call(msgspec.structs.replace(call, accepted=(*call.accepted, key)))
            return
        leg = call.session.legs.get(key)
        connected = leg is not None and leg.state == "connected"
        signal = _signal_of_plugin(data, connected=connected)
        if signal is not None:
            self._advance(records, call, self._input(key, side, handle, data, signal), mark)

    def lost(self, records: Records, key: str, session_id: str, signal: Signal, mark: Mark) -> None:
        """Ends a leg that Janus no longer knows."""
        call = records.call(session_id)
        if call is not None and key in call.session.legs:
            self._advance(records, call, _Input(key, call.sides[key], signal), mark)

    def end_silent(self, records: Records, for_ms: int, source: str) -> None:
        """Ends the calls of which nothing was heard for very long."""
        now_ms = records.transaction.now_ms
        for call in records.silent_calls(for_ms):
            session_id = call.session.id
            for number, (key, side) in enumerate(call.sides.items()):
                # There is one such end of a leg.
                mark = Mark(source, f"silent-{number}-{session_id[:200]}", now_ms)
                signal = Lost("Nothing was heard of the call any more")
                self._advance(records, records.call(session_id) or call, _Input(key, side, signal), mark)

    def _input(self, key: str, side: Side | None, handle: Handle, data: SipData, signal: Signal) -> _Input:
        own = Party(address_of(handle.identity, self.domain)) if handle.identity else UNKNOWN
        if data.event == "calling":
            receiver = Party(address_of(data.callee, self.domain)) if data.callee else UNKNOWN
            return _Input(key, Side.ORIGINATOR, signal, own, receiver)
        if data.event == "incomingcall":
            name = shown_name((data.displayname or "").strip('"'))
            originator = Party(address_of(data.username, self.domain), name) if data.username else UNKNOWN
            return _Input(key, Side.RECEIVER, signal, originator, own)
        return _Input(key, side or Side.ORIGINATOR, signal)

    def _advance(self, records: Records, call: Call, found: _Input, mark: Mark) -> None:
        handle = records.handle(found.key)
        known = call.session.legs.get(found.key)
        registration = known.registration if known and known.registration else None
        registration = registration or (handle.registration if handle else None)
        if registration is None:
            # Nobody's: neither invitations nor statuses say whose they are.
            return
        side = call.sides.get(found.key, found.side)
        facts = LegFacts(found.key, registration, side, found.originator, found.receiver)
        advanced = advance(call.session, facts, found.signal, mark)
        sides = {**call.sides, found.key: side}
        accepted = call.accepted
        if isinstance(found.signal, Answered):
            accepted = tuple(key for key in accepted if key != found.key)
        records.put_call(
            msgspec.structs.replace(call, session=advanced.session, sides=sides, accepted=accepted)
        )
        if self.are_published:
            records.transaction.append([PublishEvent(event) for event in advanced.events])
        if handle is not None:
            _note(records, found.key, handle, call, advanced.session)


def _session_of(handle: Handle, data: SipData) -> str | None:
    """Which call of the handle the plugin speaks of; None: of none that is known."""
    if data.call_id:
        session_id = media_session_id(data.call_id)
        return handle.dialogs.get(session_id, session_id)
    if data.event == "missed_call" and len(handle.calls) < 2:
        # The call that Janus has refused is over; the one that is left is the one that it was refused for.
        return None
    return handle.calls[-1] if handle.calls else None


def _note(records: Records, key: str, handle: Handle, call: Call, session: MediaSession) -> None:
    """Keeps which calls the handle is in, and which of those that have the same Call-ID."""
    calls, dialogs = handle.calls, handle.dialogs
    if session.legs[key].is_over:
        calls = tuple(call for call in calls if call != session.id)
    elif session.id not in calls:
        calls = (*calls, session.id)[-_MAX_CALLS_OF_HANDLE:]
    if call.first_session is not None and call.first_session not in dialogs:
        first = records.call(call.first_session)
        if first is None or key not in first.sides:
            known = list(dialogs.items())[1 - _MAX_CALLS_OF_HANDLE :]
            dialogs = {**dict(known), call.first_session: session.id}
    if calls != handle.calls or dialogs != handle.dialogs:
        records.put_handle(key, msgspec.structs.replace(handle, calls=calls, dialogs=dialogs))


def _handle_of(sides: Mapping[str, Side], side: Side, key: str) -> str | None:
    """The handle that is this party; `key` is where Janus has noted the message. None: no leg of ours."""
    if sides.get(key) is side:
        return key
    known = next((other_key for other_key, other_side in sides.items() if other_side is side), None)
    return known or (key if key not in sides else None)


def _signal_of_plugin(data: SipData, *, connected: bool) -> Signal | None:
    match data.event:
        case "calling" | "incomingcall":
            return Invited(kept_sdp(data.sdp))
        case "proceeding":
            return Provisional(data.code or 183)
        case "progress":
            return Provisional(183)
        case "accepted":
            return Answered()
        case "declined":
            return Failed(data.code or 486, data.reason or "Declined")
        case "missed_call":
            # Janus itself says that the endpoint is engaged.
            return Failed(486, "Busy Here")
        case "hangup":
            return _hangup(data, connected=connected)
    return None


def _hangup(data: SipData, *, connected: bool) -> Signal:
    code = data.code or 0
    if connected or code < 300:
        return HungUp(None, data.reason if code >= 300 else None)
    return Failed(code, data.reason or "")
